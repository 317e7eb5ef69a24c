"""What people type into a task: read as meant, or refused with the nearest valid thing."""

import re
from pathlib import Path
from typing import Any

import pytest
from conftest import STRUCTURES
from hypothesis import given
from hypothesis import strategies as st
from variants import chain, put, shifted
from variants import text as text_of

from pxtools.errors import InputError
from pxtools.structure.residue_number import ResidueNumber
from pxtools.task import fields
from pxtools.task.fields import Field
from pxtools.task.reading import read_tasks
from pxtools.task.target import read_target
from pxtools.task.types import BinderLengths

AT = Field("task.yaml", "", "x")


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("1-50", ((1, 50),)),
        ("1-50, 80 - 100", ((1, 50), (80, 100))),
        (["1-50", "80-100"], ((1, 50), (80, 100))),
        ("A1-A50", ((1, 50),)),
        ("A1-50", ((1, 50),)),
        ("1–50", ((1, 50),)),
        ("-3-5", ((-3, 5),)),
        ("-5--3", ((-5, -3),)),
        ([5], ((5, 5),)),
        (["1", "3", "5"], ((1, 1), (3, 3), (5, 5))),
    ],
)
def test_a_crop_as_people_type_it(typed: Any, meant: Any) -> None:
    assert fields.crop(AT, "A", typed) == meant


@pytest.mark.parametrize(
    ("typed", "part"),
    [
        ([1, 50], 'expected "1-50" (a list keeps just its residues), found [1, 50]'),
        (["1", "50"], 'expected "1-50"'),
        ("10:40", "expected 10-40, found 10:40"),
        ("10..40", "expected 10-40"),
        ("50-1", "from low to high, 1-50"),
        ("1-", "ranges such as 1-50"),
        (False, "found false"),
        ({"A": "1-50"}, "ranges such as 1-50"),
        ("B1-50", "ranges such as 1-50"),
        ("82A-90", "or all (a number keeps its insertion codes, too), found 82A-90"),
    ],
)
def test_a_crop_that_is_refused(typed: Any, part: str) -> None:
    with pytest.raises(InputError) as error:
        fields.crop(AT, "A", typed)
    assert part in str(error.value)


def test_a_chain_of_digits_is_no_part_of_a_number() -> None:
    assert fields.crop(AT, "1", "140-150") == ((140, 150),)
    assert list(fields.hotspots(AT, "1", "140", ["1"])) == [ResidueNumber(140)]


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ([40, 99], {"40": "", "99": ""}),
        ("40,99", {"40": "", "99": ""}),
        (40, {"40": ""}),
        ("A40", {"40": ""}),
        ("A:40, A99A", {"40": "", "99A": ""}),
        ("A_40", {"40": ""}),
        (["LYS15", "Arg 17", "I19"], {"15": "LYS", "17": "ARG", "19": "ILE"}),
        ("HIE15", {"15": "HIS"}),
        ("40-42", {"40": "", "41": "", "42": ""}),
        ("A40-A42", {"40": "", "41": "", "42": ""}),
        ("-3", {"-3": ""}),
        (None, {}),
        ([], {}),
    ],
)
def test_hotspots_as_people_type_them(typed: Any, meant: Any) -> None:
    read = fields.hotspots(AT, "A", typed, ["A", "C"])
    assert {str(number): name for number, name in read.items()} == meant


@pytest.mark.parametrize(
    ("typed", "part"),
    [
        ("C40", "residues of chain A (write it under C)"),
        ("XYZ40", "residue numbers such as 40, 99 of chain A"),
        ("45-40", "from low to high such as 40-45"),
        ("1-100000", "from low to high"),
        ("LYS15-17", "residue numbers"),
        ({"A": [40]}, "residue numbers"),
        (True, "found true"),
        ("4.5", "residue numbers"),
    ],
)
def test_hotspots_that_are_refused(typed: Any, part: str) -> None:
    with pytest.raises(InputError) as error:
        fields.hotspots(AT, "A", typed, ["A", "C"])
    assert part in str(error.value)


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        (80, "80"),
        ("80", "80"),
        ("60-100", "60-100"),
        ([100, 60, "80"], "60,80,100"),
        ("60, 80", "60,80"),
        (["60-62", 80], "60,61,62,80"),
    ],
)
def test_binder_lengths_as_people_type_them(typed: Any, meant: Any) -> None:
    lengths = fields.binder_lengths(AT, typed)
    assert str(lengths) == meant
    assert fields.binder_lengths(AT, meant) == lengths


@pytest.mark.parametrize(
    "typed", [None, 0, -5, 80.5, "eighty", True, [], {}, "", "100-60", "1-9999"]
)
def test_binder_lengths_that_are_refused(typed: Any) -> None:
    with pytest.raises(InputError, match="such as"):
        fields.binder_lengths(AT, typed)


lengths = st.sets(st.integers(1, 500), min_size=1, max_size=30)


@given(lengths, st.integers(0, 10**6), st.integers(0, 10**5))
def test_a_sample_has_a_length_of_its_own(choices: Any, seed: int, sample: int) -> None:
    drawn = BinderLengths(tuple(sorted(choices))).of_sample(seed, sample)
    assert drawn in choices and type(drawn) is int


def test_lengths_are_drawn_evenly_and_stay_what_they_are() -> None:
    range_ = BinderLengths(tuple(range(60, 70)))
    drawn = [range_.of_sample(12345, sample) for sample in range(2000)]
    assert all(140 < drawn.count(length) < 260 for length in range_.choices)
    assert drawn[:8] == [62, 66, 65, 67, 60, 66, 65, 67]  # of runs made before
    assert drawn[:8] != [range_.of_sample(12346, sample) for sample in range(8)]


def yaml_task(folder: Path, text: str, name: str = "design.yaml") -> str:
    path = folder / name
    path.write_text(text.replace("BPTI", str(STRUCTURES / "5PTI.cif.gz")))
    return str(path)


OFF_BY_A_LETTER = {
    "hotspot": (
        "A: {hotspot: [15]}",
        "target.chains.A: unknown field hotspot; did you mean hotspots",
    ),
    "cropped": ("A: {cropped: 1-50}", "unknown field cropped; did you mean crop?"),
    "Crop": ("A: {Crop: 1-50}", "unknown field Crop; did you mean crop?"),
    "residues": (
        "A: {residues: 1-50}",
        "unknown field residues (known: crop, hotspots, avoid, msa)",
    ),
}


@pytest.mark.parametrize("chain, part", OFF_BY_A_LETTER.values(), ids=OFF_BY_A_LETTER)
def test_a_field_off_by_a_letter_is_refused(tmp_path: Path, chain: Any, part: str) -> None:
    text = f"binder_length: 9\ntarget:\n  file: BPTI\n  chains:\n    {chain}\n"
    with pytest.raises(InputError) as error:
        read_tasks(yaml_task(tmp_path, text))
    assert part in str(error.value)


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("name: x\nbinder_length: 9\ntarget: {file: BPTI, chains: A}", "did you mean task_name?"),
        ("binder_lenght: 9\ntarget: {file: BPTI, chains: A}", "did you mean binder_length?"),
        ("binder_length: 9\ntarget: {file: BPTI, chains: A, hotspots: [3]}", "belongs to a chain"),
        ("binder_length: 9\ntarget: {file: BPTI}", "at least one chain, such as {A: all}"),
        ("binder_length: 9\ntarget: BPTI", "expected {file: target.cif, chains: {A: all}}"),
        ("binder_length: 9\ntarget: {file: BPTI, chains: {A: some}}", "expected all, or such as"),
        ("binder_length: 9\ntarget: {file: BPTI, chains: {A: false}}", "found false"),
        ("target: {file: BPTI, chains: A}", "binder_length: expected a number of residues"),
        ("binder_length:\ntarget: {file: BPTI, chains: A}", "found nothing"),
        ("just some words", "expected a task such as binder_length: 80"),
    ],
)
def test_a_wrong_yaml_task_is_answered_with_an_example(
    tmp_path: Path, text: str, part: str
) -> None:
    with pytest.raises(InputError) as error:
        read_tasks(yaml_task(tmp_path, text))
    assert part in str(error.value) and "None" not in str(error.value)


@pytest.mark.parametrize(
    "chains", ["[A]", "A", "{A: full}", "{A: true}", "{A: }", "{A: {crop: All}}"]
)
def test_whole_chains_as_people_write_them(tmp_path: Path, chains: list[str]) -> None:
    text = f'binder_length: "9"\ntarget: {{file: BPTI, chains: {chains}}}\n'
    (task,) = read_tasks(yaml_task(tmp_path, text))
    (chain,) = read_target(task)
    assert len(chain.residues) == 58 and str(task.binder_lengths) == "9"


@pytest.mark.parametrize("typed", ["15, 17", "[A15, A17]", "[LYS15, R17]", "[15, 17]"])
def test_hotspots_reach_the_target(tmp_path: Path, typed: Any) -> None:
    typed = typed if typed[0] == "[" else f'"{typed}"'
    text = f"binder_length: 9\ntarget: {{file: BPTI, chains: {{A: {{hotspots: {typed}}}}}}}\n"
    (chain,) = read_target(read_tasks(yaml_task(tmp_path, text))[0])
    hot = [str(residue.number) for residue in chain.residues if residue.is_hotspot]
    assert hot == ["15", "17"]


def test_a_range_says_which_insertion_codes_it_leaves_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    inserted = [*put(chain("A", 21, 21), 22, "  20A"), *put(chain("A", 22, 22), 22, "  20B")]
    lines = [*chain("A", 1, 20), *inserted, *shifted(chain("A", 23), -2)]
    (tmp_path / "hiv.pdb").write_bytes(text_of(lines))
    for field, chosen, said in (
        ("hotspots", "19-22", "hotspot: 20A, 20B are not among them unless named"),
        ("hotspots", "19-22, 20A", "hotspot: 20B are not"),
        ("avoid", "20-21", "avoid: 20A, 20B are not"),
        ("hotspots", "20, 22", ""),
    ):
        text = (
            f"binder_length: 9\ntarget: {{file: hiv.pdb, chains: {{A: {{{field}: '{chosen}'}}}}}}\n"
        )
        read_target(read_tasks(yaml_task(tmp_path, text))[0])
        warned = capsys.readouterr().err
        assert said in warned and ("not among" in warned) == bool(said)


def test_a_hotspot_that_is_another_residue_is_refused(tmp_path: Path) -> None:
    text = "binder_length: 9\ntarget: {file: BPTI, chains: {A: {hotspots: [LYS17]}}}\n"
    with pytest.raises(InputError, match=r"hotspot: expected ARG17 \(LYS: 15, 26, 41, 46\), found"):
        read_target(read_tasks(yaml_task(tmp_path, text))[0])


@pytest.mark.parametrize(
    ("hotspot", "part"),
    [(400, "the nearest is SER 47), found 400"), (50, "found 50, which the crop leaves out")],
)
def test_the_nearest_residue_to_a_hotspot_is_named(tmp_path: Path, hotspot: int, part: str) -> None:
    chain = f"{{crop: 1-47, hotspots: [{hotspot}]}}"
    text = f"binder_length: 9\ntarget: {{file: BPTI, chains: {{A: {chain}}}}}\n"
    with pytest.raises(InputError) as error:
        read_target(read_tasks(yaml_task(tmp_path, text))[0])
    assert part in str(error.value)


@pytest.mark.parametrize(
    ("crop", "kept", "said"),
    [
        ("10-500", 49, "crop 10-500 reaches beyond the chain (numbers 1 to 58)"),
        ("0-10", 10, "crop 0-10 reaches beyond the chain (numbers 1 to 58)"),
        ("1-58", 58, ""),
    ],
)
def test_a_crop_beyond_the_chain_is_said(
    crop: str, kept: int, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = f"binder_length: 9\ntarget: {{file: BPTI, chains: {{A: {{crop: '{crop}'}}}}}}\n"
    (chain,) = read_target(read_tasks(yaml_task(tmp_path, text))[0])
    assert len(chain.residues) == kept
    told = capsys.readouterr().err
    assert said in told and bool(told) == bool(said)


def test_a_crop_of_what_is_not_resolved_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Chain D of 1BD2 has no coordinates of 127 to 130."""
    pick = "{D: {crop: '1-20,128-129'}}"
    file = STRUCTURES / "1BD2.cif.gz"
    text = f"binder_length: 9\ntarget: {{file: {file}, chains: {pick}}}\n"
    read_target(read_tasks(yaml_task(tmp_path, text))[0])
    assert "crop 128-129 has no residue with coordinates" in capsys.readouterr().err


def test_the_nearest_chain_and_file_are_named(tmp_path: Path) -> None:
    text = "binder_length: 9\ntarget: {file: BPTI, chains: {a: all}}\n"
    with pytest.raises(InputError, match=r"did you mean A\?"):
        read_target(read_tasks(yaml_task(tmp_path, text))[0])
    (tmp_path / "Target.pdb").write_text("x")
    for typed in ("target.pdb", "Target.cif", "Targt.pdb"):
        text = f"binder_length: 9\ntarget: {{file: {typed}, chains: A}}\n"
        with pytest.raises(InputError, match=r"did you mean .*Target\.pdb\?"):
            read_tasks(yaml_task(tmp_path, text))


@pytest.mark.parametrize("path", ["~nobody-here/x.cif", "a" * 5000, "."])
def test_a_path_that_cannot_be_is_refused(tmp_path: Path, path: str) -> None:
    text = f"binder_length: 9\ntarget: {{file: {path}, chains: A}}\n"
    with pytest.raises(InputError, match="an mmCIF or PDB file"):
        read_tasks(yaml_task(tmp_path, text))


def test_several_tasks_in_one_yaml_file(tmp_path: Path) -> None:
    one = "{binder_length: 9, target: {file: BPTI, chains: A}}"
    text = f"- {{task_name: one, {one[1:]}\n- {{task_name: 2, {one[1:]}\n"
    assert [task.name for task in read_tasks(yaml_task(tmp_path, text))] == ["one", "2"]


@pytest.mark.parametrize(
    ("avoid", "says"),
    [
        ("[12, 99]", "avoid: expected residues of the chain (numbers 1 to 58), found 99"),
        ("[15]", "avoid: expected residues that are no hotspots, found 15"),
        ("[LYS17]", "avoid: expected ARG17 (LYS: 15, 26, 41, 46), found LYS17"),
    ],
)
def test_residues_to_avoid_are_checked_before_a_run(tmp_path: Path, avoid: str, says: str) -> None:
    pick = f"{{crop: 1-50, hotspots: [15], avoid: {avoid}}}"
    text = f"binder_length: 9\ntarget: {{file: BPTI, chains: {{A: {pick}}}}}\n"
    (task,) = read_tasks(yaml_task(tmp_path, text))
    with pytest.raises(InputError, match=re.escape(says)):
        read_target(task)


SWEEP = """
task_name: bpti
target: {file: BPTI, chains: {A: {crop: 1-50}}}
sweep:
  hotspots: {loop: [15, 17], far: {A: A40-A42}}
  binder_length: [40, 60-80]
"""


def test_a_sweep_is_a_task_for_each_point(tmp_path: Path) -> None:
    tasks = read_tasks(yaml_task(tmp_path, SWEEP))
    assert [task.name for task in tasks] == [
        *("bpti_loop_40", "bpti_loop_60-80", "bpti_far_40", "bpti_far_60-80")
    ]
    assert [str(task.binder_lengths) for task in tasks] == ["40", "60-80"] * 2
    assert [task.chains[0].crop_text for task in tasks] == ["1-50"] * 4
    assert {str(n) for n in tasks[2].chains[0].hotspots} == {"40", "41", "42"}


def test_a_sweep_over_targets(tmp_path: Path) -> None:
    text = (
        "task_name: both\nbinder_length: 9\nsweep:\n  target:\n"
        "    whole: {file: BPTI, chains: A}\n    cut: {file: BPTI, chains: {A: {crop: 1-30}}}\n"
    )
    tasks = read_tasks(yaml_task(tmp_path, text))
    assert [task.name for task in tasks] == ["both_whole", "both_cut"]
    assert [task.chains[0].crop_text for task in tasks] == ["all", "1-30"]


@pytest.mark.parametrize(
    ("old", "new", "part"),
    [
        ("hotspots:", "hotspot:", "did you mean hotspots?"),
        ("{loop: [15, 17]", "{loop: [15, X]", "sweep.hotspots.loop.A"),
        ("{A: A40-A42}", "{B: [4]}", "sweep.hotspots.far: unknown field B"),
        ("{loop: [15, 17], far: {A: A40-A42}}", "[15, 17]", "named sets such as"),
        ("[40, 60-80]", "[]", "sweep: expected such as"),
        ("crop: 1-50", "crop: 1-50, hotspots: [20]", "hotspots in one place"),
        ("task_name", "binder_length: 5\ntask_name", "binder_length in one place"),
        ("loop", "a/b", "a plain file name"),
    ],
)
def test_a_wrong_sweep_is_refused(tmp_path: Path, old: str, new: str, part: str) -> None:
    with pytest.raises(InputError) as error:
        read_tasks(yaml_task(tmp_path, SWEEP.replace(old, new, 1)))
    assert part in str(error.value)
