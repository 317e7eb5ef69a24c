"""Poses and targets from the text of designs' files."""

from dataclasses import dataclass
from pathlib import Path

import gemmi
import numpy as np

from pxtools.report.contents import Pose, Residue, Target
from pxtools.scoring.complex import Complex, read_complex
from pxtools.scoring.metrics import CONTACT
from pxtools.structure import backbone
from pxtools.structure.geometry import distances
from pxtools.structure.reading import Polymer, heavy_atoms, parse_structure, protein_chains
from pxtools.structure.residues import BACKBONE, parent_of

Key = tuple[str, str]  # a target residue: chain and number as the file has them


@dataclass(frozen=True)
class Place:
    """A residue with a complete backbone, as read_complex keeps it."""

    key: Key
    name: str
    label_seq: int
    atoms: list[gemmi.Atom]


def read_places(name: str, text: bytes) -> tuple[list[Place], list[Place]]:
    """The target's and the binder's residues, in the order of read_complex."""
    polymers = protein_chains(Path(name), parse_structure(Path(name), text))
    chains = [_places(chain, p) for chain, p in polymers.items() if p.is_protein]
    chains = [chain for chain in chains if chain]
    return [place for chain in chains[:-1] for place in chain], chains[-1]


def _places(chain: str, polymer: Polymer) -> list[Place]:
    found = []
    for site, label_seq in zip(polymer.sites, polymer.label_seq, strict=True):
        atoms = heavy_atoms(site)
        if {atom.name for atom in atoms} >= set(BACKBONE):
            key = (chain, str(site.seqid).strip())
            found.append(Place(key, parent_of(site.name) or site.name, label_seq, atoms))
    return found


def target_of(name: str, text: bytes, title: str) -> Target:
    """The target in a design's file."""
    design = read_complex(name, text)
    fold = fold_of(design)
    places = read_places(name, text)[0]
    residues = tuple(
        Residue(
            place.name,
            *place.key,
            place.label_seq,
            True,
            bool(design.hotspots[i]),
            fold[i],
            tuple(atom.name for atom in place.atoms),
        )
        for i, place in enumerate(places)
    )
    xyz = np.array([atom.pos.tolist() for place in places for atom in place.atoms])
    return Target(title, residues, xyz)


def fold_of(design: Complex) -> str:
    """H, E or - for each residue of the whole complex."""
    return "".join(backbone.secondary_structure(design.xyz, design.linked, ~design.proline))


def pose_of(design: Complex, letters: str = "") -> Pose:
    near = distances(design.cb[~design.binder], design.cb[design.binder]) < CONTACT
    fold = np.array(list(fold_of(design)))[design.binder]
    linked = design.linked[design.binder]
    return Pose(
        design.xyz[design.binder, :3],
        "".join(fold),
        tuple(np.flatnonzero(near.any(1)).tolist()),
        tuple((np.flatnonzero(~linked[1:]) + 1).tolist()),
        letters,
    )
