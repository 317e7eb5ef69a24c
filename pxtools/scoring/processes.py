"""Scoring in several processes: each is given samples of a run, and gives back rows and places.

`main` is such a process; it ends when its stdin does.
"""

from __future__ import annotations

import os
import pickle
import queue
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from io import BufferedReader
from typing import BinaryIO

import numpy as np

from pxtools.errors import InputError
from pxtools.runs.designs import texts_of
from pxtools.runs.folder import RunDir
from pxtools.scoring.columns import Scores
from pxtools.scoring.metrics import filled_in, score
from pxtools.scoring.surroundings import Surroundings
from pxtools.structure.design_text import DesignReader

BATCH = 16  # designs
WORTH_STARTING = 64  # designs that take as long as it takes to start a process


@dataclass(frozen=True)
class Batch:
    """Samples of a run to be scored; those that have a row get what it lacks."""

    run: RunDir
    digest: str
    samples: list[int]
    known: dict[str, Scores]
    around: Surroundings | None = None


@dataclass(frozen=True)
class Scored:
    """A design's row, and the CA atoms (n, 3) of its binder in Å."""

    row: Scores
    ca: np.ndarray


def score_batch(batch: Batch, reader: DesignReader) -> Iterator[Scored]:
    """Designs whose files are damaged are left out with a warning."""
    for sample, text in texts_of(batch.run, batch.samples):
        name = batch.run.cif(sample).stem
        design = reader.read(name, text)
        known = batch.known.get(name)
        row = (
            filled_in(known, design, batch.around)
            if known
            else score(design, name, batch.digest, batch.around)
        )
        yield Scored(row, design.binder_ca)


def score_samples(batch: Batch, processes: int) -> Iterator[Scored]:
    """As `score_batch`, in the order of the samples, in several processes where that pays."""
    processes = min(processes, len(batch.samples) // WORTH_STARTING + 1)
    if processes < 2:
        yield from score_batch(batch, DesignReader())
        return
    idle: queue.SimpleQueue[subprocess.Popen[bytes]] = queue.SimpleQueue()
    started = [_start() for _ in range(processes)]
    try:
        for process in started:
            idle.put(process)
        with ThreadPoolExecutor(processes) as threads:
            for done in threads.map(lambda part: _ask(idle, part), _parts(batch)):
                yield from done
    finally:
        for process in started:
            process.kill()
            process.communicate()


def _parts(batch: Batch) -> Iterator[Batch]:
    for start in range(0, len(batch.samples), BATCH):
        samples = batch.samples[start : start + BATCH]
        names = [batch.run.cif(sample).stem for sample in samples]
        known = {name: batch.known[name] for name in names if name in batch.known}
        yield replace(batch, samples=samples, known=known)


def _start() -> subprocess.Popen[bytes]:
    one_thread = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "VECLIB_MAXIMUM_THREADS": "1"}
    command = [sys.executable, "-c", f"from {__name__} import main; main()"]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=one_thread)


def _ask(idle: queue.SimpleQueue[subprocess.Popen[bytes]], part: Batch) -> list[Scored]:
    process = idle.get()
    try:
        assert process.stdin and process.stdout
        pickle.dump(part, process.stdin)
        process.stdin.flush()
        answer: list[Scored] | InputError = pickle.load(process.stdout)
    except (OSError, EOFError):
        raise RuntimeError(f"a scoring process ended with {process.poll()}") from None
    finally:
        idle.put(process)
    if isinstance(answer, InputError):
        raise answer
    return answer


def serve(source: BufferedReader, sink: BinaryIO) -> None:
    """Answer each batch until there are no more."""
    reader = DesignReader()
    while source.peek(1):
        batch: Batch = pickle.load(source)
        try:
            answer: list[Scored] | InputError = list(score_batch(batch, reader))
        except InputError as error:
            answer = error
        pickle.dump(answer, sink)
        sink.flush()


def main() -> None:
    for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(signum, signal.SIG_IGN)  # the process that asks says when to end
    with open(0, "rb") as asked, open(1, "wb") as answers:
        serve(asked, answers)
