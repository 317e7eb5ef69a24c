"""The numbers that a structure file gives its residues."""

import re
from collections.abc import Iterable
from typing import NamedTuple


class ResidueNumber(NamedTuple):
    """A residue's number in its chain and its insertion code ("" for none), written 40, 99A, -3."""

    number: int
    insertion: str = ""

    def __str__(self) -> str:
        return f"{self.number}{self.insertion}"

    @classmethod
    def read(cls, text: str) -> "ResidueNumber":
        """The number that `str` writes. Raises ValueError."""
        match = re.fullmatch(r"(-?\d{1,6})([A-Za-z]?)", text.strip(), re.ASCII)
        if not match:
            raise ValueError(f"not a residue number: {text}")
        return cls(int(match[1]), match[2])


def write_hotspots(hotspots: Iterable[ResidueNumber]) -> str:
    """The hotspots of a chain as run.json keeps them: 40,99A; none."""
    return ",".join(map(str, hotspots)) or "none"


def read_hotspots(text: str) -> tuple[ResidueNumber, ...]:
    """What `write_hotspots` wrote. Raises ValueError."""
    return () if text == "none" else tuple(map(ResidueNumber.read, text.split(",")))
