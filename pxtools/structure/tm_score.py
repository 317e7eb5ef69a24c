"""TM-scores of CA traces that may differ in length, many at once (Zhang & Skolnick 2004, 2005).

The best alignment for a rotation is found by dynamic programming without gap penalties, the best
rotation for an alignment by superposition with weights 1 / (1 + d²/d0²)²: each step can only
raise the score. As TM-align's, the result is a lower bound, from the starts that were tried.
"""

from collections.abc import Sequence

import numpy as np

SHIFTS = range(-20, 21, 5)  # residues by which the chains are laid side by side to begin with
PARTS = ((0, 1), (0, 0.5), (0.5, 1), (0.25, 0.75))  # of the residues that have a partner then
KEPT = 4  # starts that are followed, the best
STEPS = 4  # of alignment and superposition
AT_ONCE = 256  # pairs
FAR = 1e4  # Å, where a residue is put that is not there


def tm_scores(a: np.ndarray, others: Sequence[np.ndarray]) -> np.ndarray:
    """(k,) TM-score of `a` (n, 3) and each of `others` (m, 3), over the longer one's length."""
    order = np.argsort([len(b) for b in others], kind="stable")
    found = np.zeros(len(others))
    for start in range(0, len(order), AT_ONCE):
        some = order[start : start + AT_ONCE].tolist()
        found[some] = _scores(_Traces([a] * len(some)), _Traces([others[i] for i in some]))
    return found


class _Traces:
    """k traces, centred, of up to n atoms: (k, n, 3) and how many there are of each."""

    def __init__(self, traces: Sequence[np.ndarray]):
        self.lengths = np.array([len(ca) for ca in traces])
        self.xyz = np.full((len(traces), self.lengths.max(), 3), FAR, np.float32)
        for row, ca in zip(self.xyz, traces, strict=True):
            row[: len(ca)] = ca - ca.mean(0)
        self.there = np.arange(self.xyz.shape[1]) < self.lengths[:, None]


def _scores(a: _Traces, b: _Traces) -> np.ndarray:
    longer = np.maximum(a.lengths, b.lengths)
    scale = np.maximum(1.24 * np.cbrt(np.maximum(longer, 16) - 15.0) - 1.8, 0.5)
    square = (scale**2).astype(np.float32)[:, None]
    starts = [_start(a, b, square, shift, part) for shift in SHIFTS for part in PARTS]
    sums = np.array([start[0] for start in starts])
    best = sums.max(0)
    for places in np.argsort(-sums, axis=0, kind="stable")[:KEPT]:
        moved = np.array([starts[s][1][k] for k, s in enumerate(places)])
        best = np.maximum(best, _improved(a, b, moved, square))
    return best / longer


def _start(
    a: _Traces, b: _Traces, square: np.ndarray, shift: int, part: tuple[float, float]
) -> tuple[np.ndarray, np.ndarray]:
    """Sums of scores and places of `a` laid on `b` by a part of the residues i and i + shift."""
    slack = (b.lengths - a.lengths) // 2  # the shorter chain in the middle
    partner = np.arange(a.xyz.shape[1]) + (shift + slack)[:, None]
    there = a.there & (partner >= 0) & (partner < b.lengths[:, None])
    share = (np.cumsum(there, 1) - 0.5) / np.maximum(there.sum(1, keepdims=True), 1)
    used = there & (share >= part[0]) & (share <= part[1])
    partner = np.clip(partner, 0, b.lengths[:, None] - 1)
    matched = np.take_along_axis(b.xyz, partner[..., None], 1)
    moved = _superposed(a, matched, used.astype(np.float32))
    apart = ((moved - matched) ** 2).sum(-1)
    return (there / (1 + apart / square)).sum(1), moved


def _improved(a: _Traces, b: _Traces, moved: np.ndarray, square: np.ndarray) -> np.ndarray:
    """The largest sum of scores from these places of `a` on."""
    best = np.zeros(len(moved), np.float32)
    squares_b = (b.xyz**2).sum(-1)[:, None]
    both = a.there[:, :, None] & b.there[:, None]
    for _ in range(STEPS):
        apart = (moved**2).sum(-1)[:, :, None] + squares_b - 2 * (moved @ b.xyz.swapaxes(1, 2))
        each = both / (1 + np.maximum(apart, 0) / square[:, None])
        partner, value, total = _aligned(each)
        best = np.maximum(best, total)
        matched = np.take_along_axis(b.xyz, np.maximum(partner, 0)[..., None], 1)
        moved = _superposed(a, matched, value**2)
    return best


def _aligned(each: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of scores (k, n, m): partners (k, n) in order, -1 for none; their scores; their sum."""
    k, n, m = each.shape
    best = np.zeros((n + 1, k, m + 1), np.float32)
    for i in range(n):
        row = np.maximum(best[i, :, 1:], best[i, :, :-1] + each[:, i])
        np.maximum.accumulate(row, axis=1, out=best[i + 1, :, 1:])
    partner, value = np.full((k, n), -1), np.zeros((k, n), np.float32)
    every, j = np.arange(k), np.full(k, m)
    for i in range(n, 0, -1):
        here = best[i, every, j]
        used = here > best[i - 1, every, j]
        # the first column that has the value is the one matched
        j = np.where(used, (best[i] >= here[:, None]).argmax(1) - 1, j)
        partner[used, i - 1] = j[used]
        value[used, i - 1] = each[used, i - 1, j[used]]
    return partner, value, best[n, :, m]


def _superposed(a: _Traces, matched: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """`a` laid on `matched` (k, n, 3) by weighted superposition; what is not there stays away."""
    share = weight / np.maximum(weight.sum(1, keepdims=True), 1e-9)
    here = np.where(a.there[..., None], a.xyz, 0)
    from_a = here - (share[..., None] * here).sum(1, keepdims=True)
    center = (share[..., None] * matched).sum(1, keepdims=True)
    u, _, vt = np.linalg.svd((from_a * share[..., None]).swapaxes(1, 2) @ (matched - center))
    u[:, :, 2] *= np.sign(np.linalg.det(u @ vt))[:, None]
    return from_a @ (u @ vt) + center
