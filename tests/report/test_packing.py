import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as some

from pxtools.report.packing import pack, unpack


@given(
    some.arrays(
        np.float64,
        st.tuples(st.integers(0, 40), st.just(3)),
        elements=st.floats(-1e6, 1e6, allow_nan=False),
    )
)
def test_points_come_back_to_a_hundredth(xyz: np.ndarray) -> None:
    assert np.allclose(unpack(pack(xyz)), xyz, rtol=0, atol=0.00501)


def test_a_chain_takes_under_two_bytes_a_coordinate() -> None:
    steps = np.random.default_rng(1).normal(0, 0.9, (3000, 3))
    assert len(pack(steps.cumsum(0))) < 2 * 9000


@pytest.mark.parametrize("bad", [np.nan, np.inf, 1.1e6])
def test_what_is_no_place_is_refused(bad: float) -> None:
    with pytest.raises(ValueError, match="not finite"):
        pack(np.array([[0.0, bad, 0.0]]))
