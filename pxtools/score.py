"""Scores of designs: backbone geometry, interface, target; one row a design.

A design is scored as its CIF shows it, a natural complex in the same way: the last protein chain
is the binder, the others are the target. docs/scores.md explains every column.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gemmi
import numpy as np

from pxtools import backbone
from pxtools.residues import BACKBONE, RADII, parent_of, vdw_radius
from pxtools.target import Polymer, author_number, heavy_atoms, parse_structure, protein_chains
from pxtools.words import InputError

CONTACT = 8.0  # Å between CB atoms
RIGID = (*BACKBONE, "CB", "OXT")
OVERLAP = 0.8  # Å that van der Waals spheres may overlap: 95 % of natural complexes do not reach it

Row = dict[str, Any]

COLUMNS = (
    *("design", "rank", "cluster", "failed", "binder_length", "target_residues"),
    *("bonds_off", "angles_off", "ca_steps_off", "chirality_off"),
    *(
        "clashes_inside",
        "clashes_target",
        "clashes_sidechain",
        "rg",
        "rg_expected",
        "helix",
        "strand",
        "loop",
    ),
    *("contacts", "hotspots_contacted", "target_rmsd"),
)
# what a sound design passes; the column `failed` names those it does not
CHECKS: dict[str, Callable[[Row], bool]] = {
    "bonds": lambda r: r["bonds_off"] <= 0.02,
    "angles": lambda r: r["angles_off"] <= 0.05,
    "ca_steps": lambda r: r["ca_steps_off"] <= 0.02,
    "chirality": lambda r: r["chirality_off"] == 0,
    "clashes": lambda r: r["clashes_inside"] + r["clashes_target"] == 0,
    "rg": lambda r: abs(r["rg"] / r["rg_expected"] - 1) <= 0.25,
    "structure": lambda r: r["helix"] + r["strand"] >= 0.5,
    "contacts": lambda r: r["contacts"] >= 10,
    "hotspots": lambda r: r["hotspots_contacted"] is None or r["hotspots_contacted"] > 0,
    "target": lambda r: r["target_rmsd"] is None or r["target_rmsd"] <= 1.0,
}


@dataclass(frozen=True)
class Residue:
    """A residue with a complete backbone; (chain, number, insertion) are the file's author ids."""

    name: str
    key: tuple[str, int, str]
    backbone: list[list[float]]  # N, CA, C, O
    cb: list[float] | None
    heavy: list[gemmi.Atom]
    is_linked: bool  # bonded to the residue before it


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

    @property
    def binder_ca(self) -> np.ndarray:
        return self.xyz[self.binder, 1]


def read_complex(name: str, text: bytes) -> Complex:
    """The complex in the text of an mmCIF or PDB file. Raises InputError."""
    structure = parse_structure(Path(name), text)
    polymers = protein_chains(Path(name), structure)
    chains = [_residues(p) for p in polymers.values() if p.is_protein]
    chains = [chain for chain in chains if chain]
    if len(chains) < 2:
        found = f"{len(chains)} chain{'s'[len(chains) == 1 :]}"
        raise InputError.of(name, "structure", "two protein chains with backbones", found)
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
    facts = _facts(text)
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
    )


@dataclass(frozen=True)
class Facts:
    """What px-write-cif says of a design in its file; nothing in files of others."""

    hotspots: frozenset[tuple[str, int, str]]
    target_rmsd: float | None


def _facts(text: bytes) -> Facts:
    found = dict(re.findall(rb"^_pxtools_design\.(\w{1,30}) +(\S{1,4000}) *$", text, re.MULTILINE))
    hotspots = re.findall(rb"(\w{1,8}):(-?\d{1,6})([A-Za-z]?)", found.get(b"hotspots", b""))
    rmsd = re.fullmatch(rb"\d{1,6}\.\d{1,6}", found.get(b"target_ca_rmsd", b""))
    return Facts(
        frozenset((c.decode(), int(n), code.decode()) for c, n, code in hotspots),
        float(rmsd[0]) if rmsd else None,
    )


def _residues(polymer: Polymer) -> list[Residue]:
    residues = []
    before: tuple[int, int] | None = None
    for site, label_seq in zip(polymer.sites, polymer.label_seq, strict=True):
        atoms = heavy_atoms(site)
        place = {atom.name: atom.pos.tolist() for atom in atoms}
        points = [place[name] for name in BACKBONE if name in place]
        if len(points) < len(BACKBONE):
            continue
        number, insertion = author_number(site)
        # PDB files without SEQRES number the residues that are there: see the author's gaps too
        is_linked = before is not None and label_seq - before[0] == 1 and number - before[1] <= 1
        key = (site.subchain, number, insertion)
        name = parent_of(site.name) or site.name
        residues.append(Residue(name, key, points, place.get("CB"), atoms, is_linked))
        before = (label_seq, number)
    return residues


def score(c: Complex) -> Row:
    """Every metric of one design; `rank` and `cluster` need the others and stay None."""
    xyz, linked = c.xyz[c.binder], c.linked[c.binder]
    fold = backbone.secondary_structure(c.xyz, c.linked, ~c.proline)
    fractions = {
        name: _mean(fold[c.binder] == letter)
        for name, letter in (("helix", backbone.HELIX), ("strand", backbone.STRAND))
    }
    near = backbone.distances(c.cb[~c.binder], c.cb[c.binder]) < CONTACT
    hot = c.hotspots[~c.binder]
    with_target = _clashes_with(xyz, c.target_atoms, c.target_radii)
    row = {
        "binder_length": int(c.binder.sum()),
        "target_residues": int((~c.binder).sum()),
        "bonds_off": _mean(backbone.bonds_off(xyz, linked)),
        "angles_off": _mean(backbone.angles_off(xyz, linked)),
        "ca_steps_off": _mean(backbone.ca_steps_off(xyz, linked)),
        "chirality_off": _mean(_wrong_hand(c, fold)[c.binder]),
        "clashes_inside": _clashes_inside(xyz),
        "clashes_target": int(with_target[c.target_rigid].sum()),
        "clashes_sidechain": int(with_target[~c.target_rigid].sum()),
        "rg": round(backbone.radius_of_gyration(xyz[:, 1]), 2),
        "rg_expected": round(backbone.expected_radius(len(xyz)), 2),
        **fractions,
        "loop": round(1 - sum(fractions.values()), 4),
        "contacts": int(near.sum()),
        "hotspots_contacted": _mean(near[hot].any(1)) if hot.any() else None,
        "target_rmsd": c.target_rmsd,
    }
    failed = " ".join(name for name, passes in CHECKS.items() if not passes(row))
    return {"rank": None, "cluster": None, "failed": failed, **row}


def _mean(values: np.ndarray) -> float:
    return round(float(values.mean()), 4) if len(values) else 0.0


def _wrong_hand(c: Complex, fold: np.ndarray) -> np.ndarray:
    """(n,) CB on the wrong side of N, CA, C; or in a helix that winds to the left."""
    side = backbone.ideal_cb(c.xyz) - c.xyz[:, 1]
    mirrored = c.own_cb & (((c.cb - c.xyz[:, 1]) * side).sum(-1) < 0)
    turns = backbone.left_handed_turns(c.xyz[:, 1], c.linked)
    in_helix = fold == backbone.HELIX
    whole = in_helix.copy()
    for i in range(1, 4):
        whole[:-i] &= in_helix[i:]
        whole[len(whole) - i :] = False
    return mirrored | (turns & whole)


def _clashes_inside(xyz: np.ndarray) -> int:
    """Pairs of backbone atoms, at least two residues apart, that are too close."""
    n = len(xyz)
    points, radii = xyz.reshape(-1, 3), _backbone_radii(n)
    i = np.repeat(np.arange(n), len(BACKBONE))
    apart = i[None] - i[:, None] >= 2
    return int((apart & _too_close(points, radii, points, radii)).sum())


def _clashes_with(xyz: np.ndarray, others: np.ndarray, radii: np.ndarray) -> np.ndarray:
    """(m,) how many backbone atoms each of another chain's heavy atoms is too close to."""
    return _too_close(xyz.reshape(-1, 3), _backbone_radii(len(xyz)), others, radii).sum(0)


def _backbone_radii(n: int) -> np.ndarray:
    return np.tile([RADII[name[0]] for name in BACKBONE], n)


def _too_close(a: np.ndarray, a_radii: np.ndarray, b: np.ndarray, b_radii: np.ndarray) -> Any:
    limit = a_radii[:, None] + b_radii[None] - OVERLAP
    return backbone.squared_distances(a, b) < limit**2


def best_first(row: Row) -> tuple[int, float, int, str]:
    """Sort key, a total order: fewest failed checks, most hotspots, most contacts, then name."""
    checks_failed = len(row["failed"].split())
    return (checks_failed, -(row["hotspots_contacted"] or 0), -row["contacts"], row["design"])
