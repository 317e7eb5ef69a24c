"""Distances, superposition and areas of points in space, Å."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

import numpy as np


def superposition(moving: np.ndarray, fixed: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
    """Rotation (3, 3), translation (3,) and RMSD (Å) that lay `moving` on `fixed`, (n, 3) each.

    `x @ rotation.T + translation` moves a point.
    """
    moving, fixed = moving.astype(np.float64), fixed.astype(np.float64)
    center_m, center_f = moving.mean(0), fixed.mean(0)
    u, _, vt = np.linalg.svd((moving - center_m).T @ (fixed - center_f))
    handed = np.diag([1, 1, np.sign(np.linalg.det(u @ vt)) or 1])
    rotation = (u @ handed @ vt).T
    translation = center_f - rotation @ center_m
    moved = moving @ rotation.T + translation
    return rotation, translation, float(np.sqrt(((moved - fixed) ** 2).sum(-1).mean()))


def paired_rmsds(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """(k,) RMSD in Å of each of `a` (k, n, 3) to its own of `b`, all centred, superposed.

    From singular values alone: no rotation is made.
    """
    covariance = a.swapaxes(1, 2) @ b
    s = np.linalg.svd(covariance, compute_uv=False)
    s[:, 2] *= np.sign(np.linalg.det(covariance))
    square = ((a**2).sum((1, 2)) + (b**2).sum((1, 2)) - 2 * s.sum(1)) / a.shape[1]
    return np.sqrt(np.maximum(square, 0))


def quartic(covariance: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Coefficients s, d, c of x^4 - 2 s x^2 - 8 d x + c for (..., 3, 3), Theobald 2005.

    Its largest root is what the signed singular values sum to (Acta Cryst. A61, 478).
    """
    k = np.ascontiguousarray(np.moveaxis(covariance.reshape(*covariance.shape[:-2], 9), -1, 0))
    minors = [
        k[a] * k[b] - k[c] * k[d]
        for a, b, c, d in (
            *((4, 8, 5, 7), (3, 8, 5, 6), (3, 7, 4, 6)),
            *((1, 8, 2, 7), (0, 8, 2, 6), (0, 7, 1, 6)),
            *((1, 5, 2, 4), (0, 5, 2, 3), (0, 4, 1, 3)),
        )
    ]
    square = (k**2).sum(0)
    det = k[0] * minors[0] - k[1] * minors[1] + k[2] * minors[2]
    return square, det, square**2 - 4 * sum(m**2 for m in minors)


def upper_bounds(covariance: np.ndarray, steps: int) -> Iterator[np.ndarray]:
    """Bounds, each lower, on what the signed singular values of (..., 3, 3) sum to.

    By Newton's method from above; no sum of three singular values is larger than the first.
    """
    square, det, constant = quartic(covariance)
    root = np.sqrt(3 * square)
    yield root
    for _ in range(steps):
        value = ((root**2 - 2 * square) * root - 8 * det) * root + constant
        slope = 4 * root * (root**2 - square) - 8 * det
        step = np.divide(value, slope, out=np.zeros_like(root), where=(slope > 0) & (value > 0))
        root = root - step
        yield root


NEWTON_STEPS = 6  # enough to tell which of many pairs fit best


def singular_value_sums(covariance: np.ndarray) -> np.ndarray:
    """What the signed singular values of (..., 3, 3) sum to, nearly; not less."""
    *_, last = upper_bounds(covariance, NEWTON_STEPS)
    return last


PROBE = 1.4  # Å, a water molecule
SPHERE_POINTS = 200
FEWER_POINTS = 100  # enough for an area that many atoms share


@cache
def _sphere(points: int) -> np.ndarray:
    """(points, 3) evenly spread on a sphere of radius 1."""
    i = np.arange(points) + 0.5
    polar, turn = np.arccos(1 - 2 * i / points), np.pi * (1 + 5**0.5) * i
    around = [np.cos(turn) * np.sin(polar), np.sin(turn) * np.sin(polar), np.cos(polar)]
    return np.stack(around, 1).astype(np.float32)


@dataclass(frozen=True)
class Spheres:
    """Atoms: places (k, 3) and van der Waals radii (k,) in Å."""

    xyz: np.ndarray
    radii: np.ndarray

    def __getitem__(self, which: np.ndarray) -> "Spheres":
        return Spheres(self.xyz[which], self.radii[which])

    def __add__(self, other: "Spheres") -> "Spheres":
        return Spheres(
            np.concatenate([self.xyz, other.xyz]), np.concatenate([self.radii, other.radii])
        )

    @property
    def areas(self) -> np.ndarray:
        """(k,) Å^2 that a water molecule's centre reaches of each atom on its own."""
        return 4 * np.pi * (self.radii + PROBE) ** 2


def covered(of: Spheres, by: Spheres, points: int = SPHERE_POINTS) -> np.ndarray:
    """(k, points) which points around the atoms `of` water cannot be at because of `by`.

    Shrake & Rupley 1973. An atom does not cover its own place.
    """
    found = np.zeros((len(of.xyz), points), bool)
    farthest = of.radii.max(initial=0) + by.radii.max(initial=0) + 2 * PROBE
    by = by[_within(by.xyz, of.xyz, farthest)]
    rows = np.flatnonzero(_within(of.xyz, by.xyz, farthest))
    of = of[rows]
    reach, other = of.radii + PROBE, by.radii + PROBE
    square = squared_distances(of.xyz, by.xyz)
    near = square < (reach[:, None] + other) ** 2
    i, j = np.divmod(np.flatnonzero(near), near.shape[1])  # faster than nonzero
    square = square[i, j]
    apart = square > 1e-4
    i, j, square = i[apart], j[apart], square[apart]
    if not len(i):
        return found
    far = np.sqrt(square)
    way = (by.xyz[j] - of.xyz[i]) / far[:, None]
    # a point is covered where the angle to the other atom is small enough
    cosine = (square + reach[i] ** 2 - other[j] ** 2) / (2 * far * reach[i])
    hit = way.astype(np.float32) @ _sphere(points).T >= cosine[:, None].astype(np.float32)
    starts = np.flatnonzero(np.append(True, i[1:] != i[:-1]))
    bits = np.bitwise_or.reduceat(np.packbits(hit, axis=1), starts)
    found[rows[i[starts]]] = np.unpackbits(bits, axis=1, count=points)
    return found


def _within(points: np.ndarray, of: np.ndarray, reach: float) -> np.ndarray:
    """(n,) which points lie in the box around `of`, widened by `reach`."""
    low, high = of.min(0, initial=np.inf) - reach, of.max(0, initial=-np.inf) + reach
    return ((points >= low) & (points <= high)).all(1)


def exposed_area(xyz: np.ndarray, radii: np.ndarray, of: np.ndarray) -> float:
    """Å^2 of the atoms `of` (indices) that water reaches past all atoms."""
    atoms = Spheres(xyz, radii)
    return float(atoms[of].areas @ (~covered(atoms[of], atoms)).mean(1))


def buried_area(a: Spheres, b: Spheres) -> float:
    """Å^2 of two bodies, added up, that water reaches on each alone and not on both together."""
    buried = 0.0
    for own, other in ((a, b), (b, a)):
        lost = covered(own, other, FEWER_POINTS)
        edge = np.flatnonzero(lost.any(1))
        lost = lost[edge] & ~covered(own[edge], own, FEWER_POINTS)
        buried += float(own[edge].areas @ lost.mean(1))
    return buried


def distances(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """(n, m) Å between points (n, 3) and (m, 3), at least 0.1."""
    square = squared_distances(a, b)
    return np.sqrt(np.maximum(square, 0.01, out=square), out=square)


def squared_distances(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """(n, m) Å^2 between points (n, 3) and (m, 3)."""
    square = a @ (-2 * b.T)
    square += (a**2).sum(-1)[:, None]
    square += (b**2).sum(-1)[None]
    return square
