"""Scoring in several processes: each is given samples of a run, and gives back rows and places,
or folds, and gives back what they are like.

`main` is such a process; it ends when its stdin does.
"""

from __future__ import annotations

import os
import pickle
import queue
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from io import BufferedReader
from typing import Any, BinaryIO

import numpy as np

from pxtools.errors import InputError
from pxtools.interrupt import held_back, results_of, uninterrupted
from pxtools.runs.designs import texts_of
from pxtools.runs.folder import RunDir
from pxtools.scoring.clusters import Comparison, lead_by_fold, one_by_one
from pxtools.scoring.columns import Scores
from pxtools.scoring.metrics import filled_in, score
from pxtools.scoring.surroundings import Surroundings
from pxtools.structure.design_text import DesignReader

BATCH = 16  # designs
WORTH_STARTING = 64  # designs that take as long as it takes to start a process
FOLDS = 4  # that are compared for one question


@dataclass(frozen=True)
class Batch:
    """Samples of a run to be scored; those that have a row get what it lacks."""

    run: RunDir
    digest: str
    samples: list[int]
    known: dict[str, Scores]
    around: Surroundings | None = None

    def answer(self, reader: DesignReader) -> Iterator[Measured]:
        """Designs whose files are damaged are left out with a warning."""
        for sample, text in texts_of(self.run, self.samples):
            name = self.run.cif(sample).stem
            design = reader.read(name, text)
            known = self.known.get(name)
            row = (
                filled_in(known, design, self.around)
                if known
                else score(design, name, self.digest, self.around)
            )
            yield Measured(row, design.binder_ca)


@dataclass(frozen=True)
class Measured:
    """A design's row, and the CA atoms (n, 3) of its binder in Å."""

    row: Scores
    ca: np.ndarray


@dataclass(frozen=True)
class Folds:
    """Folds to be compared."""

    comparisons: list[Comparison]
    at_least: float

    def answer(self, reader: DesignReader) -> Iterator[int | None]:
        """Of each the place of one that it is like."""
        return one_by_one(self.comparisons, self.at_least)


class Processes:
    """Processes that answer questions, in the order of the questions; ended by `with`."""

    def __init__(self, n: int):
        self.started = [_start() for _ in range(n)]
        self.idle: queue.SimpleQueue[subprocess.Popen[bytes]] = queue.SimpleQueue()
        for process in self.started:
            self.idle.put(process)

    def __enter__(self) -> Processes:
        self.threads = ThreadPoolExecutor(len(self.started))
        return self

    def __exit__(self, *_: object) -> None:
        for process in self.started:
            process.kill()
            process.communicate()
        self.threads.shutdown(cancel_futures=True)

    def answers(self, questions: Iterable[Batch | Folds]) -> Iterator[Any]:
        with uninterrupted():  # a thread begun and not yet known to its pool would never end
            asked = [self.threads.submit(self._ask, question) for question in questions]
        for future in asked:
            (answers,) = results_of([future])
            yield from answers

    def _ask(self, question: Batch | Folds) -> list[Any]:
        process = self.idle.get()
        try:
            assert process.stdin and process.stdout
            pickle.dump(question, process.stdin)
            process.stdin.flush()
            answer: list[Any] | InputError = pickle.load(process.stdout)
        except (OSError, EOFError, pickle.UnpicklingError):
            raise InputError(
                "one of its processes was killed (too little memory?); run the same command to "
                "continue, or with smaller --workers"
            ) from None
        finally:
            self.idle.put(process)
        if isinstance(answer, InputError):
            raise answer
        return answer


def score_samples(batch: Batch, processes: int) -> Iterator[Measured]:
    """In the order of the samples, in several processes where that pays."""
    processes = min(processes, len(batch.samples) // WORTH_STARTING + 1)
    if processes < 2:
        yield from batch.answer(DesignReader())
        return
    with Processes(processes) as workers:
        yield from workers.answers(_parts(batch))


def leaders_of_folds(places: Sequence[np.ndarray], at_least: float, processes: int) -> np.ndarray:
    """As `lead_by_fold`, in several processes where that pays."""
    processes = min(processes, len(places) // WORTH_STARTING + 1)
    if processes < 2:
        return lead_by_fold(places, at_least)
    with Processes(processes) as workers:

        def compare(asked: list[Comparison], at_least: float) -> Iterator[int | None]:
            parts = range(0, len(asked), FOLDS)
            return workers.answers(Folds(asked[i : i + FOLDS], at_least) for i in parts)

        return lead_by_fold(places, at_least, compare)


def _parts(batch: Batch) -> Iterator[Batch]:
    for start in range(0, len(batch.samples), BATCH):
        samples = batch.samples[start : start + BATCH]
        names = [batch.run.cif(sample).stem for sample in samples]
        known = {name: batch.known[name] for name in names if name in batch.known}
        yield replace(batch, samples=samples, known=known)


def _start() -> subprocess.Popen[bytes]:
    """A process that no signal reaches, for it never catches any: its asker ends it."""
    one_thread = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "VECLIB_MAXIMUM_THREADS": "1"}
    command = [sys.executable, "-c", f"from {__name__} import main; main()"]
    pipe = subprocess.PIPE
    with held_back():
        return subprocess.Popen(command, stdin=pipe, stdout=pipe, env=one_thread)


def serve(source: BufferedReader, sink: BinaryIO) -> None:
    """Answer each question until there are no more."""
    reader = DesignReader()
    while source.peek(1):
        question: Batch | Folds = pickle.load(source)
        try:
            answer: list[Any] | InputError = list(question.answer(reader))
        except InputError as error:
            answer = error
        pickle.dump(answer, sink)
        sink.flush()


def main() -> None:
    asker_is_gone = (BrokenPipeError, EOFError, pickle.UnpicklingError)
    with suppress(*asker_is_gone), open(0, "rb") as asked, open(1, "wb") as answers:
        serve(asked, answers)
