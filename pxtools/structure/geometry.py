"""Distances, superposition and areas of points in space, Å."""

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


PROBE = 1.4  # Å, a water molecule
SPHERE_POINTS = 200


def exposed_area(xyz: np.ndarray, radii: np.ndarray, of: np.ndarray) -> float:
    """Å^2 of the atoms `of` (indices) that water reaches past all atoms (Shrake & Rupley 1973)."""
    i = np.arange(SPHERE_POINTS) + 0.5
    polar, turn = np.arccos(1 - 2 * i / SPHERE_POINTS), np.pi * (1 + 5**0.5) * i
    around = [np.cos(turn) * np.sin(polar), np.sin(turn) * np.sin(polar), np.cos(polar)]
    sphere = np.stack(around, 1)
    area = 0.0
    for a in of:
        reach = radii[a] + PROBE
        near = np.linalg.norm(xyz - xyz[a], axis=1) < reach + radii + PROBE
        near[a] = False
        points = xyz[a] + reach * sphere
        covered = (distances(points, xyz[near]) < radii[near] + PROBE).any(1)
        area += 4 * np.pi * reach**2 * float(1 - covered.mean())
    return area


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
