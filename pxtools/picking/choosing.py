"""From all designs of some runs to the few to order."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from pxtools.errors import InputError
from pxtools.picking.expressions import Expression
from pxtools.runs.folder import RunDir
from pxtools.scoring.columns import Scores
from pxtools.scoring.ranking import best_first
from pxtools.scoring.summary import How, update
from pxtools.structure.design_text import DesignReader
from pxtools.structure.tm_score import tm_scores

FOLD = "fold"  # what picks shall differ in; else their interfaces


@dataclass(frozen=True)
class PickRequest:
    """How many designs of which runs, by what."""

    runs: Sequence[RunDir]
    n: int | None = None  # None: all that are left
    where: Sequence[Expression] = ()
    by: Expression | None = None  # highest first; None: as px-score ranks
    diverse: float | None = None  # weight of difference, 0 to 1; None: the best, alike or not
    difference: str = FOLD
    how: How = field(default_factory=How)


@dataclass(frozen=True)
class Candidate:
    """A design, its row and its file."""

    run: RunDir
    row: Scores
    path: Path


@dataclass(frozen=True)
class Picked:
    """The designs chosen, best first, of how many; those without a file could not be."""

    picks: list[Candidate]
    designs: int
    fulfil: int
    without_file: int
    without_value: int  # of the order that was asked for; they come last


def pick(request: PickRequest) -> Picked:
    """Score what has no row yet, and choose. The same designs give the same picks."""
    rows = [(run, row) for run in request.runs for row in update(run, True, request.how)]
    fitting = [(run, row) for run, row in rows if all(where.of(row) for where in request.where)]
    found = [Candidate(run, row, run.predictions / f"{row.design}.cif") for run, row in fitting]
    there = _best_first([c for c in found if c.path.is_file()], request.by)
    n = len(there) if request.n is None else request.n
    picks = there[:n]
    if request.diverse is not None and n < len(there):
        likeness = _folds_alike if request.difference == FOLD else _interfaces_alike
        chosen = choose_diverse(len(there), n, request.diverse, likeness(there))
        picks = [there[i] for i in chosen]
    unknown = sum(request.by.of(c.row) is None for c in there) if request.by else 0
    return Picked(picks, len(rows), len(fitting), len(found) - len(there), unknown)


def _best_first(candidates: list[Candidate], by: Expression | None) -> list[Candidate]:
    def key(c: Candidate) -> tuple[bool, float, tuple[int, float, int, str], str]:
        value = by.of(c.row) if by else 0
        return (value is None, -(value or 0), best_first(c.row), str(c.path))

    return sorted(candidates, key=key)


Alike = Callable[[int, Sequence[int]], np.ndarray]


def choose_diverse(k: int, n: int, weight: float, alike: Alike) -> list[int]:
    """`n` of `k` candidates that come best first, each the one worth most beside those before.

    Worth is (1 - weight) * quality - weight * likeness to the most alike of those chosen; quality
    falls evenly from 1, of the best, to 0. `alike(i, others)` gives 0 to 1. Likeness only grows,
    so a candidate is compared anew only while it could still be the best.
    """
    quality = 1 - np.arange(k) / max(k, 1)
    nearest, compared = np.zeros(k), np.zeros(k, int)  # with how many of the chosen
    worth = (1 - weight) * quality
    chosen: list[int] = []
    while len(chosen) < n:
        while True:
            best = int(np.argmax(worth))  # of equals the first
            if compared[best] == len(chosen):
                break
            some = np.argsort(-worth, kind="stable")[:LOOK_AHEAD]
            some = some[compared[some] < len(chosen)]
            for number in range(compared[some].min(), len(chosen)):
                due = some[compared[some] <= number]
                nearest[due] = np.maximum(nearest[due], alike(chosen[number], due.tolist()))
            compared[some] = len(chosen)
            worth[some] = (1 - weight) * quality[some] - weight * nearest[some]
        chosen.append(best)
        worth[best] = -np.inf
        compared[best] = n
    return chosen


LOOK_AHEAD = 128  # candidates compared together


def _folds_alike(candidates: Sequence[Candidate]) -> Alike:
    """TM-score of the binders' CA traces."""
    reader = DesignReader()
    traces: dict[int, np.ndarray] = {}

    def trace(i: int) -> np.ndarray:
        if i not in traces:
            c = candidates[i]
            traces[i] = reader.read(c.row.design, c.path.read_bytes()).binder_ca
        return traces[i]

    return lambda i, others: tm_scores(trace(i), [trace(j) for j in others])


def _interfaces_alike(candidates: Sequence[Candidate]) -> Alike:
    """Shared target residues over all that either touches; of other targets none is shared."""
    touched = [
        {(c.run.name, residue) for residue in (c.row.epitope or "").split()} for c in candidates
    ]

    def alike(i: int, others: Sequence[int]) -> np.ndarray:
        both = [len(touched[i] & touched[j]) / max(1, len(touched[i] | touched[j])) for j in others]
        return np.array(both)

    return alike


def one_name_each(picks: Sequence[Candidate]) -> list[str]:
    """File names for the picks in one folder: those of their files, with the run where needed."""
    names = [c.path.name for c in picks]
    longer = [f"{c.run.path.name}_{c.path.name}" for c in picks]
    unique = [b if names.count(a) > 1 else a for a, b in zip(names, longer, strict=True)]
    if len(set(unique)) < len(unique):  # of several results folders
        return [f"{i:0{len(str(len(picks)))}d}_{name}" for i, name in enumerate(names, 1)]
    return unique


def check_weight(weight: float) -> float:
    if not 0 <= weight <= 1:
        raise InputError.of_option("--diverse", "0 (only quality) to 1 (only difference)", weight)
    return weight
