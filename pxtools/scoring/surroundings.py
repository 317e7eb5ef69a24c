"""What a task says that a design's file does not: what its crops cut away, what to avoid."""

import hashlib
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from pxtools.console import warn
from pxtools.structure.atoms import chain_name
from pxtools.structure.complex import Complex, Key
from pxtools.structure.geometry import superposition
from pxtools.structure.reading import heavy_atoms
from pxtools.structure.residues import vdw_radius
from pxtools.task.target import read_polymers
from pxtools.task.types import Task


@dataclass(frozen=True)
class Surroundings:
    """The target's structure in its file's frame: CA atoms that stayed, atoms that went."""

    kept: dict[Key, np.ndarray]  # CA, Å
    cut_xyz: np.ndarray  # (k, 3) Å, heavy atoms of the target's chains outside the crops
    cut_radii: np.ndarray  # (k,) Å
    avoided: frozenset[Key]

    @cached_property
    def digest(self) -> str:
        """Tells one task's surroundings from another's."""
        kept = sorted((*map(str, key), *xyz.tolist()) for key, xyz in self.kept.items())
        avoided = sorted((chain, str(number)) for chain, number in self.avoided)
        told = repr((kept, self.cut_xyz.tolist(), avoided))
        return hashlib.sha256(told.encode()).hexdigest()[:12]

    def around(self, c: Complex) -> np.ndarray:
        """(k, 3) the atoms that went, in the frame of a design (superposed by CA atoms)."""
        both = [i for i, key in enumerate(c.keys) if not c.binder[i] and key in self.kept]
        if len(both) < 3 or not len(self.cut_xyz):
            return np.zeros((0, 3))
        fixed = np.array([self.kept[c.keys[i]] for i in both])
        rotation, translation, _ = superposition(fixed, c.xyz[both, 1])
        return np.asarray(self.cut_xyz @ rotation.T + translation)


def surroundings_of(task: Task) -> Surroundings:
    """Read the task's structure. Raises InputError."""
    polymers = read_polymers(task)
    kept: dict[Key, np.ndarray] = {}
    cut = []
    avoided = set()
    for i, pick in enumerate(task.chains):
        polymer = polymers[pick.chain]
        for site in polymer.sites:
            number = polymer.number(site)
            atoms = heavy_atoms(site)
            if not pick.keeps(number.number):
                cut += atoms
            for atom in atoms:
                if atom.name == "CA" and pick.keeps(number.number):
                    kept[chain_name(i), number] = np.array(atom.pos.tolist())
        of_chain = {(chain_name(i), number) for number in pick.avoid}
        if lost := sorted(number for _, number in of_chain - kept.keys()):
            names = ", ".join(map(str, lost))
            warn(
                f"{task.source}: chain {pick.chain}, avoid: {names} are not in the crop, or not "
                "resolved"
            )
        avoided |= of_chain
    return Surroundings(
        kept,
        np.array([atom.pos.tolist() for atom in cut]).reshape(-1, 3),
        np.array([vdw_radius(atom.element.name) for atom in cut]),
        frozenset(avoided),
    )
