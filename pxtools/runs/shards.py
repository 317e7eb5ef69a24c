"""Which samples of a run are one process's part: a shard, a range, or all of them.

A part is taken `of` the run's cells, the samples that are made together: every process that
knows N_sample and the chunk size has the same cells in the same order.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from pxtools.errors import InputError


@dataclass(frozen=True)
class Whole:
    """Every sample."""

    def of(self, cells: Sequence[Sequence[int]]) -> set[int]:
        return {sample for cell in cells for sample in cell}

    def owns(self, number: int) -> bool:
        """Whether it is the part's, of things that are done one by one."""
        return True

    def __str__(self) -> str:
        return ""

    @property
    def in_names(self) -> str:
        """As names of files tell the part."""
        return ""


@dataclass(frozen=True)
class Shard:
    """Cells `index`, `index + count`, `index + 2 * count`, ..., counted from 0."""

    index: int
    count: int

    def of(self, cells: Sequence[Sequence[int]]) -> set[int]:
        return {sample for cell in cells[self.index :: self.count] for sample in cell}

    def owns(self, number: int) -> bool:
        return number % self.count == self.index

    def __str__(self) -> str:
        return f"shard {self.index}/{self.count}"

    @property
    def in_names(self) -> str:
        return f"shard_{self.index}-of-{self.count}"


@dataclass(frozen=True)
class SampleRange:
    """Samples `first` to `last`, counted from 0, `last` included."""

    first: int
    last: int

    def of(self, cells: Sequence[Sequence[int]]) -> set[int]:
        return {sample for cell in cells for sample in cell if self.owns(sample)}

    def owns(self, number: int) -> bool:
        return self.first <= number <= self.last

    def __str__(self) -> str:
        return f"samples {self.first}-{self.last}"

    @property
    def in_names(self) -> str:
        return f"samples_{self.first}-{self.last}"


Part = Whole | Shard | SampleRange
WHOLE = Whole()


def refuse_range_beyond(part: Part, n_sample: int) -> None:
    """Raises InputError for a range of samples that are not asked for."""
    if isinstance(part, SampleRange) and part.last >= n_sample:
        expected = f"samples from 0 to {n_sample - 1} (--N_sample {n_sample})"
        raise InputError.of_option("--samples", expected, f"{part.first}-{part.last}")


def parse_part(shard: str | None, samples: str | None) -> Part:
    """What --shard K/N or --samples A-B, at most one of them, ask for. Raises InputError."""
    if shard is not None and samples is not None:
        raise InputError.of_option("--shard", "either --shard or --samples", "both")
    if shard is not None:
        return parse_shard(shard)
    return WHOLE if samples is None else parse_samples(samples)


def parse_shard(text: str) -> Shard:
    """ "3/16" -> shard 3 of the 16 that are counted 0 to 15. Raises InputError."""
    m = re.fullmatch(r"(\d{1,6})/(\d{1,6})", text, re.ASCII)
    if not m or int(m[2]) == 0:
        raise InputError.of_option("--shard", "K/N, shards counted from 0, such as 0/16", text)
    if int(m[1]) >= int(m[2]):
        last = int(m[2]) - 1
        raise InputError.of_option("--shard", f"0/{m[2]} to {last}/{m[2]}, from 0", text)
    return Shard(int(m[1]), int(m[2]))


def parse_samples(text: str) -> SampleRange:
    """ "100-199" -> these hundred samples, counted from 0. Raises InputError."""
    m = re.fullmatch(r"(\d{1,9})(?:-(\d{1,9}))?", text, re.ASCII)
    first, last = (int(m[1]), int(m[2] or m[1])) if m else (1, 0)
    if first > last:
        raise InputError.of_option("--samples", "A-B, counted from 0, such as 100-199", text)
    return SampleRange(first, last)
