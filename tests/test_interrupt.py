"""Waiting for threads, and what a signal may do to it at any moment."""

import subprocess
import sys

INTERRUPTED_AT_ANY_MOMENT = """
import os, random, signal
from concurrent.futures import ThreadPoolExecutor
from pxtools import interrupt

pool = ThreadPoolExecutor(2)
moment = random.Random(1)

def alarm(signum, frame):
    interrupt._stopped_at = float("-inf")  # each is a stop of its own
    interrupt._arrived(signal.SIGINT, frame)

signal.signal(signal.SIGALRM, alarm)

def wait_for_threads():
    with interrupt.uninterrupted():
        futures = [pool.submit(sum, range(1000)) for _ in range(3)]
    assert len(interrupt.results_of(futures)) == 3

for _ in range(3000):
    try:
        signal.setitimer(signal.ITIMER_REAL, moment.uniform(1e-5, 1e-3))
        while True:
            wait_for_threads()
    except interrupt.Interrupted:
        pass
print("each was an interruption", flush=True)
os._exit(0)
"""


def test_waiting_for_threads_may_be_interrupted_at_any_moment() -> None:
    command = [sys.executable, "-c", INTERRUPTED_AT_ANY_MOMENT]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (0, "each was an interruption\n"), done.stderr
