"""The tools. Until one of them catches signals, Ctrl+C ends it without a traceback."""

import signal
import sys
from pathlib import Path

if sys.argv[0] == "-m" or Path(sys.argv[0]).name.startswith("px"):
    signal.signal(signal.SIGINT, signal.SIG_DFL)
