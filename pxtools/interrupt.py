"""Ctrl+C and SIGTERM end a run in order: what was computed is saved first."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Interrupted(BaseException):
    """SIGINT or SIGTERM arrived; `exit_code` is 130 or 143."""

    def __init__(self, signum: int):
        super().__init__(signum)
        self.signum = signum

    @property
    def exit_code(self) -> int:
        return 128 + self.signum


_postponed: int | None = None
_depth = 0


def _arrived(signum: int, frame: FrameType | None) -> None:
    global _postponed
    if _depth:
        _postponed = signum
    else:
        raise Interrupted(signum)


def catch_interrupts() -> None:
    """Turn SIGINT and SIGTERM into Interrupted, wherever the program is."""
    for signum in (signal.SIGINT, signal.SIGTERM):
        signal.signal(signum, _arrived)


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
