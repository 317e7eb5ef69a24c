"""Residue numbers: read, written, compared."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pxtools.structure.residue_number import ResidueNumber, read_hotspots, write_hotspots

numbers = st.builds(ResidueNumber, st.integers(-999_999, 999_999), st.sampled_from(["", *"aBZ"]))


@given(numbers)
def test_a_number_is_read_as_it_was_written(number: ResidueNumber) -> None:
    assert ResidueNumber.read(str(number)) == number


@given(st.lists(numbers))
def test_hotspots_are_read_as_they_were_written(hotspots: list[ResidueNumber]) -> None:
    assert read_hotspots(write_hotspots(hotspots)) == tuple(hotspots)


def test_what_runs_made_before_say() -> None:
    assert write_hotspots([ResidueNumber(40), ResidueNumber(99, "A"), ResidueNumber(-3)]) == (
        "40,99A,-3"
    )
    assert write_hotspots([]) == "none" and read_hotspots("none") == ()


@pytest.mark.parametrize("text", ["", "A", "4 0", "40AB", "1.5", "--3", "²", "12345678", "40,99"])
def test_what_is_no_number_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a residue number"):
        ResidueNumber.read(text)
