"""Which samples of a run are generated together."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import chain, groupby

from pxtools.runs.folder import spans

MAX_NAME = 160  # characters of a chunk's name that tell its samples


@dataclass(frozen=True)
class Piece:
    """Samples of one binder length to generate together; `number` of `total` chunks, from 1."""

    samples: list[int]
    number: int
    total: int


def plan(done: set[int], begun: Sequence[list[int]], cells: Sequence[list[int]]) -> list[Piece]:
    """The chunks to make: those begun, as they were begun, and the gaps of a grid of chunks.

    `cells` is the grid (`grid`); samples not to be made, for whatever reason, are `done`.
    """
    missing = {sample for cell in cells for sample in cell} - done
    going_on = [samples for samples in begun if missing.issuperset(samples)]
    missing = missing.difference(*going_on)
    place = {sample: i for i, sample in enumerate(chain.from_iterable(cells))}
    gaps = [gap for cell in cells for gap in _stretches(cell, missing)]
    complete = [cell for cell in cells if done.issuperset(cell)]
    ordered = sorted([*going_on, *gaps, *complete], key=lambda samples: place[samples[0]])
    return [
        Piece(samples, number, len(ordered))
        for number, samples in enumerate(ordered, 1)
        if not done.issuperset(samples)
    ]


def grid(
    samples: Iterable[int], length_of: Callable[[int], int], chunk_size: int
) -> list[list[int]]:
    """The samples in chunks of one binder length each, shortest first."""
    groups: dict[int, list[int]] = {}
    for sample in samples:
        groups.setdefault(length_of(sample), []).append(sample)
    return [cell for length in sorted(groups) for cell in _cells(groups[length], chunk_size)]


def _cells(group: list[int], chunk_size: int) -> list[list[int]]:
    """Chunks of a group, none larger than a file's name can tell; the same however long it is."""
    cells: list[list[int]] = [[]]
    for sample in group:
        if len(cells[-1]) == chunk_size or len(spans([*cells[-1], sample])) > MAX_NAME:
            cells.append([])
        cells[-1].append(sample)
    return cells


def _stretches(cell: list[int], missing: set[int]) -> list[list[int]]:
    """Samples of a cell that are missing one after the other."""
    groups = groupby(cell, key=missing.__contains__)
    return [list(group) for is_missing, group in groups if is_missing]
