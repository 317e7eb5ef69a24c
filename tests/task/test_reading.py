"""Task files and targets: what is accepted, and the one line for what is not."""

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gemmi
import numpy as np
import pytest
from conftest import STRUCTURES, TaskFile, fixture_task
from hypothesis import given
from hypothesis import strategies as st

from pxtools.errors import InputError
from pxtools.network.features import featurize
from pxtools.task.reading import read_tasks
from pxtools.task.target import read_target
from pxtools.task.types import Task


def refused(path: str) -> str:
    """The message a task file is refused with; it must be one line."""
    with pytest.raises(InputError) as error:
        for task in read_tasks(path):
            read_target(task)
    message = str(error.value)
    assert "\n" not in message and len(message) < 600
    return message


def bpti(**changes: Any) -> dict[str, Any]:
    task = fixture_task("bpti")
    for where, value in changes.items():
        *parents, last = where.split("__")
        part = task
        for key in parents:
            part = part[key]
        part[last] = value
    return task


WRONG: dict[str, tuple[Any, ...]] = {
    "unknown chain": (bpti(condition__filter__chain_id=["B"], hotspot={}), "chain B", "(A)"),
    "hotspot outside": (
        bpti(condition__filter__crop={"A": "1-10"}),
        "hotspot",
        "the crop",
        "found 15",
    ),
    "empty crop": (
        bpti(condition__filter__crop={"A": "90-99"}, hotspot={}),
        "crop",
        "numbers 1 to 58",
        "found 90-99",
    ),
    "backward range": (
        bpti(condition__filter__crop={"A": "50-1"}),
        "crop.A",
        "low to high",
        "50-1",
    ),
    "not a range": (bpti(condition__filter__crop={"A": "x"}), "crop.A", "1-50", "found x"),
    "length 0": (bpti(generation=[{"type": "protein", "length": 0}]), "length", "found 0"),
    "length text": (bpti(generation=[{"length": "eighty"}]), "length", "found eighty"),
    "length backward": (bpti(generation=[{"length": "100-60"}]), "low to high", "found 100-60"),
    "two binders": (bpti(generation=[{"length": 8}, {"length": 9}]), "generation", "one binder"),
    "count 2": (bpti(generation=[{"length": 8, "count": 2}]), "count", "expected 1", "found 2"),
    "ligand": (bpti(generation=[{"type": "ligand", "length": 8}]), "type", "protein", "ligand"),
    "slash in name": (bpti(name="a/b"), "name", "no slash", "a/b"),
    "parent as name": (bpti(name=".."), "name", "plain file name", "found .."),
    "no name": (bpti(name=None), "name", "found nothing"),
    "crop of another chain": (
        bpti(condition__filter__crop={"Q": "1-5"}),
        "crop",
        "chain_id (A)",
        "found Q",
    ),
    "hotspot of another chain": (bpti(hotspot={"Q": [1]}), "hotspot", "chain_id (A)", "found Q"),
    "chain twice": (bpti(condition__filter__chain_id=["A", "A"]), "each chain once"),
    "no chains": (bpti(condition__filter__chain_id=[]), "chain_id", "a list of chains"),
    "no file": (bpti(condition__structure_file="no.cif"), "structure_file", "no file at"),
    "no structure": (bpti(condition__structure_file=None), "structure_file", "such as target.cif"),
    "water chain": (bpti(condition__filter__chain_id=["D"], hotspot={}), "chain D", "(A)"),
    "no condition": (bpti(condition=None), "condition", "a free monomer cannot be made"),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_tasks_are_refused_in_one_line(case: str, task_file: TaskFile) -> None:
    task, *parts = WRONG[case]
    path = task_file(task)
    message = refused(path)
    for part in ("design.json", *parts):
        assert part in message, message


def test_wrong_files_are_refused_in_one_line(tmp_path: Path, task_file: TaskFile) -> None:
    for text, part in (
        ("", "a task such as binder_length: 80"),
        ("[]", "an empty list"),
        ("{", "line 1: the file ends early"),
        ("a: [", "line 1: the file ends early: a closing ]"),
        ("[" * 100_000, "nested too deeply"),
        ("[1]", "task 1: expected a task such as"),
    ):
        path = tmp_path / "x.yaml"
        path.write_text(text)
        assert part in refused(str(path))
    (tmp_path / "bad.json").write_bytes(b"\xff\xfe\x00\x01")
    assert "not text" in refused(str(tmp_path / "bad.json"))
    assert "No such file" in refused(str(tmp_path / "none.json"))
    assert "own for each task" in refused(task_file(bpti(), bpti()))


def test_wrong_structures_are_refused_in_one_line(tmp_path: Path, task_file: TaskFile) -> None:
    whole = (STRUCTURES / "5PTI.cif.gz").read_bytes()
    text = gzip.decompress(whole)
    contents = {
        "cut.cif.gz": whole[: len(whole) // 2],
        "cut.cif": text[: len(text) // 2],
        "empty.cif": b"",
        "noise.cif": bytes(range(256)) * 10,
        "nothing.pdb": b"HEADER\nEND\n",
        "nan.cif": text.replace(b"32.231 15.281", b"nan    15.281"),
        "dna.pdb": b"".join(
            b"ATOM  %5d  P    DA A%4d       1.000   2.000   3.000  1.00  0.00           P  \n"
            % (i, i)
            for i in range(1, 9)
        ),
    }
    for name, data in contents.items():
        path = tmp_path / name
        path.write_bytes(data)
        assert name in refused(task_file(bpti(condition__structure_file=str(path)))), name


def test_a_residue_without_a_known_parent_is_named(tmp_path: Path, task_file: TaskFile) -> None:
    text = gzip.decompress((STRUCTURES / "1HVR.pdb.gz").read_bytes()).replace(b"CSO", b"QQQ")
    (tmp_path / "x.pdb").write_bytes(text)
    task = bpti(condition__structure_file=str(tmp_path / "x.pdb"), hotspot={})
    assert "QQQ 67" in refused(task_file(task))


def test_yaml_and_json_mean_the_same(tmp_path: Path, task_file: TaskFile) -> None:
    (tmp_path / "5PTI.cif.gz").write_bytes((STRUCTURES / "5PTI.cif.gz").read_bytes())
    (tmp_path / "bpti.yaml").write_text(
        "binder_length: 40\ntarget:\n  file: 5PTI.cif.gz\n  chains:\n"
        "    A: {crop: ['1-30', '35-58'], hotspots: [15, 17, 19]}\n"
    )
    (from_yaml,) = read_tasks(str(tmp_path / "bpti.yaml"))
    crop = {"A": "1-30,35-58"}
    (from_json,) = read_tasks(task_file(bpti(condition__filter__crop=crop)))
    assert from_yaml.name == "bpti"
    assert from_yaml.chains == from_json.chains
    assert str(from_yaml.binder_lengths) == str(from_json.binder_lengths) == "40"
    features = [featurize(read_target(t), 40) for t in (from_yaml, from_json)]
    assert features[0].digest(None) == features[1].digest(None)


@pytest.mark.parametrize(
    "pick",
    [None, "all", "full", "All", "ALL", True, {}, *({"crop": c} for c in ("full", "All", ["all"]))],
    ids=str,
)
def test_the_whole_chain_in_yaml(tmp_path: Path, pick: object) -> None:
    path = tmp_path / "t.yaml"
    task = {
        "binder_length": 5,
        "target": {"file": str(STRUCTURES / "5PTI.cif.gz"), "chains": {"A": pick}},
    }
    path.write_text(json.dumps(task))
    (read,) = read_tasks(str(path))
    (chain,) = read_target(read)
    assert len(chain.residues) == 58


def test_what_the_generator_does_not_use_is_said(
    task_file: TaskFile, capsys: pytest.CaptureFixture[str]
) -> None:
    read_tasks(task_file(bpti(condition__msa={"A": "x"}, remove_unresolved_atoms={"A": True})))
    said = capsys.readouterr().err
    assert said.count("msa is ignored") == said.count("remove_unresolved_atoms is ignored") == 1


@pytest.mark.parametrize(("name", "chains"), [("1BD2", "ABCDE"), ("1HVR", "AB")])
def test_pdb_files_as_people_have_them(
    name: str, chains: str, task_file: TaskFile, capsys: pytest.CaptureFixture[str]
) -> None:
    task = bpti(
        condition__structure_file=str(STRUCTURES / f"{name}.pdb.gz"),
        condition__filter__chain_id=list(chains),
        hotspot={},
    )
    (read,) = read_tasks(task_file(task))
    target = read_target(read)
    assert "".join(chain.name for chain in target) == chains
    features = featurize(target, 40)
    assert np.isfinite(features.ref_pos).all()
    if name == "1HVR":
        assert [len(chain.residues) for chain in target] == [99, 99]
        said = capsys.readouterr().err
        assert said.count("modified residue CSO 67 is taken as CYS") == 2


def structure_with(
    task_file: TaskFile, tmp_path: Path, edit: Callable[[gemmi.Structure], object]
) -> Task:
    """A task on 5PTI as a PDB file after `edit` has changed the structure."""
    structure = gemmi.read_structure(str(STRUCTURES / "5PTI.cif.gz"))
    structure.setup_entities()
    edit(structure)
    path = tmp_path / "edited.pdb"
    path.write_text(structure.make_pdb_string())
    (task,) = read_tasks(task_file(bpti(condition__structure_file=str(path))))
    return task


def test_the_first_model_is_taken(task_file: TaskFile, tmp_path: Path) -> None:
    def second_model(structure: gemmi.Structure) -> None:
        model = structure[0].clone()
        model.num = 2
        for cra in model.all():
            cra.atom.pos.x += 100
        structure.add_model(model)

    edited = read_target(structure_with(task_file, tmp_path, second_model))
    plain = read_target(structure_with(task_file, tmp_path, lambda structure: None))
    assert featurize(edited, 9).digest(None) == featurize(plain, 9).digest(None)


def test_selenomethionine_is_methionine(
    task_file: TaskFile, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def to_mse(structure: gemmi.Structure) -> None:
        for residue in structure[0]["A"]:
            if residue.name == "MET":
                residue.name, residue.het_flag = "MSE", "H"
                for atom in residue:
                    if atom.name == "SD":
                        atom.name, atom.element = "SE", gemmi.Element("Se")

    edited = read_target(structure_with(task_file, tmp_path, to_mse))
    plain = read_target(structure_with(task_file, tmp_path, lambda structure: None))
    assert featurize(edited, 9).digest(None) == featurize(plain, 9).digest(None)
    assert "modified" not in capsys.readouterr().err


def test_insertion_codes_are_kept_apart(task_file: TaskFile, tmp_path: Path) -> None:
    def insert(structure: gemmi.Structure) -> None:
        for residue in structure[0]["A"]:
            if residue.seqid.num == 31:
                residue.seqid = gemmi.SeqId(30, "A")

    (chain,) = read_target(structure_with(task_file, tmp_path, insert))
    numbers = [residue.number for residue in chain.residues]
    assert len(chain.residues) == 58
    assert numbers[29:32] == [(30, ""), (30, "A"), (32, "")]


def test_the_conformer_of_highest_occupancy_is_taken(tmp_path: Path, task_file: TaskFile) -> None:
    (task,) = read_tasks(task_file(bpti()))
    (chain,) = read_target(task)
    glu = chain.residues[6]  # A at 0.70, B at 0.30
    assert glu.name == "GLU"
    np.testing.assert_allclose(glu.xyz[4], [33.865, 5.265, -4.204])


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda children: (
        st.lists(children, max_size=3) | st.dictionaries(st.text(max_size=8), children, max_size=3)
    ),
    max_leaves=6,
)
FIELDS = (
    "name",
    "condition",
    "condition__structure_file",
    "condition__filter",
    "condition__filter__chain_id",
    "condition__filter__crop",
    "hotspot",
    "generation",
)


@given(st.sampled_from(FIELDS), json_values)
def test_any_field_may_hold_anything(
    tmp_path_factory: pytest.TempPathFactory, field: str, value: object
) -> None:
    """Every task file is read, or refused with an InputError: nothing else."""
    path = tmp_path_factory.mktemp("any") / "task.json"
    path.write_text(json.dumps([bpti(**{field: value})]))
    try:
        for task in read_tasks(str(path)):
            read_target(task)
    except InputError as error:
        assert "\n" not in str(error)


@given(st.text(max_size=200))
def test_any_text_may_stand_in_a_task_file(
    tmp_path_factory: pytest.TempPathFactory, text: str
) -> None:
    path = tmp_path_factory.mktemp("any") / "task.yaml"
    path.write_text(text, encoding="utf-8", errors="replace")
    try:
        read_tasks(str(path))
    except InputError as error:
        assert "\n" not in str(error)


def test_a_target_without_any_ca_is_refused(task_file: TaskFile, tmp_path: Path) -> None:
    """Designs are laid on the target by its CA atoms."""

    def strip(structure: gemmi.Structure) -> None:
        for residue in structure[0]["A"]:
            for i in [i for i, atom in enumerate(residue) if atom.name == "CA"]:
                del residue[i]

    with pytest.raises(InputError, match="58 of 58 without, most lack CA"):
        read_target(structure_with(task_file, tmp_path, strip))
