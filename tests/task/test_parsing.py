"""The sentence for a task file that is no YAML or JSON: its line and the usual cause."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pxtools.errors import InputError
from pxtools.task.parsing import parse
from pxtools.task.reading import read_tasks

WRONG_YAML = {
    "tab": ("binder_length: 80\ntarget:\n\tfile: x\n", "line 3: a tab"),
    "tab after a colon": ("binder_length:\t80\n", "line 1: a tab"),
    "no colon": ("binder_length 80\ntarget:\n  file: x\n", 'line 1: a colon is missing after "bin'),
    "no colon, last": ("target:\n  file: x\nbinder_length 80\n", "line 3: a colon and a space"),
    "no colon, chain": (
        "chains:\n    A\n      crop: all\n",
        'line 2: a colon is missing after "A"',
    ),
    "no space": ("binder_length:80\ntarget:\n  file: x\n", '"binder_length: 80"'),
    "indent": ("target:\n   file: x\n  chains:\n", 'line 3: "chains:" is indented unlike'),
    "deeper": ("target:\n  file: x\n    chains:\n", 'line 3: "chains:" is indented unlike'),
    "bracket": ("a: [1, 2\nb: 3\n", "line 1: a comma or the closing ] is missing"),
    "quote": ("a: 1\nb: 'x\nc: 3\n", "line 2: the closing quote"),
    "no colon above braces": (
        "length 40\ntarget: {a: b, c: d}\n",
        'line 1: a colon is missing after "length 40"',
    ),
    "two colons": ("name: a: b\n", 'two colons in "name: a: b"'),
    "at": ("a: 1\nname: @x\n", "line 2: put the text that begins with '@' in quotes"),
    "star": ("name: *x\n", "in quotes"),
    "two documents": ("a: 1\n---\nb: 2\n", "line 2: a second document"),
    "twice": ("a: 1\nb:\n  c: 2\n  c: 3\n", "c is given twice (lines 3 and 4)"),
    "path of Windows": ('file: "C:\\x\\y.cif"\n', "use single ones"),
}
WRONG_JSON = {
    "trailing comma": ('[{"a": 1,\n}]', "a comma too many before }"),
    "trailing comma in a list": ("[1,\n2,\n]", "a comma too many before ]"),
    "two commas": ("[1,,2]", "a comma too many"),
    "comment": ("[\n// hi\n1]", "line 2: JSON has no comments"),
    "comment of Python": ("[1, # hi\n2]", "line 1: JSON has no comments"),
    "single quotes": ("[{'a': 1}]", "straight double quotes"),
    "quotes of a text editor": ("[{“a”: 1}]", "straight double quotes"),
    "no quotes": ("[{a: 1}]", 'names stand in double quotes: "a"'),
    "no colon": ('[{"a" 1}]', "a colon is missing before 1"),
    "no comma": (
        '[{"a": 1\n "b": 2}]',
        'line 2: a comma or a closing bracket is missing before "b"',
    ),
    "cut off": ('[{"a": 1', "the file ends early"),
    "open text": ('[{"a": "x\n"}]', 'closing " of a text'),
    "Python": ("[None]", "true, false or null, found None"),
    "two lists": ("[1]\n[2]", "line 2: more after the end"),
    "twice": ('[{"a": 1,\n"a": 2}]', '"a" is given twice (lines 1 and 2)'),
}


@pytest.mark.parametrize("text, part", WRONG_YAML.values(), ids=WRONG_YAML)
def test_what_is_wrong_with_a_yaml_file(text: str, part: str) -> None:
    with pytest.raises(InputError) as error:
        parse("task.yaml", text)
    assert part in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize("text, part", WRONG_JSON.values(), ids=WRONG_JSON)
def test_what_is_wrong_with_a_json_file(text: str, part: str) -> None:
    with pytest.raises(InputError) as error:
        parse("task.json", text)
    assert part in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize("name", ["x.json", "x.yaml"])
def test_an_empty_file_is_said_to_be_empty(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text("\n")
    with pytest.raises(InputError, match=r"expected a task such as .*, found nothing"):
        read_tasks(str(tmp_path / name))


def test_a_yaml_file_called_json_is_named() -> None:
    with pytest.raises(InputError, match=r"name a YAML task file \.yaml"):
        parse("task.json", "binder_length: 80\n")


def test_yaml_keeps_what_was_typed() -> None:
    """YAML 1.1 reads 640, 8, False, 1000.0 and a date here."""
    text = "{a: 10:40, b: 010, NO: no, c: 1e3, d: 2024-01-05, e: 99A, f: 1_000}"
    assert parse("task.yaml", "x: " + text)["x"] == {
        **{"a": "10:40", "b": "010", "NO": "no", "c": "1e3", "d": "2024-01-05"},
        **{"e": "99A", "f": "1_000"},
    }
    assert parse("task.yaml", "a: ~\nb:\nc: TRUE\nd: false\n") == {
        **{"a": None, "b": None, "c": True, "d": False}
    }


def test_a_merged_field_may_be_given_again() -> None:
    text = "a: &a {crop: all, msa: x}\nb:\n  <<: *a\n  crop: 1-50\n"
    assert parse("task.yaml", text)["b"] == {"crop": "1-50", "msa": "x"}


@given(st.text("[]{}:,'\"\t\n ab#-&*!|>%@`?<", max_size=60), st.sampled_from(["x.json", "x.yaml"]))
def test_any_signs_are_read_or_refused(text: str, name: str) -> None:
    try:
        parse(name, text)
    except InputError as error:
        assert "\n" not in str(error)
