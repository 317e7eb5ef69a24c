"""How far runs are, from names and the heads of files: nothing large is read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pxtools.errors import DamagedError, InputError
from pxtools.runs.folder import RunDir, find_runs
from pxtools.runs.lock import Lock
from pxtools.runs.record import RunJson
from pxtools.runs.shards import Shard
from pxtools.runs.state_head import StateHead
from pxtools.runs.workers import Worker, workers_of

ShardState = Literal["complete", "running", "suspended", "stopped", "dead", "waiting"]


@dataclass(frozen=True)
class Begun:
    """A chunk begun and not finished, at the last step that is saved."""

    samples: list[int]
    head: StateHead | None  # None where the file does not tell
    working: bool  # a process is at it

    def to_dict(self) -> dict[str, Any]:
        return {
            "samples": [self.samples[0], self.samples[-1]],
            "step": self.head.step if self.head else None,
            "seconds_per_step": self.head.seconds_per_step if self.head else None,
            "working": self.working,
        }


@dataclass(frozen=True)
class ShardProgress:
    """How far a shard is, as its process has said: `worker` is None where none has begun."""

    shard: Shard
    worker: Worker | None
    done: int  # of the samples that it was started for

    @property
    def total(self) -> int | None:
        return len(self.worker.wanted) if self.worker else None

    @property
    def state(self) -> ShardState:
        """Stopped: ended in order, samples are missing. Dead: silent, without having ended."""
        if self.worker is None:
            return "waiting"
        if self.done == self.total:
            return "complete"
        if self.worker.alive:
            return "suspended" if self.worker.suspended else "running"
        return "stopped" if self.worker.ended else "dead"

    def to_dict(self) -> dict[str, Any]:
        return {
            "shard": f"{self.shard.index}/{self.shard.count}",
            "state": self.state,
            "samples_done": self.done,
            "samples_total": self.total,
            "host": self.worker.host if self.worker else None,
            "seconds_silent": round(self.worker.silent_seconds) if self.worker else None,
        }


@dataclass(frozen=True)
class RunProgress:
    """How far one run (task and seed) is."""

    run: RunDir
    seed: int
    model: str
    n_step: int
    total: int
    done: int  # samples that a chunk or a CIF holds
    chunks: int
    cifs: int
    sequences: int  # rows of sequences.csv
    begun: Sequence[Begun]
    shards: Sequence[ShardProgress]  # empty where none was started as a shard
    working: bool  # a process is at work, on whatever host
    suspended: bool  # all that would be at work were stopped by Ctrl+Z
    complete: bool  # all CIFs are there and were checked

    @property
    def samples_per_hour(self) -> float | None:
        """Of all chunks at work together; None where nothing tells."""
        pace = self._sample_steps_per_second
        return round(3600 * pace / self.n_step, 2) if pace else None

    @property
    def seconds_left(self) -> float | None:
        pace = self._sample_steps_per_second
        made = sum(len(chunk.samples) * chunk.head.step for chunk in self.begun if chunk.head)
        return round(((self.total - self.done) * self.n_step - made) / pace, 1) if pace else None

    @property
    def _sample_steps_per_second(self) -> float:
        return sum(
            len(chunk.samples) / chunk.head.seconds_per_step
            for chunk in self.begun
            if chunk.working and chunk.head and chunk.head.seconds_per_step
        )

    def to_dict(self) -> dict[str, Any]:
        """px-status --json's row."""
        return {
            "task": self.run.name,
            "seed": self.seed,
            "path": str(self.run.path),
            "complete": self.complete,
            "samples_done": self.done,
            "samples_total": self.total,
            "chunks": self.chunks,
            "cifs": self.cifs,
            "sequences": self.sequences,
            "model": self.model,
            "n_step": self.n_step,
            "in_progress": [chunk.to_dict() for chunk in self.begun],
            "samples_per_hour": self.samples_per_hour,
            "seconds_left": self.seconds_left,
            "working": self.working,
            "suspended": self.suspended,
            "shards": [shard.to_dict() for shard in self.shards],
        }


@dataclass(frozen=True)
class UnreadableRun:
    """A run that cannot be read, and why."""

    run: RunDir
    error: str
    complete: bool = False

    @property
    def seed(self) -> str:
        return self.run.path.name.removeprefix("seed_")

    def to_dict(self) -> dict[str, Any]:
        return {
            "task": self.run.name,
            "seed": self.seed,
            "path": str(self.run.path),
            "complete": False,
            "error": self.error,
        }


def status(*folders: Path) -> list[RunProgress | UnreadableRun]:
    """How far each run below results folders is. Raises InputError for a folder that is none."""
    runs = dict.fromkeys(run for folder in folders for run in find_runs(folder))
    return [progress_of(run) for run in runs]


def progress_of(run: RunDir) -> RunProgress | UnreadableRun:
    """How far one run is."""
    try:
        return _progress_of(run)
    except (InputError, DamagedError) as error:
        return UnreadableRun(run, str(error))


def _progress_of(run: RunDir) -> RunProgress:
    asked = RunJson.read(run)
    wanted = range(asked.n_sample)
    cifs = run.cif_samples().intersection(wanted)
    chunks = run.files("msgpack")
    done = cifs.union(*(samples for samples, _ in chunks)).intersection(wanted)
    workers = workers_of(run)
    alive = [worker for worker in workers if worker.alive]
    suspended = bool(alive) and all(worker.suspended for worker in alive)
    at_work = {sample for worker in alive for sample in worker.samples}
    begun = [
        Begun(
            samples,
            StateHead.read(path),
            not suspended and (not at_work.isdisjoint(samples) or _is_claimed(run, samples)),
        )
        for samples, path in run.files("state")
    ]
    return RunProgress(
        run=run,
        seed=asked.record.seed,
        model=asked.record.model.name,
        n_step=asked.record.schedule.N_step,
        total=asked.n_sample,
        done=len(done),
        chunks=len(chunks),
        cifs=len(cifs),
        sequences=run.count_sequences(),
        begun=begun,
        shards=list(_shards(workers, done)),
        working=not suspended and (bool(alive) or any(chunk.working for chunk in begun)),
        suspended=suspended,
        complete=run.success.is_file() and len(cifs) == asked.n_sample,
    )


def _shards(workers: Sequence[Worker], done: set[int]) -> Iterator[ShardProgress]:
    """All shards of the count that was last heard of."""
    heard = [worker for worker in workers if worker.shard]
    if not heard:
        return
    last = min(heard, key=lambda worker: worker.silent_seconds)
    known = {worker.shard: worker for worker in heard}
    assert last.shard
    for index in range(last.shard.count):
        shard = Shard(index, last.shard.count)
        worker = known.get(shard)
        yield ShardProgress(shard, worker, len(done.intersection(worker.wanted)) if worker else 0)


def _is_claimed(run: RunDir, samples: list[int]) -> bool:
    try:
        return Lock(run).is_claimed(samples)
    except OSError:
        return False  # a folder that cannot be written: nobody to ask
