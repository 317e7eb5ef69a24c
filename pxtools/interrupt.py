"""Signals end a run in order: what was computed is saved first. So does the loss of the front.

A front is a program that starts tools and hands signals on to them (pxtools/fronts/front.py).
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, NoReturn, TypeVar

from pxtools.errors import InputError

if TYPE_CHECKING:
    from concurrent.futures import Future

T = TypeVar("T")

SIGNALS = (signal.SIGHUP, signal.SIGINT, signal.SIGTERM)
# where a tool finds the process ids of the front that started it and of those above that one
FRONT = "PXTOOLS_FRONT"
LOOK_EVERY_SECONDS = 0.2
SAME_STOP_SECONDS = 1.0  # a terminal and a front, or two fronts, may tell of one stop twice


class Interrupted(BaseException):
    """SIGHUP, SIGINT or SIGTERM arrived; `exit_code` is 129, 130 or 143."""

    def __init__(self, signum: int):
        super().__init__(signum)
        self.signum = signum

    @property
    def exit_code(self) -> int:
        return 128 + self.signum


_told: int | None = None
_postponed: int | None = None
_depth = 0
_stopped_at = float("-inf")
_first_one_waits = False


def _arrived(signum: int, frame: FrameType | None) -> None:
    global _told, _postponed, _stopped_at, _first_one_waits
    if signum == signal.SIGINT and _first_one_waits:
        _first_one_waits = False
        return
    if time.monotonic() - _stopped_at < SAME_STOP_SECONDS:
        return
    _stopped_at = time.monotonic()
    _told = signum
    if _depth:
        _postponed = signum
    else:
        raise Interrupted(signum)


def stop_if_told() -> None:
    """Raise the Interrupted of a signal that arrived before: it may have been lost.

    mx.array() of a numpy array drops what is raised meanwhile, and goes on.
    """
    if _told is not None:
        raise Interrupted(_told)


def catch_interrupts(arrived: Callable[[int, FrameType | None], None] = _arrived) -> None:
    """Turn SIGHUP, SIGINT and SIGTERM into Interrupted (or into a call of `arrived`).

    SIGHUP stays ignored under nohup. A tool that a front started stops when the front is gone;
    what its starter held back arrives now.
    """
    for signum in SIGNALS:
        if signum != signal.SIGHUP or signal.getsignal(signum) != signal.SIG_IGN:
            signal.signal(signum, arrived)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
    if fronts := os.environ.pop(FRONT, ""):
        stop_without(*map(int, fronts.split()))


def finish_what_is_piped_in() -> None:
    """Let the first Ctrl+C pass: it ends the program that writes to this one's stdin too."""
    global _first_one_waits
    _first_one_waits = True


def leave(code: int) -> NoReturn:
    """Exit with a code, whatever signals still come, and whatever threads still wait.

    A signal may have struck while the main thread took a lock that a worker needs: such a worker
    never ends, and Python would wait for it.
    """
    for signum in SIGNALS:
        signal.signal(signum, signal.SIG_IGN)
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):  # closed, or nobody reads it
            stream.flush()
    os._exit(code)


def stop_without(parent: int, *above: int) -> None:
    """Send this process SIGTERM, as `kill` would, once its parent, or one above, is gone."""

    def look() -> None:
        while os.getppid() == parent and all(map(is_running, above)):
            time.sleep(LOOK_EVERY_SECONDS)
        signal.pthread_kill(main, signal.SIGTERM)

    main = threading.get_ident()
    in_background(look)


def is_running(pid: int) -> bool:
    """Whether there is such a process on this machine; one that has ended does not count.

    (Before its parent has seen its end it is still listed; only /proc tells.)
    """
    if state := _state_in_proc(pid):
        return state != "Z"
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass  # another user's
    return True


def is_suspended(pid: int) -> bool:
    """Whether a process was stopped by Ctrl+Z or SIGSTOP."""
    state = _state_in_proc(pid)
    if not state:
        import subprocess

        listed = ["ps", "-o", "stat=", "-p", str(pid)]
        state = subprocess.run(listed, capture_output=True, text=True).stdout.strip()
    return state.startswith(("T", "t"))


def _state_in_proc(pid: int) -> str:
    """A letter; empty where there is no /proc."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(errors="replace")  # a name may be cut
        return stat.rpartition(")")[2].split()[0]
    except OSError:
        return ""


@contextmanager
def held_back() -> Iterator[None]:
    """Let signals wait for the end of the block, and for a process that is started in it longer:
    until it catches them. A Python that is only beginning would end in a traceback.

    Raises InputError where no process can be started.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    try:
        yield
    except OSError as error:
        raise InputError(f"cannot start a further process: {error.strerror}") from None
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Postpone an interruption to the end of the block."""
    global _depth, _postponed
    _depth += 1
    try:
        yield
    finally:
        _depth -= 1
    if not _depth and _postponed is not None:
        signum, _postponed = _postponed, None
        raise Interrupted(signum)


def results_of(futures: Sequence[Future[T]]) -> list[T]:
    """What each gives, in order; an interruption ends the waiting for them.

    Future.result() alone may break where a signal strikes: it releases a lock that it lost.
    """
    from concurrent.futures import wait

    with uninterrupted():
        while wait(futures, LOOK_EVERY_SECONDS).not_done:
            if _postponed is not None and _depth == 1:
                return []  # nobody gets it: here the block ends with Interrupted
        return [future.result() for future in futures]


def in_background(function: Callable[[], object]) -> None:
    """Run it in a thread that Python does not wait for when it ends. Raises RuntimeError."""
    with uninterrupted():  # Thread.start() waits for the thread, and may break as above
        threading.Thread(target=function, daemon=True).start()
