"""px-target STRUCTURE: the beginning of a task."""

import json
import re
from pathlib import Path

import gemmi
import pytest
import variants
from conftest import STRUCTURES, TaskFile, fixture_task
from processes import TINY, run

from pxtools.task.draft import draft
from pxtools.task.reading import read_tasks
from pxtools.task.target import read_polymers, read_target

FILES = ["1BD2.cif.gz", "1BD2_AC.pdb.gz", "5PTI.cif.gz"]


def entries(text: str) -> dict[str, list[str]]:
    """The comments above each chain that can be a target."""
    found: dict[str, list[str]] = {}
    comments: list[str] = []
    for line in text.split("chains:\n")[1].splitlines():
        if name := re.fullmatch(r'    ("\w+"): \{crop: all, hotspots: \[\]\}', line):
            found[json.loads(name[1])], comments = comments, []
        else:
            comments.append(line.removeprefix("    # "))
    assert not comments
    return found


@pytest.mark.parametrize("file", FILES)
def test_it_is_a_task_of_all_protein_chains(file: str, tmp_path: Path) -> None:
    written = tmp_path / "whole.yaml"
    written.write_text(draft(STRUCTURES / file))
    (task,) = read_tasks(str(written))
    polymers = read_polymers(task)
    assert [p.chain for p in task.chains] == [n for n, p in polymers.items() if p.is_protein]
    said = entries(written.read_text())
    for chain in read_target(task):
        length, numbers = said[chain.name][:2]
        assert length.startswith(f"{len(chain.sequence)} residues: ")
        ranges = re.findall(r"(-?\d+)-(-?\d+)", numbers)
        told = [n for low, high in ranges for n in range(int(low), int(high) + 1)]
        assert told == [residue.number.number for residue in chain.residues]


def test_label_ids_are_told_with_what_authors_call_them() -> None:
    said = entries(draft(STRUCTURES / "1BD2.cif.gz"))
    assert said["C"] == ["9 residues: LLFGYPVYV", "with coordinates: 1-9"]
    assert said["B"][2:] == ["authors call it B: 2-100 are 1-99"]
    (of_d,) = said["D"][2:]
    assert of_d.startswith("authors call it D: 1-54 are 1-54, 55 is 54A, 56-59 are 55-58, ")


def bpti() -> gemmi.Structure:
    return gemmi.read_structure(str(STRUCTURES / "5PTI.cif.gz"))


def test_the_readme_shows_what_is_printed() -> None:
    readme = (Path(__file__).parents[2] / "README.md").read_text()
    said = entries(draft(STRUCTURES / "1BD2.cif.gz"))
    lines = [*(f"# {line}" for line in said["B"]), '"B": {crop: all, hotspots: []}']
    assert "\n".join(f"    {line}" for line in lines) in readme


def with_chain(tmp_path: Path, chain: gemmi.Chain, name: str) -> Path:
    """BPTI with one more chain."""
    structure = bpti()
    structure.remove_ligands_and_waters()
    chain.name = name
    structure[0].add_chain(chain)
    path = tmp_path / 'a "file".pdb'
    structure.write_pdb(str(path))
    return path


def test_a_chain_that_cannot_be_a_target_is_behind_a_sign(tmp_path: Path) -> None:
    chain = bpti()[0][0]
    for residue in chain:
        for i in reversed([i for i, atom in enumerate(residue) if atom.name != "CA"]):
            del residue[i]
    text = draft(with_chain(tmp_path, chain, "N"))
    assert list(entries(text.rpartition("\n    # 58 residues")[0])) == ["A"]
    *_, why, entry = text.splitlines()
    assert "chain N: expected residues with backbones (N, CA, C, O), found 58 of 58 without" in why
    assert why.startswith("    # cannot be used as it is: ")
    assert entry == '    # "N": {crop: all, hotspots: []}'


def test_a_structure_without_any_target_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = [line for line in variants.A if line[12:16] == " CA "]
    (tmp_path / "ca.pdb").write_bytes(variants.text(lines))
    draft(tmp_path / "ca.pdb")
    said = f"⚠ {tmp_path}/ca.pdb: no chain of it can be a target as it is\n"
    assert capsys.readouterr().err.endswith(said)


def test_names_that_yaml_reads_as_something_else(tmp_path: Path) -> None:
    chain = bpti()[0][0]
    for name in ("N", "1", "y", "_"):
        path = with_chain(tmp_path, chain.clone(), name.replace("_", " "))
        (tmp_path / "names.yaml").write_text(draft(path))
        (task,) = read_tasks(str(tmp_path / "names.yaml"))
        assert [pick.chain for pick in task.chains] == ["A", name] and task.structure == path


def test_from_a_structure_to_a_checked_task(tmp_path: Path) -> None:
    done = run("px-target", STRUCTURES / "5PTI.cif.gz")
    (tmp_path / "bpti.yaml").write_text(done.stdout)
    checked = run("px-target", "-i", tmp_path / "bpti.yaml", "-m", TINY)
    assert checked.returncode == 0 and re.search(r"\nA +A0 +58 +58 +all ", checked.stdout)


def test_what_is_no_protein_is_told(tmp_path: Path) -> None:
    base = "ATOM    {:3}  {:3}  DA D{:4}    {:8.3f}   0.000   0.000  1.00  0.00           {}"
    dna = [
        base.format(i, name, i // 3, i, name[0]) for i in range(9) for name in ("P", "C4'", "N9")
    ]
    chain = gemmi.read_pdb_string("\n".join(dna))[0][0]
    done = run("px-target", with_chain(tmp_path, chain, "D"))
    assert list(entries(done.stdout)) == ["A"]
    assert done.stderr.endswith("no protein, left out: D (Dna)\n")


def test_words_that_do_not_fit_together(task_file: TaskFile) -> None:
    task, structure = task_file(fixture_task("bpti")), STRUCTURES / "5PTI.cif.gz"
    for words, said in (
        ([structure, "-i", task], "give either a structure or a task"),
        ([structure, "-o", "x"], "-o and -m with a task"),
        ([task], f"px-target -i {task}"),
        ([], "give a task to check"),
        (["-i", structure], f"px-target {structure} prints a task for it"),
    ):
        done = run("px-target", *words)
        assert done.returncode == 2 and done.stderr.count("\n") == 1 and said in done.stderr
