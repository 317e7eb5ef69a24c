"""TM-scores of CA traces that may differ in length, many at once (Zhang & Skolnick 2004, 2005).

Stretches of both traces that fit each other say how one may be laid on the other; the most
promising of these poses are improved: the best alignment for a pose is found by dynamic programming
without gap penalties, the best pose for an alignment by superposition with weights
1 / (1 + d²/d0²)². As TM-align's, the result is what some pose reaches: a lower bound.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pxtools.structure.geometry import singular_value_sums

WINDOW = 32  # residues of a stretch
STRIDES = 3, 4  # residues between the first ones of two: without a common divisor, for all shifts
STARTS = 24  # stretches of a pair that are looked at, those that fit best
COARSE = 3  # of so many residues one is looked at to begin with
# residues of which one is looked at, poses of a pair that are improved, and what a score may lack
# of the one that is asked for (1 % of the pairs that would reach 0.5 lack more)
ROUNDS = ((3, 8, 0.09), (3, 4, 0.05), (1, 3, 0.09), (1, 3, 0.05), (1, 2, 0.03), (1, 2, 0.0))
AT_ONCE = 64  # pairs
FAR = 1e4  # Å, where a residue is put that is not there


def tm_scores(a: np.ndarray, others: Sequence[np.ndarray], at_least: float = 0.0) -> np.ndarray:
    """(k,) TM-score of `a` (n, 3) and each of `others` (m, 3), over the longer one's length.

    Where `at_least` is given, one pair that reaches it is enough: what is behind it then, or does
    not seem to reach it, is given up, with what it reached until then.
    """
    a = (a - a.mean(0)).astype(np.float32)
    lengths = np.array([len(b) for b in others], int)
    windows = np.minimum(lengths, min(WINDOW, len(a)))
    found = np.zeros(len(others))
    for window in np.unique(windows).tolist():
        own = np.flatnonzero(windows == window)
        own = own[np.argsort(lengths[own], kind="stable")]
        for start in range(0, len(own), AT_ONCE):
            some = own[start : start + AT_ONCE].tolist()
            found[some] = _scores(a, _Traces.of([others[i] for i in some]), window, at_least)
            if 0 < at_least <= found.max():
                return found
    return found


@dataclass(frozen=True)
class _Traces:
    """k traces, centred, of up to n atoms: (k, n, 3) Å, and how many there are of each."""

    xyz: np.ndarray
    lengths: np.ndarray

    @classmethod
    def of(cls, traces: Sequence[np.ndarray]) -> "_Traces":
        lengths = np.array([len(ca) for ca in traces])
        xyz = np.full((len(traces), lengths.max(), 3), FAR, np.float32)
        for row, ca in zip(xyz, traces, strict=True):
            row[: len(ca)] = ca - ca.mean(0)
        return cls(xyz, lengths)


@dataclass(frozen=True)
class _Poses:
    """p ways to lay `a` on one of the others, x @ rotation + shift, and what they may score."""

    pair: np.ndarray  # (p,) which of the others
    rotation: np.ndarray  # (p, 3, 3)
    shift: np.ndarray  # (p, 3) Å
    score: np.ndarray  # (p,)

    def best(self, n: int, at_least: float) -> "_Poses":
        """The `n` best of each pair, of those that score at least so much."""
        order = np.lexsort((-self.score, self.pair))
        pair = self.pair[order]
        place = np.arange(len(order)) - np.searchsorted(pair, pair)
        kept = order[(place < n) & (self.score[order] >= at_least)]
        return _Poses(self.pair[kept], self.rotation[kept], self.shift[kept], self.score[kept])


def _scores(a: np.ndarray, b: _Traces, window: int, at_least: float) -> np.ndarray:
    longer = np.maximum(b.lengths, len(a))
    scale = np.maximum(1.24 * np.cbrt(np.maximum(longer, 16) - 15.0) - 1.8, 0.5)
    square = (scale**2).astype(np.float32)
    best = np.zeros(len(longer))
    poses = _starts(a, b, window, square)
    lacking = at_least
    for stride, keep, lack in ROUNDS:
        poses = poses.best(keep, at_least - lacking)
        if not len(poses.pair):
            break
        poses = _improved(a[stride // 2 :: stride] if len(a) > stride else a, b, poses, square)
        score = poses.score * len(a) / longer[poses.pair]
        poses = _Poses(poses.pair, poses.rotation, poses.shift, score)
        if stride == 1:
            np.maximum.at(best, poses.pair, score)
            if 0 < at_least <= best.max():
                break
        lacking = lack
    return best


def _starts(a: np.ndarray, b: _Traces, window: int, square: np.ndarray) -> _Poses:
    """Poses by the stretches that fit best, scored without regard to the order of residues."""
    of_a, of_b = (_stretches(x, window, n) for x, n in zip((a, b.xyz), STRIDES, strict=True))
    k, m = of_b.shape[:2]
    center_a, center_b = of_a.mean(-2), of_b.mean(-2)
    from_a, from_b = of_a - center_a[:, None], of_b - center_b[:, :, None]
    flat_b = from_b.transpose(2, 0, 1, 3).reshape(window, -1)
    covariance = (from_a.swapaxes(1, 2).reshape(-1, window) @ flat_b).reshape(-1, 3, k, m, 3)
    covariance = covariance.transpose(2, 0, 3, 1, 4).reshape(k, -1, 3, 3)
    squares = (from_a**2).sum((1, 2))[:, None] + (from_b**2).sum((2, 3))[:, None]
    apart = squares.reshape(k, -1) - 2 * singular_value_sums(covariance)
    there = np.arange(m) * STRIDES[1] + window <= b.lengths[:, None]
    apart[~np.repeat(there[:, None], len(of_a), 1).reshape(k, -1)] = np.inf
    n = min(STARTS, apart.shape[1])
    chosen = np.argpartition(apart, n - 1, axis=1)[:, :n]
    pair, chosen = np.repeat(np.arange(k), n), chosen.ravel()
    real = apart[pair, chosen] < np.inf
    pair, chosen = pair[real], chosen[real]
    rotation = _rotations(covariance[pair, chosen])
    on, at = center_b[pair, chosen % m], center_a[chosen // m]
    shift = on - (at[:, None] @ rotation)[:, 0]
    some = a[1::COARSE] if len(a) > COARSE else a
    nearest = _apart(some @ rotation + shift[:, None], b.xyz[pair]).min(-1)
    return _Poses(pair, rotation, shift, (1 / (1 + nearest / square[pair, None])).mean(-1))


def _stretches(xyz: np.ndarray, window: int, stride: int) -> np.ndarray:
    """(..., n, 3) -> (..., stretches, window, 3)."""
    found = np.lib.stride_tricks.sliding_window_view(xyz, window, -2)[..., ::stride, :, :]
    return found.swapaxes(-1, -2)


def _improved(a: np.ndarray, b: _Traces, poses: _Poses, square: np.ndarray) -> _Poses:
    """Each pose's score by the best alignment, and the pose that fits this alignment best."""
    on = b.xyz[poses.pair]
    apart = _apart(a @ poses.rotation + poses.shift[:, None], on)
    partner, value, total = _aligned(1 / (1 + apart / square[poses.pair, None, None]))
    matched = np.take_along_axis(on, np.maximum(partner, 0)[..., None], 1)
    weight = value**2 / np.maximum((value**2).sum(1, keepdims=True), 1e-9)
    center_a, center_b = weight @ a, (weight[:, None] @ matched)[:, 0]
    rotation = _rotations((a.T * weight[:, None]) @ (matched - center_b[:, None]))
    shift = center_b - (center_a[:, None] @ rotation)[:, 0]
    return _Poses(poses.pair, rotation, shift, total / len(a))


def _apart(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """(k, n, m) Å^2 between (k, n, 3) and (k, m, 3)."""
    square = a @ (-2 * b.swapaxes(-1, -2))
    square += (a**2).sum(-1)[..., None]
    square += (b**2).sum(-1)[..., None, :]
    return np.maximum(square, 0, out=square)


def _aligned(each: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of scores (k, n, m): partners (k, n) in order, -1 for none; their scores; their sum."""
    k, n, m = each.shape
    best = np.zeros((n + 1, k, m + 1), np.float32)
    for i in range(n):
        row = best[i, :, :-1] + each[:, i]
        np.maximum(row, best[i, :, 1:], out=row)
        np.maximum.accumulate(row, axis=1, out=best[i + 1, :, 1:])
    partner, value = np.full((k, n), -1), np.zeros((k, n), np.float32)
    every, j = np.arange(k), np.full(k, m)
    for i in range(n, 0, -1):
        here = best[i, every, j]
        used = np.flatnonzero(here > best[i - 1, every, j])
        # the first column that has the value is the one matched
        j[used] = (best[i, used] >= here[used, None]).argmax(1) - 1
        partner[used, i - 1] = j[used]
        value[used, i - 1] = each[used, i - 1, j[used]]
    return partner, value, best[n, :, m]


def _rotations(covariance: np.ndarray) -> np.ndarray:
    """(k, 3, 3) that lay row vectors best on those that they covary with."""
    u, _, vt = np.linalg.svd(covariance)
    u[:, :, 2] *= np.sign(np.linalg.det(u @ vt))[:, None]
    return u @ vt
