"""TM-scores against TM-align's (tmtools 0.3), and where they are known."""

import gzip

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
