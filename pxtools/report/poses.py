"""Poses and targets from the text of designs' files."""

import gemmi
import numpy as np

from pxtools.errors import InputError
from pxtools.report.contents import Pose, Target, TargetResidue
from pxtools.structure.complex import Complex, Residue, as_complex, read_chains, read_facts
from pxtools.structure.geometry import superposition

BLANK = "GLY"  # what designs without a sequence are written as


class Reader:
    """Reads designs of one target: the first file tells which, the others are laid on it (CA)."""

    def __init__(self, title: str):
        self.title = title
        self.target: Target | None = None
        self._ca = np.zeros((0, 3))

    def pose(self, name: str, text: bytes) -> Pose:
        """Raises InputError where the file holds no complex, or one with another target."""
        chains = read_chains(name, text)
        design = as_complex(name, chains, read_facts(text))
        residues = [residue for chain in chains[:-1] for residue in chain]
        ca = design.xyz[~design.binder, 1]
        if self.target is None:
            self.target, self._ca = _target(self.title, residues, design), ca
        elif [r.name for r in residues] != [r.name for r in self.target.residues]:
            expected = f"the target of {self.title} ({len(self.target.residues)} residues)"
            raise InputError.of(name, "target", expected, f"{len(residues)} residues")
        rotation, translation, _ = superposition(ca, self._ca)
        linked = design.linked[design.binder]
        letters = gemmi.one_letter_code([residue.name for residue in chains[-1]])
        is_blank = all(residue.name == BLANK for residue in chains[-1])
        return Pose(
            design.xyz[design.binder, :3] @ rotation.T + translation,
            "".join(design.fold[design.binder]),
            tuple(np.flatnonzero(design.near.any(1)).tolist()),
            tuple((np.flatnonzero(~linked[1:]) + 1).tolist()),
            "" if is_blank else letters,
        )


def _target(title: str, residues: list[Residue], design: Complex) -> Target:
    made = tuple(
        TargetResidue(
            residue.name,
            residue.key[0],
            f"{residue.key[1]}{residue.key[2]}",
            residue.label_seq,
            True,
            bool(design.hotspots[i]),
            str(design.fold[i]),
            tuple(atom.name for atom in residue.heavy),
        )
        for i, residue in enumerate(residues)
    )
    xyz = [atom.pos.tolist() for residue in residues for atom in residue.heavy]
    return Target(title, made, np.array(xyz))
