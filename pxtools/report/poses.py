"""Poses and targets from the text of designs' files."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import gemmi
import numpy as np

from pxtools.errors import InputError
from pxtools.report.contents import Pose, Target, TargetResidue
from pxtools.structure.complex import Complex, Residue, as_complex, read_chains, read_facts
from pxtools.structure.geometry import superposition
from pxtools.structure.reading import heavy_atoms
from pxtools.structure.residue_number import ResidueNumber
from pxtools.structure.residues import parent_of

BLANK = "GLY"  # what designs without a sequence are written as
MAX_TARGETS = 50

Key = tuple[str, ResidueNumber]


@dataclass(frozen=True)
class Site:
    """A residue of a target as deposited, and its position in the chain's full sequence."""

    residue: gemmi.Residue
    label_seq: int


@dataclass(frozen=True)
class _Known:
    index: int  # among the targets
    ca: np.ndarray  # (n, 3) Å, of the residues that designs have; NaN where not deposited
    at: np.ndarray  # (n,) where these are among the target's


class Reader:
    """Reads designs and lays each on its target (CA atoms).

    A target is as deposited where that is known, else as the first design with it has it.
    """

    def __init__(self) -> None:
        self.targets: list[Target] = []
        self._known: dict[tuple[object, ...], _Known] = {}

    def pose(
        self, name: str, text: bytes, title: str, deposited: Mapping[Key, Site] | None = None
    ) -> Pose:
        """The binder of a design's file; `title` names its target if it is a new one.

        Residues of `deposited` that designs do not have are shown as cut away. Raises InputError
        where the file holds no target and binder.
        """
        chains = read_chains(name, text)
        design = as_complex(name, chains, read_facts(text))
        residues = [residue for chain in chains[:-1] for residue in chain]
        known = self._target(name, residues, design, title, deposited or {})
        placed = np.isfinite(known.ca).all(1)
        ca = design.xyz[~design.binder, 1]
        rotation, translation, _ = superposition(ca[placed], known.ca[placed])
        linked = design.linked[design.binder]
        letters = gemmi.one_letter_code([residue.name for residue in chains[-1]])
        is_blank = all(residue.name == BLANK for residue in chains[-1])
        return Pose(
            target=known.index,
            xyz=design.xyz[design.binder, :3] @ rotation.T + translation,
            fold="".join(design.fold[design.binder]),
            contacts=tuple(known.at[design.near.any(1)].tolist()),
            breaks=tuple((np.flatnonzero(~linked[1:]) + 1).tolist()),
            letters="" if is_blank else letters,
        )

    def _target(
        self,
        name: str,
        residues: list[Residue],
        design: Complex,
        title: str,
        deposited: Mapping[Key, Site],
    ) -> _Known:
        hot = np.flatnonzero(design.hotspots).tolist()
        key = (title if deposited else "", *((r.name, r.key) for r in residues), *hot)
        if key not in self._known:
            if len(self.targets) == MAX_TARGETS:
                raise InputError.of(name, "target", f"one of {MAX_TARGETS} targets", "another")
            target, at = _made(title, residues, design, deposited)
            self._known[key] = _Known(len(self.targets), _ca(residues, deposited), at)
            self.targets.append(target)
        return self._known[key]


def _ca(residues: list[Residue], deposited: Mapping[Key, Site]) -> np.ndarray:
    """(n, 3) Å where the target's CA atoms belong."""
    if not any(residue.key in deposited for residue in residues):
        return np.array([residue.backbone[1] for residue in residues])
    ca = np.full((len(residues), 3), np.nan)
    for i, residue in enumerate(residues):
        site = deposited.get(residue.key)
        for atom in heavy_atoms(site.residue) if site else []:
            if atom.name == "CA":
                ca[i] = atom.pos.tolist()
    return ca


def _made(
    title: str, residues: list[Residue], design: Complex, deposited: Mapping[Key, Site]
) -> tuple[Target, np.ndarray]:
    """The target, and where the designs' residues are among its."""
    own = {residue.key: i for i, residue in enumerate(residues)}
    labels = {key: site.label_seq for key, site in deposited.items()}
    labels |= {residue.key: residue.label_seq for residue in residues}
    chains = list(dict.fromkeys(chain for chain, _ in own))
    order = sorted(
        (key for key in labels if key[0] in chains),
        key=lambda key: (chains.index(key[0]), labels[key]),
    )
    made, xyz = [], []
    for key in order:
        i, site = own.get(key), deposited.get(key)
        atoms = heavy_atoms(site.residue) if site else residues[own[key]].heavy
        name = residues[i].name if i is not None else site.residue.name if site else ""
        made.append(
            TargetResidue(
                name=parent_of(name) or name,
                chain=key[0],
                number=str(key[1]),
                label_seq=labels[key],
                is_kept=i is not None,
                is_hotspot=i is not None and bool(design.hotspots[i]),
                fold="-" if i is None else str(design.fold[i]),
                atoms=tuple(atom.name for atom in atoms),
            )
        )
        xyz += [atom.pos.tolist() for atom in atoms]
    place = {key: i for i, key in enumerate(order)}
    return Target(title, tuple(made), np.array(xyz)), np.array([place[key] for key in own])


def read_probabilities(path: Path, letters: str) -> tuple[float, ...]:
    """The B-factors of a binder with these letters, as px-sequence writes them; else nothing."""
    try:
        binder = read_chains(str(path), path.read_bytes())[-1]
    except (OSError, InputError):
        return ()
    found = [residue.heavy[0].b_iso for residue in binder]
    if gemmi.one_letter_code([residue.name for residue in binder]) != letters:
        return ()
    return tuple(found) if all(0 <= p <= 1 for p in found) else ()
