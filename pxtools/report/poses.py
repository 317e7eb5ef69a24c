"""Poses and targets from the text of designs' files."""

from collections.abc import Mapping
from dataclasses import dataclass

import gemmi
import numpy as np

from pxtools.errors import InputError
from pxtools.report.contents import Pose, Target, TargetResidue
from pxtools.structure.complex import Complex, Residue, as_complex, read_chains, read_facts
from pxtools.structure.geometry import superposition
from pxtools.structure.reading import Polymer, heavy_atoms
from pxtools.structure.residues import parent_of

BLANK = "GLY"  # what designs without a sequence are written as
MAX_TARGETS = 50


@dataclass(frozen=True)
class _Known:
    index: int  # among the targets
    ca: np.ndarray  # (n, 3) Å, of the residues that designs have
    at: np.ndarray  # (n,) where these are among the target's


class Reader:
    """Reads designs: the first of each target tells what it is, the others are laid on it (CA)."""

    def __init__(self) -> None:
        self.targets: list[Target] = []
        self._known: dict[tuple[object, ...], _Known] = {}

    def pose(
        self, name: str, text: bytes, title: str, whole: Mapping[str, Polymer] | None = None
    ) -> Pose:
        """The binder of a design's file; `title` names its target if it is a new one.

        `whole` are the target's chains as deposited, to show what a crop cut away. Raises
        InputError where the file holds no target and binder.
        """
        chains = read_chains(name, text)
        design = as_complex(name, chains, read_facts(text))
        residues = [residue for chain in chains[:-1] for residue in chain]
        ca = design.xyz[~design.binder, 1]
        known = self._target(name, residues, design, ca, title, whole or {})
        rotation, translation, _ = superposition(ca, known.ca)
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
        ca: np.ndarray,
        title: str,
        whole: Mapping[str, Polymer],
    ) -> _Known:
        key = (*((r.name, r.key) for r in residues), *np.flatnonzero(design.hotspots).tolist())
        if key not in self._known:
            if len(self.targets) == MAX_TARGETS:
                raise InputError.of(name, "target", f"one of {MAX_TARGETS} targets", "another")
            target, at = _made(title, residues, design, whole)
            self._known[key] = _Known(len(self.targets), ca, at)
            self.targets.append(target)
        return self._known[key]


def _made(
    title: str, residues: list[Residue], design: Complex, whole: Mapping[str, Polymer]
) -> tuple[Target, np.ndarray]:
    """The target, and where the designs' residues are among its."""
    kept = {
        residue.key: (
            TargetResidue(
                name=residue.name,
                chain=residue.key[0],
                number=str(residue.key[1]),
                label_seq=residue.label_seq,
                is_kept=True,
                is_hotspot=bool(design.hotspots[i]),
                fold=str(design.fold[i]),
                atoms=tuple(atom.name for atom in residue.heavy),
            ),
            residue.heavy,
        )
        for i, residue in enumerate(residues)
    }
    cut = {
        (chain, polymer.number(site)): (_cut_away(chain, polymer, site, label), heavy_atoms(site))
        for chain, polymer in whole.items()
        for site, label in zip(polymer.sites, polymer.label_seq, strict=True)
        if (chain, polymer.number(site)) not in kept and heavy_atoms(site)
    }
    chains = [*dict.fromkeys(chain for chain, _ in kept)]
    everything = {**kept, **cut}
    order = sorted(
        (key for key in everything if key[0] in chains),
        key=lambda key: (chains.index(key[0]), everything[key][0].label_seq),
    )
    place = {key: i for i, key in enumerate(order)}
    xyz = np.array([atom.pos.tolist() for key in order for atom in everything[key][1]])
    target = Target(title, tuple(everything[key][0] for key in order), xyz)
    return target, np.array([place[key] for key in kept])


def _cut_away(chain: str, polymer: Polymer, site: gemmi.Residue, label_seq: int) -> TargetResidue:
    return TargetResidue(
        name=parent_of(site.name) or site.name,
        chain=chain,
        number=str(polymer.number(site)),
        label_seq=label_seq,
        is_kept=False,
        is_hotspot=False,
        fold="-",
        atoms=tuple(atom.name for atom in heavy_atoms(site)),
    )
