"""The tools.

Until one of them catches signals, Ctrl+C ends it without a traceback. Samples fill the cores: a
BLAS that starts threads of its own would need memory for nothing, and interrupt where it gets none.
"""

import os
import signal
import sys

os.environ["OPENBLAS_NUM_THREADS"] = "1"
if sys.argv[0] == "-m" or sys.argv[0].rpartition("/")[2].startswith("px"):
    signal.signal(signal.SIGINT, signal.SIG_DFL)
