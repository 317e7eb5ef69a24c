"""A design task."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from pxtools.structure.residue_number import ResidueNumber


@dataclass(frozen=True)
class ChainPick:
    """A target chain: which residues of it (inclusive ranges; None = all) and its hotspots."""

    chain: str
    crop: tuple[tuple[int, int], ...] | None
    hotspots: tuple[ResidueNumber, ...]
    hotspot_names: tuple[tuple[ResidueNumber, str], ...] = ()  # where the task says LYS15
    avoid: tuple[ResidueNumber, ...] = ()  # for px-score alone: they change no design
    avoid_names: tuple[tuple[ResidueNumber, str], ...] = ()

    def keeps(self, number: int) -> bool:
        return self.crop is None or any(low <= number <= high for low, high in self.crop)

    @property
    def crop_text(self) -> str:
        return "all" if self.crop is None else ",".join(f"{a}-{b}" for a, b in self.crop)


@dataclass(frozen=True)
class BinderLengths:
    """How many residues a binder may have: the lengths to draw from, in order, each once."""

    choices: tuple[int, ...]

    @property
    def longest(self) -> int:
        return self.choices[-1]

    def of_sample(self, seed: int, sample: int) -> int:
        """The length of a sample, each with equal odds; other samples have no part in it."""
        stream = hashlib.sha256(f"binder length, seed {seed}, sample {sample}".encode())
        return self.choices[int.from_bytes(stream.digest()) % len(self.choices)]

    def __str__(self) -> str:
        """80, 60-100 or 60,80,100."""
        if len(self.choices) > 2 and self.choices[-1] - self.choices[0] == len(self.choices) - 1:
            return f"{self.choices[0]}-{self.choices[-1]}"
        return ",".join(map(str, self.choices))


@dataclass(frozen=True)
class Task:
    """One design task: a target to bind and the lengths of the binders to make."""

    source: str  # the task file, for messages
    name: str
    structure: Path
    chains: tuple[ChainPick, ...]
    binder_lengths: BinderLengths
