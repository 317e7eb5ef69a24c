"""Which designs are alike: clusters by RMSD, led by the best of each.

Exact, though few pairs are superposed. A pair is too far apart to be looked at further where
- the distances of its atoms to their centre differ by more (no rotation changes them), or
- an upper bound on what superposition can reach says so: the largest root of the quartic of
  Theobald 2005 (Acta Cryst. A61, 478), approached from above. All pairs' covariances are one
  matrix product.
"""

from collections.abc import Sequence

import numpy as np

from pxtools.structure.geometry import paired_rmsds

BLOCK = 256  # designs compared with all leaders at once
SLAB = 1024  # leaders at once
STEPS = 4  # of Newton's method; pairs that are left are superposed
ROUNDING = float(np.finfo(np.float32).eps)  # of a product of float32


def lead_by_rmsd(places: Sequence[np.ndarray], limit: float) -> np.ndarray:
    """For each design, best first, the number of the one that leads its cluster: itself or the
    first leader within `limit` Å of CA RMSD. `places` are CA atoms (n, 3); only designs of one
    length are compared."""
    leader = np.arange(len(places))
    lengths = np.array([len(ca) for ca in places], int)
    for length in np.unique(lengths):
        own = np.flatnonzero(lengths == length)
        folds = _Folds.of(np.stack([places[i] for i in own.tolist()]).astype(np.float64))
        leader[own] = own[_lead(folds, limit)]
    return leader


class _Folds:
    """k folds of n atoms: centred places (k, n, 3), distances to the centre (k, n), their sums."""

    def __init__(self, xyz: np.ndarray, radial: np.ndarray, square: np.ndarray):
        self.xyz = xyz
        self.radial = radial
        self.square = square

    @classmethod
    def of(cls, xyz: np.ndarray) -> "_Folds":
        centred = xyz - xyz.mean(1, keepdims=True)
        square = (centred**2).sum(-1)
        return cls(centred, np.sqrt(square).astype(np.float32), square.sum(1))

    def __len__(self) -> int:
        return len(self.xyz)

    def __getitem__(self, which: slice | np.ndarray) -> "_Folds":
        return _Folds(self.xyz[which], self.radial[which], self.square[which])


def _lead(folds: _Folds, limit: float) -> np.ndarray:
    leader = np.arange(len(folds))
    leaders = np.zeros(0, int)
    for start in range(0, len(folds), BLOCK):
        block = np.arange(start, min(start + BLOCK, len(folds)))
        first = np.full(len(block), -1)
        for slab in range(0, len(leaders), SLAB):
            open_ = np.flatnonzero(first < 0)
            some = leaders[slab : slab + SLAB]
            near = _near(folds[block[open_]], folds[some], limit)
            found = near.any(1)
            first[open_[found]] = some[near[found].argmax(1)]
        left = block[first < 0]
        leader[block[first >= 0]] = first[first >= 0]
        near = _near(folds[left], folds[left], limit)
        leads = np.zeros(len(left), bool)
        for i in range(len(left)):
            mine = np.flatnonzero(near[i, :i] & leads[:i])
            leads[i] = not len(mine)
            leader[left[i]] = left[mine[0]] if len(mine) else left[i]
        leaders = np.concatenate([leaders, left[leads]])
    return leader


def _near(a: _Folds, b: _Folds, limit: float) -> np.ndarray:
    """(len(a), len(b)) whether superposition brings the pair within `limit` Å."""
    n = a.xyz.shape[1]
    sums = a.square[:, None] + b.square[None]  # Å^2, over both folds' atoms
    slack = n * ROUNDING * sums  # no sum of n products is rounded by more
    near = sums - 2 * (a.radial @ b.radial.T) <= n * limit**2 + 2 * slack
    if not near.any():
        return near
    i, j = np.nonzero(near)
    flat_a = a.xyz.astype(np.float32).swapaxes(1, 2).reshape(-1, n)
    flat_b = b.xyz.astype(np.float32).swapaxes(1, 2).reshape(-1, n)
    covariance = (flat_a @ flat_b.T).reshape(len(a), 3, len(b), 3)[i, :, j]
    needed = (sums[i, j] - n * limit**2) / 2  # what the singular values must sum to
    possible = _may_reach(covariance.astype(np.float64), needed - slack[i, j])
    i, j = i[possible], j[possible]
    near[:] = False
    near[i, j] = paired_rmsds(a.xyz[i], b.xyz[j]) <= limit
    return near


def _may_reach(covariance: np.ndarray, needed: np.ndarray) -> np.ndarray:
    """(k,) False where the signed singular values of (k, 3, 3) surely sum to less."""
    k = covariance.reshape(-1, 9).T
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
    constant = square**2 - 4 * sum(m**2 for m in minors)
    root = np.sqrt(3 * square)  # no sum of three singular values is larger
    possible = root >= needed
    for _ in range(STEPS):
        value = ((root**2 - 2 * square) * root - 8 * det) * root + constant
        slope = 4 * root * (root**2 - square) - 8 * det
        step = np.divide(value, slope, out=np.zeros_like(root), where=(slope > 0) & (value > 0))
        root = root - step
        possible &= root >= needed
    return possible
