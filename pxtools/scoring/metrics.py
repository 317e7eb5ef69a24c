"""Scores of designs: backbone geometry, interface, target; one row a design.

A design is scored as its CIF shows it, a natural complex in the same way: the last protein chain
is the binder, the others are the target. docs/scores.md explains every column.
"""

from typing import Any

import numpy as np

from pxtools.scoring.columns import CHECKS, Row
from pxtools.scoring.complex import Complex
from pxtools.structure import backbone
from pxtools.structure.geometry import distances, squared_distances
from pxtools.structure.residues import BACKBONE, RADII

CONTACT = 8.0  # Å between CB atoms
OVERLAP = 0.8  # Å that van der Waals spheres may overlap: 95 % of natural complexes do not reach it


def score(c: Complex) -> Row:
    """Every metric of one design; `rank` and `cluster` need the others and stay None."""
    xyz, linked = c.xyz[c.binder], c.linked[c.binder]
    fold = backbone.secondary_structure(c.xyz, c.linked, ~c.proline)
    fractions = {
        name: _mean(fold[c.binder] == letter)
        for name, letter in (("helix", backbone.HELIX), ("strand", backbone.STRAND))
    }
    near = distances(c.cb[~c.binder], c.cb[c.binder]) < CONTACT
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
    return squared_distances(a, b) < limit**2
