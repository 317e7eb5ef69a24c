"""Who is working on which samples of a run, as far as the file system has locks.

Locks only save work: samples made twice are the same, and files appear whole under their names.
"""

import errno
import fcntl
import os
import time

from pxtools.console import warn
from pxtools.runs.folder import RunDir, consecutive

# what fcntl answers where a file system has no locks: Lustre without flock, NFS without lockd, ...
WITHOUT_LOCKS = {errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOTSUP, errno.EINVAL}


class Lock:
    """Claims on the samples of a run: one locked byte a sample, gone with the process.

    Where the file system has no locks every claim succeeds, and one warning says so.
    """

    warned = False

    def __init__(self, run: RunDir):
        self.path = run.chunks / ".lock"
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        self.file = os.fdopen(os.open(self.path, flags, 0o666), "rb+")
        self.missing = ""  # why there are no locks

    def claim(self, samples: list[int]) -> bool:
        """Claim samples for this process; False if another process has any of them."""
        claimed = self._try(samples)
        if not claimed:
            time.sleep(0.05)  # it may have been px-status, which only looks
            claimed = self._try(samples)
        if self.missing and not Lock.warned:
            Lock.warned = True
            warn(
                f"{self.path}: no file locks there ({self.missing}): two processes may make "
                "the same samples, which costs time only; --shard keeps them apart"
            )
        return claimed

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
                self._lock(fcntl.LOCK_EX | fcntl.LOCK_NB, span)
            except (BlockingIOError, PermissionError):
                self._release(spans[:number])
                return False
        return True

    def release(self, samples: list[int]) -> None:
        self._release(consecutive(samples))

    def _release(self, spans: list[list[int]]) -> None:
        for span in spans:
            self._lock(fcntl.LOCK_UN, span)

    def _lock(self, operation: int, span: list[int]) -> None:
        try:
            fcntl.lockf(self.file, operation, len(span), span[0] + 1)
        except OSError as error:
            if error.errno not in WITHOUT_LOCKS:
                raise
            self.missing = error.strerror or "unknown"
