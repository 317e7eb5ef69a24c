"""What a report shows, as plain values; nothing here knows of files, HTML or browsers."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from pxtools.runs.sequences import Sequence
from pxtools.runs.tables import Check, Value

Kind = Literal["number", "whole", "text", "words"]


@dataclass(frozen=True)
class Column:
    """A column of the table; `words` is a text of several words, such as the failed checks."""

    name: str
    kind: Kind
    unit: str
    meaning: str


@dataclass(frozen=True)
class TargetResidue:
    """A target residue, `number` as the task's file has it."""

    name: str
    chain: str
    number: str
    label_seq: int
    is_kept: bool  # by the crop
    is_hotspot: bool
    fold: str  # H, E or -
    atoms: tuple[str, ...]


@dataclass(frozen=True)
class Target:
    """A target; `xyz` (atoms of all residues in order, 3) in Å."""

    name: str
    residues: tuple[TargetResidue, ...]
    xyz: np.ndarray


@dataclass(frozen=True)
class Pose:
    """A binder in its target's frame."""

    target: int  # among the report's targets
    xyz: np.ndarray  # (n, 3, 3) N, CA, C in Å
    fold: str  # n of H, E, -
    contacts: tuple[int, ...]  # the target's residues that it touches
    breaks: tuple[int, ...] = ()  # residues that are not bonded to the one before
    letters: str = ""  # one a residue, of structures that have side chains


@dataclass(frozen=True)
class Lettered:
    """A sequence made for a design, and the probability of each letter where a file has them."""

    sequence: Sequence
    probabilities: tuple[float, ...] = ()


@dataclass(frozen=True)
class Design:
    """A row; `values` in the order of the report's columns, `file` as a path from the page."""

    name: str
    run: int
    values: tuple[Value, ...]
    file: str | None
    pose: Pose | None
    sequences: tuple[Lettered, ...] = ()  # the best first


@dataclass(frozen=True)
class Run:
    """Where designs come from; `facts` are (name, value) pairs of its provenance."""

    label: str
    facts: tuple[tuple[str, str], ...]
    asked: int | None = None  # designs, None for structures from other sources
    done: int = 0
    notice: str = ""  # what a reader must know, such as a demonstration model


@dataclass(frozen=True)
class Report:
    """Everything on the page."""

    title: str
    written: str  # a time with its zone
    command: str
    columns: tuple[Column, ...]
    checks: dict[str, Check]
    runs: tuple[Run, ...]
    targets: tuple[Target, ...]
    designs: tuple[Design, ...]
    reload_seconds: int | None = None  # None: the page stays as it is
    notes: tuple[str, ...] = ()  # what was left out, and why

    @property
    def is_complete(self) -> bool:
        """Whether no run lacks designs."""
        return all(run.asked is None or run.done >= run.asked for run in self.runs)
