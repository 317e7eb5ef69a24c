"""Who is working on which samples of a run."""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager

from pxtools.runs.folder import RunDir, consecutive


class Lock:
    """Claims on the samples of a run: one locked byte a sample, gone with the process."""

    def __init__(self, run: RunDir):
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        self.file = os.fdopen(os.open(run.chunks / ".lock", flags, 0o666), "rb+")

    def claim(self, samples: list[int]) -> bool:
        """Claim samples for this process; False if another process has any of them."""
        if not self._try(samples):
            time.sleep(0.05)  # it may have been px-status, which only looks
            return self._try(samples)
        return True

    def is_claimed(self, samples: list[int]) -> bool:
        """True if another process is at work on any of these samples."""
        if not self._try(samples):
            return True
        self.release(samples)
        return False

    def _try(self, samples: list[int]) -> bool:
        spans = consecutive(samples)
        for number, span in enumerate(spans):
            try:
                fcntl.lockf(self.file, fcntl.LOCK_EX | fcntl.LOCK_NB, len(span), span[0] + 1)
            except (BlockingIOError, PermissionError):
                self._release(spans[:number])
                return False
        return True

    def release(self, samples: list[int]) -> None:
        self._release(consecutive(samples))

    def _release(self, spans: list[list[int]]) -> None:
        for span in spans:
            fcntl.lockf(self.file, fcntl.LOCK_UN, len(span), span[0] + 1)

    @contextmanager
    def run_json(self) -> Iterator[None]:
        fcntl.lockf(self.file, fcntl.LOCK_EX, 1, 0)
        try:
            yield
        finally:
            self.file.close()
