"""The residues of a target that a task picks, with their resolved heavy atoms."""

from dataclasses import dataclass

import numpy as np

from pxtools.structure.residue_number import ResidueNumber


@dataclass(frozen=True)
class TargetResidue:
    """A residue with at least one resolved heavy atom.

    `xyz` is (heavy atoms of the type in CCD order, 3) in Å, NaN where unresolved.
    """

    name: str
    number: ResidueNumber
    label_seq: int  # position in the chain's full sequence, from 1
    xyz: np.ndarray
    is_hotspot: bool


@dataclass(frozen=True)
class TargetChain:
    """A target chain: its name in the file, its full sequence, and the residues kept."""

    name: str
    sequence: tuple[str, ...]
    residues: tuple[TargetResidue, ...]
