"""Superposition of coordinate sets (Kabsch 1976; never a mirror image)."""

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


def rmsds(a: np.ndarray, others: np.ndarray) -> np.ndarray:
    """RMSD in Å of `a` (n, 3) to each of `others` (k, n, 3), all centred, superposed one by one.

    From singular values alone: no rotation is made.
    """
    covariance = a.T @ others
    s = np.linalg.svd(covariance, compute_uv=False)
    s[:, 2] *= np.sign(np.linalg.det(covariance))
    square = ((a**2).sum() + (others**2).sum((1, 2)) - 2 * s.sum(1)) / len(a)
    return np.sqrt(np.maximum(square, 0))
