"""Which processes are at work on a run, on whatever host: a small file each, touched as they go.

Locks may hold on one host only, or not at all. These files are for px-status, and keep processes
that have no part of their own from making the same samples where there are no locks.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from pxtools.errors import InputError
from pxtools.interrupt import in_background, is_running, is_suspended, uninterrupted
from pxtools.runs.files import HOST, clock, write_atomically
from pxtools.runs.folder import RunDir, samples_in, spans
from pxtools.runs.shards import Part, Shard, Whole, parse_shard

BEAT_SECONDS = 20.0
SILENT_SECONDS = 120.0  # after which a process is taken for dead
FORGOTTEN_SECONDS = 24 * 3600.0


@dataclass(frozen=True)
class Worker:
    """A process as its file tells: the samples it is at, and how long ago it was heard of."""

    path: Path
    host: str
    pid: int
    shard: Shard | None
    wanted: list[int]  # what it was started for, done or not
    samples: list[int]
    ended: bool  # in order, or by a signal that it could answer
    silent_seconds: float

    @property
    def alive(self) -> bool:
        """Whether it is at work, by its last sign and on this host by its process too.

        A process that is suspended gives none; another may have the number of one that died.
        """
        if self.ended:
            return False
        is_heard = self.silent_seconds < SILENT_SECONDS
        if self.host == HOST and self.pid != os.getpid():
            return is_running(self.pid) and (is_heard or is_suspended(self.pid))
        return is_heard

    @property
    def suspended(self) -> bool:
        """Whether it was stopped by Ctrl+Z; on other hosts nobody can tell."""
        return self.alive and self.host == HOST and is_suspended(self.pid)


def workers_of(run: RunDir) -> list[Worker]:
    """The processes that have left a sign in a run, whether alive or not."""
    paths = sorted(run.workers.glob("*.json"))
    now = clock(run.workers) if paths else 0.0
    return [worker for path in paths if (worker := _read(path, now))]


def _read(path: Path, now: float) -> Worker | None:
    """None for a file that is gone by now, or is none of ours."""
    try:
        held = json.loads(path.read_bytes())
        return Worker(
            path=path,
            host=str(held["host"]),
            pid=int(held["pid"]),
            shard=parse_shard(held["shard"]) if held["shard"] else None,
            wanted=samples_in(str(held["wanted"])),
            samples=samples_in(str(held["samples"])),
            ended=bool(held["ended"]),
            silent_seconds=max(0.0, now - path.stat().st_mtime),
        )
    except (OSError, ValueError, KeyError, TypeError, InputError):
        return None


def _forget_dead(run: RunDir) -> None:
    """Remove the files of processes that died long ago; those of shards tell what is missing."""
    for worker in workers_of(run):
        if not worker.shard and not worker.alive and worker.silent_seconds > FORGOTTEN_SECONDS:
            worker.path.unlink(missing_ok=True)


class Presence:
    """This process in a run's folder."""

    def __init__(self, run: RunDir, part: Part, wanted: Collection[int], blas: str):
        self.run, self.part, self.wanted, self.blas = run, part, sorted(wanted), blas
        self.samples: list[int] = []
        name = f"{HOST}_{os.getpid()}_{os.urandom(4).hex()}"
        if isinstance(part, Shard):  # its file stays, so that px-status knows the shards
            name = part.in_names
        self.path = run.workers / f"{name}.json"
        self._over = threading.Event()

    def takes(self, samples: list[int]) -> bool:
        """Say which samples this process is at; False if another process is at some of them.

        A part is its owner's: nobody else is asked.
        """
        if isinstance(self.part, Whole):
            if self._others_at(samples):
                return False
            self._say_at(samples)
            # of two that took them at once one gives way
            return not any(worker.path < self.path for worker in self._others_at(samples))
        self._say_at(samples)
        return True

    def _others_at(self, samples: list[int]) -> list[Worker]:
        wanted = set(samples)
        return [
            worker
            for worker in workers_of(self.run)
            if worker.path != self.path and worker.alive and wanted.intersection(worker.samples)
        ]

    def _say_at(self, samples: list[int], ended: bool = False) -> None:
        self.samples = samples
        held = {
            "host": HOST,
            "pid": os.getpid(),
            "shard": f"{self.part.index}/{self.part.count}" if isinstance(self.part, Shard) else "",
            "wanted": spans(self.wanted),
            "samples": spans(samples),
            "blas": self.blas,
            "ended": ended,
        }
        self.path.parent.mkdir(exist_ok=True)
        write_atomically(self.path, (json.dumps(held) + "\n").encode(), sync_folder=False)

    def _beat(self) -> None:
        while not self._over.wait(BEAT_SECONDS):
            with suppress(OSError):
                os.utime(self.path)

    def leave(self) -> None:
        """Say that this process has ended in order."""
        self._over.set()
        if isinstance(self.part, Shard):
            self._say_at([], ended=True)
        else:
            self.path.unlink(missing_ok=True)


@contextmanager
def present(run: RunDir, part: Part, wanted: Collection[int], blas: str) -> Iterator[Presence]:
    """Be seen at work on a run, until the end of the block; `blas` is for people to compare."""
    presence = Presence(run, part, wanted, blas)
    in_background(presence._beat)
    try:
        _forget_dead(run)
        presence._say_at([])
        yield presence
    finally:
        with uninterrupted():
            presence.leave()
