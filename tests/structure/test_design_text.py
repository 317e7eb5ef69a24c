"""Designs read fast are what they are read slowly."""

import re
from dataclasses import fields

import numpy as np
import pytest
from conftest import DATA

from pxtools.errors import InputError
from pxtools.runs.chunk import read_chunk
from pxtools.runs.designs import chunk_texts
from pxtools.structure.complex import Complex, read_complex
from pxtools.structure.design_text import DesignReader

CHUNKS = sorted((DATA / "old_runs").glob("*/global_run_0/*/*/chunks/*.msgpack"))
TEXTS = [text for chunk in CHUNKS for _, text in chunk_texts(read_chunk(chunk))]


def assert_same(a: Complex, b: Complex) -> None:
    for field in fields(Complex):
        ours, theirs = getattr(a, field.name), getattr(b, field.name)
        same = np.array_equal(ours, theirs) if isinstance(ours, np.ndarray) else ours == theirs
        assert same, field.name


def test_a_run_reads_the_same() -> None:
    reader = DesignReader()
    assert len(TEXTS) >= 3
    for text in TEXTS:
        assert_same(reader.read("x", text), read_complex("x", text))


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace(b" GLY B0 ", b" xpb B0 "),
        lambda text: text.replace(b"A0:15", b"A0:16"),
        lambda text: text.replace(b" CB . ALA A0 ", b" XX . ALA A0 "),
        lambda text: re.sub(rb"ATOM \d+ O O . GLY B0 2 9 .*\n", b"", text),
        lambda text: re.sub(rb"(ATOM 200 .* )1 0 \?", rb"\g<1>0.5 0 ?", text),
        lambda text: text.replace(b"_atom_site.Cartn_x", b"_atom_site.Cartn_q"),
        lambda text: text.replace(b"\n_pxtools_design.", b"\n_other."),
    ],
)
def test_a_text_unlike_the_one_before_is_read_anew(change) -> None:  # type: ignore[no-untyped-def]
    reader = DesignReader()
    reader.read("x", TEXTS[0])
    text = change(TEXTS[1])
    assert text != TEXTS[1]
    try:
        slow = read_complex("x", text)
    except InputError as error:
        with pytest.raises(InputError, match=re.escape(str(error))):
            reader.read("x", text)
    else:
        assert_same(reader.read("x", text), slow)


def test_coordinates_that_are_no_numbers_are_refused() -> None:
    reader = DesignReader()
    text = re.sub(rb"(ATOM 9 \S+ \S+ \S+ \S+ \S+ \S+ \S+ \S+) \S+", rb"\1 nan", TEXTS[0])
    with pytest.raises(InputError, match="finite"):
        reader.read("x", text)
