"""Scores of designs: backbone geometry, interface, target; one row a design.

A design is scored as its CIF shows it, a natural complex in the same way: the last protein chain
is the binder, the others are the target. docs/scores.md explains every column.
"""

from dataclasses import replace
from functools import cached_property

import numpy as np

from pxtools.runs.tables import columns_of, unfilled
from pxtools.scoring.columns import Scores
from pxtools.scoring.surroundings import Surroundings
from pxtools.structure import backbone
from pxtools.structure.complex import Complex
from pxtools.structure.geometry import (
    Spheres,
    buried_area,
    distances,
    exposed_area,
    squared_distances,
)
from pxtools.structure.ramachandran import outliers
from pxtools.structure.residues import BACKBONE, RADII

OVERLAP = 0.8  # Å that van der Waals spheres may overlap: 95 % of natural complexes do not reach it
CLASH_REACH = 2 * max(RADII.values()) - OVERLAP + 0.01  # Å; farther apart no two atoms clash
BACKBONE_RADII = np.array([RADII[name[0]] for name in BACKBONE])


def score(
    c: Complex, design: str = "", run: str = "", around: Surroundings | None = None
) -> Scores:
    """Every metric of one design; `rank`, `cluster` and `fold` need the others and stay None."""
    measures = Measures(c, around)
    return Scores(
        design=design, run=run, failed="", **{name: getattr(measures, name) for name in MEASURED}
    )


def lacking(row: Scores, around: Surroundings | None) -> list[str]:
    """The columns to be measured: of an older table, of one made without the task or by another."""
    is_of_another = around is not None and row.from_task != around.digest
    return unfilled(row) + (list(FROM_TASK) if is_of_another else [])


def filled_in(row: Scores, c: Complex, around: Surroundings | None = None) -> Scores:
    """The row with the columns it lacks measured; the others stay as they are."""
    measures = Measures(c, around)
    names = lacking(row, around)
    optional = [name for name in ADDED_OPTIONAL if names and getattr(row, name) is None]
    return replace(row, **{name: getattr(measures, name) for name in {*names, *optional}})


class Measures:
    """A property a column of summary.csv, each computed when it is asked for."""

    def __init__(self, c: Complex, around: Surroundings | None = None):
        self.c = c
        self.around = around
        self.xyz, self.linked = c.xyz[c.binder], c.linked[c.binder]

    @cached_property
    def _clashes_with_target(self) -> np.ndarray:
        return _clashes_with(self.xyz, self.c.target_atoms, self.c.target_radii)

    @property
    def binder_length(self) -> int:
        return len(self.xyz)

    @property
    def target_residues(self) -> int:
        return len(self.c.xyz) - len(self.xyz)

    @property
    def bonds_off(self) -> float:
        return _mean(backbone.bonds_off(self.xyz, self.linked))

    @property
    def angles_off(self) -> float:
        return _mean(backbone.angles_off(self.xyz, self.linked))

    @property
    def ca_steps_off(self) -> float:
        return _mean(backbone.ca_steps_off(self.xyz, self.linked))

    @property
    def chirality_off(self) -> float:
        return _mean(_wrong_hand(self.c, self.c.fold)[self.c.binder])

    @property
    def clashes_inside(self) -> int:
        return _clashes_inside(self.xyz)

    @property
    def clashes_target(self) -> int:
        return int(self._clashes_with_target[self.c.target_rigid].sum())

    @property
    def clashes_sidechain(self) -> int:
        return int(self._clashes_with_target[~self.c.target_rigid].sum())

    @property
    def rg(self) -> float:
        return round(backbone.radius_of_gyration(self.xyz[:, 1]), 2)

    @property
    def rg_expected(self) -> float:
        return round(backbone.expected_radius(len(self.xyz)), 2)

    @property
    def helix(self) -> float:
        return _mean(self.c.fold[self.c.binder] == backbone.HELIX)

    @property
    def strand(self) -> float:
        return _mean(self.c.fold[self.c.binder] == backbone.STRAND)

    @property
    def loop(self) -> float:
        return round(1 - self.helix - self.strand, 4)

    @property
    def contacts(self) -> int:
        return int(self.c.near.sum())

    @property
    def hotspots_contacted(self) -> float | None:
        hot = self.c.hotspots[~self.c.binder]
        return _mean(self.c.near[hot].any(1)) if hot.any() else None

    @property
    def target_rmsd(self) -> float | None:
        return self.c.target_rmsd

    @cached_property
    def _runs(self) -> list[tuple[str, int]]:
        """The binder's stretches of one secondary structure and how long they are."""
        fold = self.c.fold[self.c.binder]
        starts = np.flatnonzero(np.append(True, (fold[1:] != fold[:-1]) | ~self.linked[1:]))
        lengths = np.diff(np.append(starts, len(fold)))
        return [(str(fold[i]), int(n)) for i, n in zip(starts, lengths, strict=True)]

    @property
    def helices(self) -> int:
        return sum(letter == backbone.HELIX and n >= 4 for letter, n in self._runs)

    @property
    def strands(self) -> int:
        return sum(letter == backbone.STRAND and n >= 2 for letter, n in self._runs)

    @property
    def longest_helix(self) -> int:
        return max((n for letter, n in self._runs if letter == backbone.HELIX), default=0)

    @property
    def ramachandran_off(self) -> float:
        known, off = outliers(self.xyz, self.linked)
        own_cb = self.c.own_cb[self.c.binder]
        counted = known & ~self.c.proline[self.c.binder] & (own_cb if own_cb.any() else True)
        return _mean(off[counted])

    @cached_property
    def _target(self) -> Spheres:
        return Spheres(self.c.target_atoms, self.c.target_radii)

    @cached_property
    def _binder(self) -> Spheres:
        """Backbone atoms, then the CB atoms that there are."""
        cb = self.c.cb[self.c.binder][self.c.own_cb[self.c.binder]]
        radii = [*np.tile(BACKBONE_RADII, len(self.xyz)), *[RADII["C"]] * len(cb)]
        return Spheres(np.concatenate([self.xyz.reshape(-1, 3), cb]), np.array(radii))

    @property
    def buried_area(self) -> float:
        return round(buried_area(self._target, self._binder), 1)

    @property
    def interface_target(self) -> int:
        return int(self.c.near.any(1).sum())

    @property
    def interface_binder(self) -> int:
        return int(self.c.near.any(0).sum())

    @property
    def epitope(self) -> str | None:
        touched = np.flatnonzero(~self.c.binder)[self.c.near.any(1)]
        return " ".join(f"{chain}:{n}" for chain, n in (self.c.keys[i] for i in touched)) or None

    @property
    def hotspot_distance(self) -> float | None:
        hot = self.c.hotspots & ~self.c.binder
        if not hot.any():
            return None
        nearest = distances(self.c.cb[hot], self.c.cb[self.c.binder]).min(1)
        return round(float(nearest.mean()), 2)

    @property
    def n_term_target(self) -> float:
        return self._to_target(self.xyz[0, 0])

    @property
    def c_term_target(self) -> float:
        return self._to_target(self.xyz[-1, 2])

    def _to_target(self, point: np.ndarray) -> float:
        return round(float(distances(point[None], self.c.target_atoms).min()), 2)

    @property
    def n_term_exposed(self) -> float:
        return self._exposed(np.arange(4))

    @property
    def c_term_exposed(self) -> float:
        return self._exposed(np.arange(4) + 4 * (len(self.xyz) - 1))

    def _exposed(self, atoms: np.ndarray) -> float:
        whole = self._binder + self._target
        return round(exposed_area(whole.xyz, whole.radii, atoms), 1)

    @property
    def termini_distance(self) -> float:
        return round(float(np.linalg.norm(self.xyz[0, 0] - self.xyz[-1, 2])), 2)

    @property
    def clashes_cropped(self) -> int | None:
        if self.around is None:
            return None
        cut = self.around.around(self.c)
        return int(_clashes_with(self.xyz, cut, self.around.cut_radii).sum()) if len(cut) else 0

    @property
    def avoid_contacts(self) -> int | None:
        if self.around is None:
            return None
        target = np.flatnonzero(~self.c.binder)
        avoided = [self.c.keys[i] in self.around.avoided for i in target]
        return int(self.c.near[avoided].sum())

    @property
    def from_task(self) -> str | None:
        return self.around.digest if self.around else None


FROM_TASK = ("clashes_cropped", "avoid_contacts", "from_task")
ADDED_OPTIONAL = ("epitope", "hotspot_distance")
MEASURED = tuple(c.name for c in columns_of(Scores) if hasattr(Measures, c.name))


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
    return np.asarray(mirrored | (turns & whole))


def _clashes_inside(xyz: np.ndarray) -> int:
    """Pairs of backbone atoms, at least two residues apart, that are too close."""
    ca, reach = xyz[:, 1], _reach(xyz)
    apart = np.triu(squared_distances(ca, ca) < (2 * reach + CLASH_REACH) ** 2, 2)
    i, j = np.nonzero(apart)
    square = ((xyz[i][:, :, None] - xyz[j][:, None]) ** 2).sum(-1)
    limit = BACKBONE_RADII[:, None] + BACKBONE_RADII[None] - OVERLAP
    return int((square < limit**2).sum())


def _clashes_with(xyz: np.ndarray, others: np.ndarray, radii: np.ndarray) -> np.ndarray:
    """(m,) how many backbone atoms each of another chain's heavy atoms is too close to."""
    count = np.zeros(len(others), int)
    near = squared_distances(xyz[:, 1], others).min(0) < (_reach(xyz) + CLASH_REACH) ** 2
    points, limit = xyz.reshape(-1, 3), np.tile(BACKBONE_RADII, len(xyz)) - OVERLAP
    close = squared_distances(points, others[near]) < (limit[:, None] + radii[near]) ** 2
    count[near] = close.sum(0)
    return count


def _reach(xyz: np.ndarray) -> float:
    """Å from a residue's CA to the farthest of its backbone atoms, over all residues."""
    return float(np.sqrt(((xyz - xyz[:, 1:2]) ** 2).sum(-1).max()))
