"""A design task."""

from dataclasses import dataclass
from pathlib import Path

from pxtools.structure.residues import ResidueNumber


@dataclass(frozen=True)
class ChainPick:
    """A target chain: which residues of it (inclusive ranges; None = all) and its hotspots."""

    chain: str
    crop: tuple[tuple[int, int], ...] | None
    hotspots: tuple[ResidueNumber, ...]

    def keeps(self, number: int) -> bool:
        return self.crop is None or any(low <= number <= high for low, high in self.crop)

    @property
    def crop_text(self) -> str:
        return "all" if self.crop is None else ",".join(f"{a}-{b}" for a, b in self.crop)


@dataclass(frozen=True)
class Task:
    """One design task: a target to bind and the length of the binder to make."""

    source: str  # the task file, for messages
    name: str
    structure: Path
    chains: tuple[ChainPick, ...]
    binder_length: int
