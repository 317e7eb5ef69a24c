"""px-target: what it shows of a task, what it warns of, what it refuses."""

import gzip
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gemmi
import numpy as np
import pytest
from conftest import STRUCTURES, TaskFile, fixture_task
from processes import TINY, run

from pxtools.errors import InputError
from pxtools.network.weights import read_model
from pxtools.structure.geometry import exposed_area
from pxtools.task.inspection import Check, check, ranges, report, warnings
from pxtools.task.reading import read_tasks

MODEL = read_model(TINY)


def checked(path: str) -> Check:
    return check(read_tasks(path)[0], MODEL)


def pmhc(
    chain: str = "A", crop: str | None = None, hotspots: tuple[int, ...] = (), length: int = 60
) -> dict[str, Any]:
    task = fixture_task("pmhc")
    task["condition"]["filter"] = {"chain_id": [chain], "crop": {chain: crop} if crop else {}}
    task["hotspot"] = {chain: list(hotspots)}
    task["generation"][0]["length"] = length
    return task


@pytest.mark.parametrize("name", ["bpti", "pmhc", "tcr_gaps", "pmhc_pdb"])
def test_the_report_is_what_a_run_works_on(task_file: TaskFile, name: str) -> None:
    task = fixture_task(name)
    c = checked(task_file(task))
    text = report(c)
    f = c.design.features
    assert f"{f.n_tokens} tokens, {len(f.atoms)} atoms" in text
    for chain, hotspots in task["hotspot"].items():
        row = next(line for line in text.splitlines() if line.startswith(f"{chain} "))
        assert all(re.search(rf"[A-Z]{{3}} {n}\b", row) for n in hotspots)
    kept = [int(line.split()[3]) for line in text.splitlines() if re.match(r"\w +\w0 ", line)]
    assert kept == [len(chain.residues) for chain in c.design.target]
    assert sum(kept) + c.design.task.binder_lengths.longest == f.n_tokens


def test_what_is_not_resolved_is_named(task_file: TaskFile) -> None:
    text = report(checked(task_file(fixture_task("tcr_gaps"))))
    row = next(line for line in text.splitlines() if line.startswith("D "))
    assert "1-60,80-150,190-203  127-130, 198-203" in row


def test_author_names_and_numbers_are_shown(task_file: TaskFile) -> None:
    """Chain B of 1BD2: label_seq_id is the author's number + 1."""
    text = report(checked(task_file(pmhc("B", hotspots=(20, 60)))))
    assert "(author 19)" in text and "(author 59)" in text


def test_modified_residues_are_shown(task_file: TaskFile, tmp_path: Path) -> None:
    path = tmp_path / "cso.pdb"
    pdb = gzip.decompress((STRUCTURES / "1BD2_AC.pdb.gz").read_bytes()).decode()
    path.write_text(re.sub(r"^ATOM  (.{11})CYS A 101", r"ATOM  \1CSO A 101", pdb, flags=re.M))
    task = pmhc("A")
    task["condition"]["structure_file"] = str(path)
    assert "CSO 101 -> CYS" in report(checked(task_file(task)))


def said(task_file: TaskFile, task: dict[str, Any]) -> str:
    return "\n".join(warnings(checked(task_file(task))))


def test_a_sound_task_gives_no_warning(task_file: TaskFile) -> None:
    assert said(task_file, fixture_task("bpti")) == ""


def test_a_buried_hotspot_is_named(task_file: TaskFile) -> None:
    text = said(task_file, pmhc("A", hotspots=(65, 101)))  # 101: CYS of the disulfide, inside
    assert "hotspot A CYS 101 is buried" in text and "65" not in text


def test_hotspots_too_far_apart_are_named(task_file: TaskFile) -> None:
    far = said(task_file, pmhc("A", hotspots=(65, 224)))
    assert re.search(r"hotspots A \w{3} 65 and A \w{3} 224 are \d+ Å apart", far)
    assert "apart" not in said(task_file, pmhc("A", hotspots=(65, 69)))


def test_a_crop_that_cuts_by_a_hotspot_is_named(task_file: TaskFile) -> None:
    text = said(task_file, pmhc("A", crop="1-66", hotspots=(65,)))
    assert "within 10 Å of a hotspot: chain A loses 67-" in text
    assert "loses" not in said(task_file, pmhc("A", hotspots=(65,)))


def test_a_cut_residue_of_hydrogens_alone_is_no_matter(task_file: TaskFile, tmp_path: Path) -> None:
    pdb = gzip.decompress((STRUCTURES / "1BD2_AC.pdb.gz").read_bytes()).decode()
    of_68 = re.findall(r"^ATOM  .{15}A  68 .*\n", pdb, flags=re.M)
    hydrogen = of_68[0][:12] + " H  " + of_68[0][16:76] + " H" + of_68[0][78:]
    path = tmp_path / "h.pdb"
    path.write_text(pdb.replace("".join(of_68), hydrogen))
    task = pmhc("A", crop="1-66", hotspots=(65,))
    task["condition"]["structure_file"] = str(path)
    assert "chain A loses 67, 69" in said(task_file, task)


def test_author_numbers_are_translated(task_file: TaskFile) -> None:
    text = said(task_file, pmhc("B", hotspots=(20,)))
    assert "20 -> 21" in text
    with pytest.raises(InputError, match=r"hotspot.*from author numbers to these: 99 -> 100"):
        checked(task_file(pmhc("B", crop="1-98", hotspots=(99,))))


def test_author_chain_names_are_explained(task_file: TaskFile, tmp_path: Path) -> None:
    document = gemmi.cif.read(str(STRUCTURES / "5PTI.cif.gz"))
    column = document[0].find_values("_atom_site.auth_asym_id")
    for i in range(len(column)):
        column[i] = "X"
    path = tmp_path / "x.cif"
    document.write_file(str(path))
    task = fixture_task("bpti")
    task["condition"]["structure_file"] = str(path)
    task["condition"]["filter"] = {"chain_id": ["X"]}
    task["hotspot"] = {}
    with pytest.raises(InputError, match="A, which authors call X"):
        checked(task_file(task))


def test_no_hotspots_at_all_is_said(task_file: TaskFile) -> None:
    assert "no hotspots" in said(task_file, pmhc("C"))


def test_exposed_area_of_spheres() -> None:
    """A lone sphere, two that share a cap, one inside a cage."""
    radius = 1.7 + 1.4
    lone = exposed_area(np.zeros((1, 3)), np.array([1.7]), np.array([0]))
    assert lone == pytest.approx(4 * np.pi * radius**2)
    pair = np.array([[0.0, 0, 0], [2.0, 0, 0]])
    cap = 2 * np.pi * radius * (radius - 1.0)
    both = exposed_area(pair, np.array([1.7, 1.7]), np.array([0]))
    assert both == pytest.approx(lone - cap, rel=0.02)
    cage = np.concatenate([np.zeros((1, 3)), 1.5 * np.concatenate([np.eye(3), -np.eye(3)])])
    assert exposed_area(cage, np.full(7, 1.7), np.array([0])) == 0


def test_residues_to_avoid_are_shown(tmp_path: Path) -> None:
    """Chain B of 1BD2: label_seq_id is the author's number + 1."""
    pick = "{crop: 1-60, hotspots: [20], avoid: [30, 70]}"
    path = tmp_path / "design.yaml"
    chains = f"chains: {{B: {pick}}}"
    path.write_text(f"binder_length: 9\ntarget: {{file: {STRUCTURES / '1BD2.cif.gz'}, {chains}}}\n")
    done = run("px-target", "-i", path, "-o", tmp_path, "-m", TINY)
    assert done.returncode == 0, done.stderr
    header, row = done.stdout.splitlines()[-3:-1]
    column = header.index("AVOID")
    assert row[column:] == "GLY 30 (author 29), GLU 70 (author 69)"
    cut = "chain B, avoid: not in the crop, so that px-score finds no contacts with it: 70"
    assert cut in done.stderr
    assert "chain B: residues to avoid are read as label_seq_id" in done.stderr
    script = next(tmp_path.glob("*.pml")).read_text()
    assert "select avoid, target and ((chain A0 and resi 30)" in script
    path.write_text(path.read_text().replace("[30, 70]", "[30-60, 25]"))
    assert report(checked(str(path))).splitlines()[-2].endswith("  25, 30-60")


def test_ranges() -> None:
    assert ranges([3, 1, 2, 9, 11, 12]) == "1-3, 9, 11-12"


def test_the_cropped_target_is_written(tmp_path: Path, task_file: TaskFile) -> None:
    done = run("px-target", "-i", task_file(fixture_task("tcr_gaps")), "-o", tmp_path, "-m", TINY)
    assert done.returncode == 0, done.stderr
    written = gemmi.read_structure(str(tmp_path / "tcr_gaps_parsed_target.cif"))
    assert [chain.name for chain in written[0]] == ["A0", "B0"]
    inside = [*range(1, 61), *range(80, 127), *range(131, 151), *range(190, 198)]
    assert [r.seqid.num for r in written[0]["A0"]] == inside
    source = gemmi.read_structure(str(STRUCTURES / "1BD2.cif.gz"))
    original = source[0]["D"][0]["CA"][0].pos
    assert written[0]["A0"][0]["CA"][0].pos.dist(original) < 1e-3
    script = (tmp_path / "tcr_gaps_parsed_target.pml").read_text()
    assert "(chain A0 and resi 28) or (chain A0 and resi 30)" in script
    assert json.dumps(str(tmp_path / "tcr_gaps_parsed_target.cif")) in script


WRONG = {
    "no such chain": (lambda t: t["condition"]["filter"].update(chain_id=["Q"]), "chain Q"),
    "hotspot outside": (lambda t: t["hotspot"].update(A=[999]), "hotspot"),
    "crop outside": (lambda t: t["condition"]["filter"].update(crop={"A": "900-950"}), "crop"),
    "no such file": (lambda t: t["condition"].update(structure_file="x.cif"), "structure_file"),
    "length zero": (lambda t: t["generation"][0].update(length=0), "generation.length"),
    "name leaves the folder": (lambda t: t.update(name="../x"), "name"),
}


@pytest.mark.parametrize("change, field", WRONG.values(), ids=WRONG)
def test_a_wrong_task_is_one_line(
    tmp_path: Path, task_file: TaskFile, change: Callable[..., None], field: str
) -> None:
    task = fixture_task("bpti")
    task["hotspot"] = {}
    change(task)
    done = run("px-target", "-i", task_file(task), "-o", tmp_path / "out")
    assert done.returncode == 2 and done.stdout == ""
    assert len(done.stderr.splitlines()) == 1 and field in done.stderr
    assert not (tmp_path / "out").exists()


def test_the_published_commands_do_the_same(tmp_path: Path, task_file: TaskFile) -> None:
    path = task_file(fixture_task("bpti"))
    checked = run("pxdesign", "check-input", "--yaml", path)
    assert checked.returncode == 0 and "LYS 15, ARG 17, ILE 19" in checked.stdout
    parsed = run("pxdesign", "parse-target", "--yaml", path, "-o", tmp_path / "look")
    assert parsed.stdout == checked.stdout
    assert sorted(p.name for p in (tmp_path / "look").iterdir()) == [
        "bpti_parsed_target.cif",
        "bpti_parsed_target.pml",
    ]


@pytest.mark.parametrize(
    ("folder", "part"),
    [
        ("taken", "cannot make this folder: File exists"),
        ("taken/x", "Not a directory"),
        ("", "--dump_dir: expected a value"),
    ],
)
def test_a_folder_that_cannot_be_made_is_one_line(
    tmp_path: Path, task_file: TaskFile, folder: str, part: str
) -> None:
    (tmp_path / "taken").write_text("a file")
    task = task_file(fixture_task("bpti"))
    done = run("px-target", "-i", task, "-o", folder and tmp_path / folder)
    assert done.returncode == 2 and len(done.stderr.splitlines()) == 1 and part in done.stderr


def test_the_nearest_task_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "Design.yaml").write_text("binder_length: 9\n")
    with pytest.raises(InputError, match=r"No such file or directory; did you mean .*Design\.yaml"):
        read_tasks(str(tmp_path / "design.yaml"))
