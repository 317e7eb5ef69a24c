"""Which designs are alike: clusters by RMSD, led by the best of each, and folds by TM-score.

Clusters are exact, though few pairs are superposed. A pair is too far apart to be looked at
further where
- the distances of its atoms to their centre differ by more (no rotation changes them), or
- an upper bound on what superposition can reach says so: the largest root of the quartic of
  Theobald 2005 (Acta Cryst. A61, 478), approached from above. All pairs' covariances are one
  matrix product.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from pxtools.structure.geometry import paired_rmsds, upper_bounds
from pxtools.structure.tm_score import tm_scores

BLOCK = 256  # designs compared with all leaders at once
SLAB = 1024  # leaders at once
STEPS = 4  # of Newton's method; pairs that are left are superposed
COMPARISONS = 80_000  # of folds in all, so many for each design
FEWEST = 8  # for each design, nevertheless
AT_FIRST = 3  # that a design is compared with: most follow one of these
FOLDS_AT_ONCE = 32  # designs whose leaders are looked for together
OUTLINE_POINTS, OUTLINE_REACH = 20, 12.0  # Å
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
    return np.all([bound >= needed for bound in upper_bounds(covariance, STEPS)], axis=0)


@dataclass(frozen=True)
class Comparison:
    """A fold, CA atoms (n, 3) in Å, and others that it may be like, the likeliest first."""

    ca: np.ndarray
    others: list[np.ndarray]

    def first_alike(self, at_least: float) -> int | None:
        """The place of one with a TM-score of `at_least`."""
        for start, end in ((0, AT_FIRST), (AT_FIRST, len(self.others))):
            scores = tm_scores(self.ca, self.others[start:end], at_least)
            if len(scores) and scores.max() >= at_least:
                return start + int(scores.argmax())
        return None


Compare = Callable[[list[Comparison], float], Iterable[int | None]]


def one_by_one(comparisons: list[Comparison], at_least: float) -> Iterator[int | None]:
    return (comparison.first_alike(at_least) for comparison in comparisons)


def lead_by_fold(
    places: Sequence[np.ndarray], at_least: float, compare: Compare = one_by_one
) -> np.ndarray:
    """For each design, best first, the number of the one that leads its fold: itself or a leader
    before it with a TM-score of `at_least`.

    A design is compared with the leaders whose distances within are the most similar, 8 or more.
    A score found is one that is reached, so that no design follows a leader that it is not like;
    one that is missed founds a fold more.
    """
    outlines = np.array([_outline(ca) for ca in places])
    most = max(FEWEST, COMPARISONS // max(len(places), 1))
    leader = np.arange(len(places))
    leaders = np.zeros(0, int)

    def nearest(i: int, since: int) -> list[int]:
        """Of the leaders from `since` on, those that are among the nearest of all."""
        far = ((outlines[leaders] - outlines[i]) ** 2).sum(1)
        return [j for j in leaders[np.argsort(far, kind="stable")[:most]].tolist() if j >= since]

    for start in range(0, len(places), FOLDS_AT_ONCE):
        block = range(start, min(start + FOLDS_AT_ONCE, len(places)))
        before = [nearest(i, 0) for i in block]
        asked = [
            Comparison(places[i], [places[j] for j in others])
            for i, others in zip(block, before, strict=True)
        ]
        for i, others, found in zip(block, before, compare(asked, at_least), strict=True):
            if found is None:
                others = nearest(i, start)
                new = Comparison(places[i], [places[j] for j in others])
                found = new.first_alike(at_least)
            if found is None:
                leaders = np.append(leaders, i)
            else:
                leader[i] = others[found]
    return leader


def _outline(ca: np.ndarray) -> np.ndarray:
    """(190,) how near points along a chain are to each other, 20 of them whatever its length."""
    along = np.linspace(0, len(ca) - 1, OUTLINE_POINTS)
    points = np.stack([np.interp(along, np.arange(len(ca)), x) for x in ca.T], 1)
    i, j = np.triu_indices(OUTLINE_POINTS, 1)
    return (1 / (1 + ((points[i] - points[j]) ** 2).sum(1) / OUTLINE_REACH**2)).astype(np.float32)
