"""TM-scores against TM-align's (tmtools 0.3), and where they are known."""

import gzip
from itertools import pairwise

import numpy as np
import pytest
from conftest import STRUCTURES

from pxtools.network.features import random_rotations
from pxtools.structure.complex import read_chains
from pxtools.structure.tm_score import tm_scores


def traces(name: str) -> list[np.ndarray]:
    text = gzip.decompress((STRUCTURES / name).read_bytes())
    return [np.array([r.backbone[1] for r in chain]) for chain in read_chains(name, text)]


HIV, HIV_B = traces("1HVR.pdb.gz")
MHC, B2M, _, TCR_A, TCR_B = traces("1BD2.cif.gz")


@pytest.mark.parametrize(
    "a, b, of_tm_align",
    [
        (HIV, HIV_B, 0.995),
        (MHC[:90], MHC[90:180], 0.686),  # pseudo-twofold halves of a groove
        (TCR_B, TCR_A, 0.512),  # 242 and 190 residues
        (MHC[:90], B2M, 0.344),
        (MHC[90:180], B2M, 0.310),
        (MHC[:90], HIV, 0.308),
        (B2M, HIV, 0.275),
    ],
)
def test_scores_are_near_those_of_tm_align(
    a: np.ndarray, b: np.ndarray, of_tm_align: float
) -> None:
    assert tm_scores(a, [b])[0] == pytest.approx(of_tm_align, abs=0.03)


def bundle(seed: int, length: int) -> np.ndarray:
    """CA atoms of three ideal helices of random tilts, side by side, straight loops between."""
    rng = np.random.default_rng(seed)
    first, second = rng.integers(18, 27, 2).tolist()
    corners = rng.permutation([(0, 0), (10, 0), (5, 8.7)])
    parts = []
    for k, n in enumerate((first, second, length - first - second - 8)):
        turn = np.radians(100) * np.arange(n)
        helix = np.stack([2.29 * np.cos(turn), 2.29 * np.sin(turn), 1.5 * np.arange(n)], 1)
        helix = (helix - helix.mean(0)) * [1, (-1) ** k, (-1) ** k]  # every second one goes down
        (cx, cy), (sx, sy) = np.cos(t := rng.normal(0, 0.35, 2)), np.sin(t)
        tilt = np.array([[1, 0, 0], [0, cx, -sx], [0, sx, cx]])
        tilt = tilt @ [[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]]
        parts.append(helix @ tilt.T + [*corners[k], rng.normal(0, 3)])
    loops = [np.linspace(a[-1], b[0], 6)[1:-1] for a, b in pairwise(parts)]
    return np.concatenate([parts[0], loops[0], parts[1], loops[1], parts[2]])


BUNDLES = [bundle(seed, 66 + 2 * seed) for seed in range(8)]
OF_TM_ALIGN = [
    [0.506],
    [0.416, 0.43],
    [0.489, 0.434, 0.433],
    [0.462, 0.474, 0.405, 0.461],
    [0.461, 0.449, 0.426, 0.574, 0.519],
    [0.403, 0.479, 0.538, 0.424, 0.424, 0.394],
    [0.691, 0.55, 0.392, 0.453, 0.444, 0.481, 0.472],
]


def test_scores_of_helix_bundles_are_not_below_those_of_tm_align_on_average() -> None:
    found = [tm_scores(BUNDLES[i], BUNDLES[:i]) for i in range(1, len(BUNDLES))]
    apart = np.concatenate(found) - np.concatenate([np.array(row) for row in OF_TM_ALIGN])
    assert abs(apart.mean()) < 0.025 and apart.min() > -0.15


def test_what_cannot_reach_a_score_is_given_up_and_what_does_is_found() -> None:
    others = [B2M, MHC[90:180], TCR_A]
    whole = tm_scores(MHC[:90], others)
    assert tm_scores(MHC[:90], others, 0.5)[1] >= 0.5 > whole[[0, 2]].max()
    assert (tm_scores(MHC[:90], others, 0.9) <= whole + 1e-6).all()
    assert tm_scores(MHC[:90], [B2M], 0.9)[0] == 0  # nothing was worth a second look


def test_a_trace_is_itself_in_any_frame_and_its_part_counts_for_what_it_is() -> None:
    turn = random_rotations(np.random.default_rng(0), 1)[0]
    part = HIV[10:70] @ turn + 40
    mirrored = HIV * [1, 1, -1]
    whole, some, other = tm_scores(HIV, [HIV @ turn - 9, part, mirrored])
    assert whole == pytest.approx(1, abs=1e-4)
    assert some == pytest.approx(60 / 99, abs=1e-3)
    assert other < 0.4


def test_what_is_scored_together_changes_nothing() -> None:
    others = [HIV_B, B2M, TCR_A, MHC[:90], HIV[:12], HIV[:3]]
    together = tm_scores(HIV, others)
    alone = [tm_scores(HIV, [other])[0] for other in others]
    np.testing.assert_allclose(together, alone, atol=2e-3)
    assert len(tm_scores(HIV, [])) == 0
