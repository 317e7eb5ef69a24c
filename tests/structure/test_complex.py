"""Chains of a structure file as a complex."""

import pytest
from variants import A, B, chain, shifted, text

from pxtools.structure.complex import read_chains


@pytest.mark.parametrize(
    ("lines", "breaks"),
    [
        (A, 0),
        ([*chain("A", 1, 39), *chain("A", 46)], 1),  # a gap
        ([*chain("A", 1, 39), *shifted(chain("A", 40), 7)], 0),  # as antibodies are numbered
    ],
)
def test_residues_are_linked_by_numbers_or_by_their_bond(lines: list[str], breaks: int) -> None:
    first, _ = read_chains("x.pdb", text([*lines, "TER", *B]))
    assert [residue.is_linked for residue in first].count(False) == 1 + breaks
