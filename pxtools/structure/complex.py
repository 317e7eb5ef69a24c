"""A target and a binder, read from a structure file."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import gemmi
import numpy as np

from pxtools.errors import InputError
from pxtools.structure import backbone
from pxtools.structure.geometry import distances
from pxtools.structure.parsing import bonded, parse_structure
from pxtools.structure.reading import (
    Polymer,
    author_number,
    heavy_atoms,
    protein_chains,
)
from pxtools.structure.residue_number import ResidueNumber
from pxtools.structure.residues import BACKBONE, CAPS, parent_of, vdw_radius

Key = tuple[str, ResidueNumber]  # chain and number, as the file has them
GLYCINES = 0.9  # of a binder whose amino acids are not chosen yet, at least
CONTACT = 8.0  # Å between CB atoms
RIGID = (*BACKBONE, "CB", "OXT")


@dataclass(frozen=True)
class Residue:
    """A residue with a complete backbone; (chain, number) are the file's author ids."""

    name: str
    key: Key
    backbone: list[list[float]]  # N, CA, C, O
    cb: list[float] | None
    heavy: list[gemmi.Atom]
    is_linked: bool  # bonded to the residue before it
    label_seq: int  # position in the chain's full sequence, from 1


@dataclass(frozen=True)
class Complex:
    """A target and a binder: their n residues, the target's m heavy atoms."""

    xyz: np.ndarray  # (n, 4, 3) N, CA, C, O in Å
    cb: np.ndarray  # (n, 3) Å, ideal where the residue has none
    own_cb: np.ndarray  # (n,) whether it has one
    proline: np.ndarray  # (n,)
    linked: np.ndarray  # (n,)
    binder: np.ndarray  # (n,)
    target_atoms: np.ndarray  # (m, 3) Å
    target_radii: np.ndarray  # (m,) Å
    target_rigid: np.ndarray  # (m,) backbone and CB: the rest may take another rotamer
    hotspots: np.ndarray  # (n,)
    target_rmsd: float | None  # Å, None where the file does not tell
    keys: tuple[Key, ...] = ()  # (n,)

    @property
    def binder_ca(self) -> np.ndarray:
        return np.asarray(self.xyz[self.binder, 1])

    @cached_property
    def fold(self) -> np.ndarray:
        """(n,) secondary structure: H, E or -."""
        return backbone.secondary_structure(self.xyz, self.linked, ~self.proline)

    @cached_property
    def near(self) -> np.ndarray:
        """(target residues, binder residues) which are in contact."""
        return np.asarray(distances(self.cb[~self.binder], self.cb[self.binder]) < CONTACT)


def read_complex(name: str, text: bytes) -> Complex:
    """The complex in the text of an mmCIF or PDB file. Raises InputError."""
    return as_complex(name, read_chains(name, text), read_facts(text))


def read_chains(
    name: str, text: bytes, left_out: Callable[[str], object] = lambda what: None
) -> list[list[Residue]]:
    """The protein chains, at least two; the last is the binder. Raises InputError.

    `left_out` is told of each other polymer, and of residues without a complete backbone.
    """
    polymers = protein_chains(Path(name), parse_structure(Path(name), text))
    found = {chain: _residues(chain, p) for chain, p in polymers.items() if p.is_protein}
    for chain, polymer in polymers.items():
        if chain not in found:
            left_out(f"chain {chain} ({polymer.kind}) is no protein")
            continue
        residues = [site for site in polymer.sites if site.name not in CAPS]
        if lost := len(residues) - len(found[chain]):
            some = f"{lost} residue{'s' if lost > 1 else ''}" if found[chain] else "all residues"
            left_out(f"of chain {chain} {some} without N, CA, C or O")
    chains = [chain for chain in found.values() if chain]
    if len(chains) < 2:
        there = f"{len(chains)} chain{'s'[len(chains) == 1 :]}"
        raise InputError.of(name, "structure", "two protein chains with backbones", there)
    return chains


def binder_last(
    name: str, chains: list[list[Residue]], binder: str | None
) -> tuple[list[list[Residue]], str]:
    """The chains with the binder's last, and why it is that one; "" where it was given.

    Without `binder` it is the only chain that has no side chain at all, or the only one of those
    that is of glycines, as RFdiffusion writes designs (the binder first); else the last one.
    Raises InputError.
    """
    letters = [chain[0].key[0] for chain in chains]
    bare = [i for i, chain in enumerate(chains) if all(r.cb is None for r in chain)]
    of_glycines = [i for i in bare if _share_of_glycines(chains[i]) > GLYCINES]
    place, why = len(chains) - 1, "the last one"
    if binder is not None:
        if binder not in letters:
            raise InputError.of(name, "--binder", f"a protein chain ({', '.join(letters)})", binder)
        place, why = letters.index(binder), ""
    elif len(bare) == 1:
        place, why = bare[0], "the only one without side chains"
    elif len(of_glycines) == 1:
        place, why = of_glycines[0], "the only one of glycines"
    return [*chains[:place], *chains[place + 1 :], chains[place]], why


def _share_of_glycines(chain: list[Residue]) -> float:
    return sum(residue.name == "GLY" for residue in chain) / len(chain)


def as_complex(name: str, chains: list[list[Residue]], facts: "Facts") -> Complex:
    """The chains as arrays. Raises InputError for places that are not finite."""
    residues = [residue for chain in chains for residue in chain]
    target = [atom for chain in chains[:-1] for residue in chain for atom in residue.heavy]
    xyz = np.array([r.backbone for r in residues])
    own_cb = np.array([r.cb is not None for r in residues])
    cb = backbone.ideal_cb(xyz)
    cb[own_cb] = np.array([r.cb for r in residues if r.cb]).reshape(-1, 3)
    target_atoms = np.array([atom.pos.tolist() for atom in target])
    for array in (xyz, cb, target_atoms):
        if not np.isfinite(array).all():
            raise InputError.of(name, "coordinates", "finite numbers in Å", "NaN or infinity")
    return Complex(
        xyz,
        cb,
        own_cb,
        np.array([r.name == "PRO" for r in residues]),
        np.array([r.is_linked for r in residues]),
        np.arange(len(residues)) >= len(residues) - len(chains[-1]),
        target_atoms,
        np.array([vdw_radius(atom.element.name) for atom in target]),
        np.array([atom.name in RIGID for atom in target]),
        np.array([r.key in facts.hotspots for r in residues]),
        facts.target_rmsd,
        tuple(r.key for r in residues),
    )


@dataclass(frozen=True)
class Facts:
    """What px-write-cif says of a design in its file; nothing in files from other sources."""

    hotspots: frozenset[Key]
    target_rmsd: float | None


def read_facts(text: bytes) -> Facts:
    found = dict(re.findall(rb"^_pxtools_design\.(\w{1,30}) +(\S{1,4000}) *$", text, re.MULTILINE))
    hotspots = re.findall(rb"(\w{1,8}):(-?\d{1,6}[A-Za-z]?)", found.get(b"hotspots", b""))
    rmsd = re.fullmatch(rb"\d{1,6}\.\d{1,6}", found.get(b"target_ca_rmsd", b""))
    return Facts(
        frozenset((c.decode(), ResidueNumber.read(n.decode())) for c, n in hotspots),
        float(rmsd[0]) if rmsd else None,
    )


def _residues(chain: str, polymer: Polymer) -> list[Residue]:
    residues = []
    before: tuple[int, int, gemmi.Residue] | None = None
    for site, label_seq in zip(polymer.sites, polymer.label_seq, strict=True):
        atoms = heavy_atoms(site)
        place = {atom.name: atom.pos.tolist() for atom in atoms}
        points = [place[name] for name in BACKBONE if name in place]
        if len(points) < len(BACKBONE):
            continue
        number = author_number(site)
        # PDB files without SEQRES number the residues that are there: see the author's gaps too
        is_linked = (
            before is not None
            and label_seq - before[0] == 1
            and (number.number - before[1] <= 1 or bonded(before[2], site))
        )
        key = (chain, number)
        name = parent_of(site.name) or site.name
        residues.append(Residue(name, key, points, place.get("CB"), atoms, is_linked, label_seq))
        before = (label_seq, number.number, site)
    return residues
