"""TM-scores of CA traces that may differ in length, many at once (Zhang & Skolnick 2004, 2005).

The best alignment for a rotation is found by dynamic programming without gap penalties, the best
rotation for an alignment by superposition with weights 1 / (1 + d²/d0²)²: each step can only
raise the score. As TM-align's, the result is a lower bound, from the starts that were tried.
"""

import numpy as np

SHIFTS = (0, -4, 4, -10, 10)  # residues by which the chains are laid side by side to begin with
KEPT = 3  # starts that are followed, the best
STEPS = 5  # of alignment and superposition
AT_ONCE = 256  # pairs


def tm_scores(a: np.ndarray, others: list[np.ndarray]) -> np.ndarray:
    """(k,) TM-score of `a` (n, 3) and each of `others` (m, 3), over the longer one's length."""
    order = np.argsort([len(b) for b in others], kind="stable")
    found = np.zeros(len(others))
    for start in range(0, len(order), AT_ONCE):
        some = order[start : start + AT_ONCE]
        found[some] = _scores(a, [others[i] for i in some])
    return found


def d0(length: np.ndarray) -> np.ndarray:
    """Å; Zhang & Skolnick's scale, at least 0.5."""
    return np.maximum(1.24 * np.cbrt(np.maximum(length, 16) - 15.0) - 1.8, 0.5)


def _scores(a: np.ndarray, others: list[np.ndarray]) -> np.ndarray:
    lengths = np.array([len(b) for b in others])
    b = np.full((len(others), lengths.max(), 3), 1e4, np.float32)  # what is not there is far away
    for row, other in zip(b, others, strict=True):
        row[: len(other)] = other - other.mean(0)
    a = (a - a.mean(0)).astype(np.float32)
    longer = np.maximum(lengths, len(a))
    scale = d0(longer).astype(np.float32)
    starts = [_start(a, b, lengths, scale, shift, part) for shift in SHIFTS for part in range(3)]
    scores = np.array([score for score, _ in starts])
    best = np.zeros(len(others), np.float32)
    for place in np.argsort(-scores, axis=0, kind="stable")[:KEPT]:
        moved = np.array([starts[s][1][k] for k, s in enumerate(place)])
        best = np.maximum(best, _improved(a, b, moved, scale))
    return best / longer


def _start(
    a: np.ndarray, b: np.ndarray, lengths: np.ndarray, scale: np.ndarray, shift: int, part: int
) -> tuple[np.ndarray, np.ndarray]:
    """Sums and places of `a` (k, n, 3) laid on `b`, residue i on i + shift.

    By all residues that have a partner, or by those in the first or last half of them.
    """
    n = len(a)
    slack = (lengths - n) // 2  # the shorter chain in the middle
    partner = np.arange(n)[None] + (shift + slack)[:, None]
    there = (partner >= 0) & (partner < lengths[:, None])
    rank = np.cumsum(there, 1)
    half = (there.sum(1, keepdims=True) + 1) // 2
    weight = there & [rank >= 0, rank <= half, rank > half][part]
    partner = np.clip(partner, 0, lengths[:, None] - 1)
    matched = np.take_along_axis(b, partner[..., None], 1)
    moved = _superposed(a, matched, weight.astype(np.float32))
    square = ((moved - matched) ** 2).sum(-1) / (scale**2)[:, None]
    return (there / (1 + square)).sum(1), moved


def _improved(a: np.ndarray, b: np.ndarray, moved: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """The largest sum of 1 / (1 + d²/d0²) from these places on."""
    best = np.zeros(len(b), np.float32)
    for _ in range(STEPS):
        square = ((moved**2).sum(-1)[:, :, None] + (b**2).sum(-1)[:, None]) - 2 * (
            moved @ b.swapaxes(1, 2)
        )
        each = 1 / (1 + np.maximum(square, 0) / (scale**2)[:, None, None])
        partner, value, total = _aligned(each)
        best = np.maximum(best, total)
        matched = np.take_along_axis(b, np.maximum(partner, 0)[..., None], 1)
        moved = _superposed(a, matched, np.where(partner >= 0, value**2, 0))
    return best


def _aligned(each: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of scores (k, n, m): partners (k, n) in order, -1 for none; their scores; their sum."""
    k, n, m = each.shape
    best = np.zeros((n + 1, k, m + 1), np.float32)
    for i in range(n):
        row = np.maximum(best[i, :, 1:], best[i, :, :-1] + each[:, i])
        best[i + 1, :, 1:] = np.maximum.accumulate(row, axis=1)
    partner = np.full((k, n), -1)
    value = np.zeros((k, n), np.float32)
    every, j = np.arange(k), np.full(k, m)
    for i in range(n, 0, -1):
        here = best[i, every, j]
        used = (here > best[i - 1, every, j]) & (j > 0)
        # the first column that has the value is the one matched
        first = (best[i] >= here[:, None]).argmax(1)
        j = np.where(used, first - 1, j)
        partner[used, i - 1] = j[used]
        value[used, i - 1] = each[used, i - 1, j[used]]
    return partner, value, best[n, :, m]


def _superposed(a: np.ndarray, matched: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """`a` (n, 3) laid on each of `matched` (k, n, 3) by weighted superposition, (k, n, 3)."""
    share = weight / np.maximum(weight.sum(1, keepdims=True), 1e-9)
    center_a, center_b = share @ a, (share[..., None] * matched).sum(1)
    from_a = a[None] - center_a[:, None]
    from_b = matched - center_b[:, None]
    u, _, vt = np.linalg.svd((from_a * share[..., None]).swapaxes(1, 2) @ from_b)
    u[:, :, 2] *= np.sign(np.linalg.det(u @ vt))[:, None]
    return from_a @ (u @ vt) + center_b[:, None]
