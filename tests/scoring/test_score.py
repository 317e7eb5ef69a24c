"""px-score: natural complexes are clean, planted defects are seen, summary.csv loses nothing."""

import csv
import gzip
import json
import random
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import gemmi
import numpy as np
import pytest
from conftest import DATA, STRUCTURES
from hypothesis import given, settings
from hypothesis import strategies as st
from processes import command, environment, run, small_run

from pxtools.network.features import random_rotations
from pxtools.runs.chunk import read_chunk
from pxtools.runs.designs import chunk_texts
from pxtools.runs.folder import RunDir
from pxtools.runs.tables import as_markdown, columns_of
from pxtools.scoring import checks
from pxtools.scoring.checks import judged, standard_limits
from pxtools.scoring.columns import Scores
from pxtools.scoring.metrics import MEASURED, score
from pxtools.scoring.predictions import Prediction
from pxtools.scoring.ranking import CLUSTER_RMSD, best_first, ranked
from pxtools.scoring.summary import PREDICTED
from pxtools.structure import backbone
from pxtools.structure.complex import Complex, _residues, read_complex
from pxtools.structure.parsing import read_structure
from pxtools.structure.reading import protein_chains

DSSP = json.loads((DATA / "dssp.json").read_text())
Change = Callable[[np.ndarray, np.ndarray], None]


def natural(name: str) -> Complex:
    return read_complex(name, gzip.open(STRUCTURES / name).read())


HIV = natural("1HVR.pdb.gz")  # a dimer of 99 residues each
TCR = natural("1BD2.cif.gz")


@pytest.mark.parametrize("name, least", [("1HVR.pdb.gz", 1.0), ("1BD2.pdb.gz", 0.991)])
def test_secondary_structure_agrees_with_dssp(name: str, least: float) -> None:
    c = natural(name)
    found = "".join(backbone.secondary_structure(c.xyz, c.linked, ~c.proline))
    same = [a == b for a, b in zip(found, DSSP[name], strict=True)]
    assert np.mean(same) >= least


def test_secondary_structure_of_a_single_chain_agrees_with_dssp() -> None:
    path = STRUCTURES / "5PTI.cif.gz"
    residues = _residues("A", protein_chains(path, read_structure(path))["A"])
    linked = np.array([r.is_linked for r in residues])
    has_hydrogen = np.array([r.name != "PRO" for r in residues])
    xyz = np.array([r.backbone for r in residues])
    found = backbone.secondary_structure(xyz, linked, has_hydrogen)
    assert "".join(found) == DSSP[path.name]


@pytest.mark.parametrize("n", range(1, 9))
def test_short_chains_have_a_secondary_structure(n: int) -> None:
    xyz = TCR.xyz[:n]
    fold = backbone.secondary_structure(xyz, np.arange(n) > 0, np.ones(n, bool))
    assert len(fold) == n
    assert len(backbone.bonds_off(xyz, np.arange(n) > 0)) == 4 * n - 1


@pytest.mark.parametrize("c", [HIV, TCR], ids=["1HVR", "1BD2"])
def test_natural_complexes_are_clean(c: Complex) -> None:
    row = score(c)
    assert row.bonds_off == row.ca_steps_off == row.chirality_off == 0
    assert row.angles_off < 0.005
    assert row.clashes_inside == 0 and row.clashes_target + row.clashes_sidechain <= 1
    assert row.contacts > 100


def moved(c: Complex, change: Change) -> Complex:
    """The complex with its binder's backbone (n, 4, 3) and CB (n, 3) changed in place."""
    xyz, cb = c.xyz.copy(), c.cb.copy()
    part, part_cb = xyz[c.binder], cb[c.binder]
    change(part, part_cb)
    xyz[c.binder], cb[c.binder] = part, part_cb
    return replace(c, xyz=xyz, cb=cb)


def stretch_bonds(xyz: np.ndarray, cb: np.ndarray) -> None:
    xyz[::10, 0] += 0.4


def bend_angles(xyz: np.ndarray, cb: np.ndarray) -> None:
    xyz[::4, 3] += 0.6 * (xyz[::4, 0] - xyz[::4, 3])


def break_chain(xyz: np.ndarray, cb: np.ndarray) -> None:
    for i in range(10, 90, 10):
        xyz[i:] += 0.5
        cb[i:] += 0.5


def mirror(xyz: np.ndarray, cb: np.ndarray) -> None:
    center = xyz.mean((0, 1))[0]
    xyz[..., 0], cb[..., 0] = 2 * center - xyz[..., 0], 2 * center - cb[..., 0]


def push_into_target(xyz: np.ndarray, cb: np.ndarray) -> None:
    shift = HIV.xyz[~HIV.binder].mean((0, 1)) - xyz.mean((0, 1))
    xyz += 0.6 * shift
    cb += 0.6 * shift


def fold_onto_itself(xyz: np.ndarray, cb: np.ndarray) -> None:
    xyz[50:90] += xyz[5].mean(0) - xyz[50].mean(0)


def pull_apart(xyz: np.ndarray, cb: np.ndarray) -> None:
    shift = xyz.mean((0, 1)) - HIV.xyz[~HIV.binder].mean((0, 1))
    xyz += 2 * shift
    cb += 2 * shift


def stretch_out(xyz: np.ndarray, cb: np.ndarray) -> None:
    xyz += 0.9 * (xyz[:, 1:2] - xyz[:, 1].mean(0))


DEFECTS = {
    "bonds_off": (stretch_bonds, "bonds"),
    "angles_off": (bend_angles, "angles"),
    "ca_steps_off": (break_chain, "ca_steps"),
    "chirality_off": (mirror, "chirality"),
    "clashes_target": (push_into_target, "clashes"),
    "clashes_sidechain": (push_into_target, "clashes"),
    "clashes_inside": (fold_onto_itself, "clashes"),
    "rg": (stretch_out, "rg"),
}


@pytest.mark.parametrize("column", DEFECTS)
def test_a_planted_defect_is_seen_by_its_column(column: str) -> None:
    change, check = DEFECTS[column]
    sound, broken = score(HIV), judged(score(moved(HIV, change)), standard_limits().checks)
    assert getattr(broken, column) > getattr(sound, column)
    assert check in broken.failures


def test_a_mirrored_helix_of_glycines_is_seen() -> None:
    """Designs have no CB: their hand shows in their helices."""
    helix = slice(138, 151)  # of 1BD2's chain A
    xyz = np.concatenate([TCR.xyz[:60], TCR.xyz[helix]])
    binder = np.arange(len(xyz)) >= 60
    base = replace(
        TCR,
        xyz=xyz,
        cb=backbone.ideal_cb(xyz),
        own_cb=np.zeros(len(xyz), bool),
        proline=np.zeros(len(xyz), bool),
        linked=~np.isin(np.arange(len(xyz)), [0, 60]),
        binder=binder,
        hotspots=np.zeros(len(xyz), bool),
    )
    assert score(base).helix > 0.5 and score(base).chirality_off == 0
    assert score(moved(base, mirror)).chirality_off > 0.4


def test_a_binder_pulled_away_has_no_contacts_and_no_hotspots() -> None:
    c = replace(HIV, hotspots=np.arange(len(HIV.xyz)) < 8)
    near, away = (judged(score(x), standard_limits().checks) for x in (c, moved(c, pull_apart)))
    assert near.hotspots_contacted > 0 and near.contacts > 100  # type: ignore[operator]
    assert away.hotspots_contacted == away.contacts == 0
    assert {"contacts", "hotspots"} <= set(away.failures)


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=10)
def test_scores_do_not_depend_on_the_frame(seed: int) -> None:
    rng = np.random.default_rng(seed)
    turn, shift = random_rotations(rng, 1)[0].T, rng.normal(0, 30, 3)
    places = {k: getattr(HIV, k) @ turn + shift for k in ("xyz", "cb", "target_atoms")}
    here, there = vars(score(HIV)), vars(score(replace(HIV, **places)))
    for name in AREAS:  # the points around an atom stay where they are
        assert here.pop(name) == pytest.approx(there.pop(name), rel=0.03, abs=20)
    assert here == there


AREAS = ("buried_area", "n_term_exposed", "c_term_exposed")
ROWS = st.lists(
    st.builds(
        replace,
        st.just(score(HIV)),
        failed=st.lists(st.sampled_from(sorted(standard_limits().checks)), unique=True).map(
            " ".join
        ),
        hotspots_contacted=st.none() | st.floats(0, 1),
        contacts=st.integers(0, 500),
        design=st.text(min_size=1, max_size=5),
    ),
    unique_by=lambda row: row.design,
)


@given(ROWS, st.randoms())
def test_best_first_is_a_total_order(rows: list[Scores], random: random.Random) -> None:
    ordered = sorted(rows, key=best_first)
    random.shuffle(rows)
    assert sorted(rows, key=best_first) == ordered
    failed = [len(row.failures) for row in ordered]
    assert failed == sorted(failed)


def test_clusters_by_ca_rmsd() -> None:
    rng = np.random.default_rng(0)
    folds = [HIV.binder_ca, np.cumsum(rng.normal(0, 2.2, (99, 3)), 0)]
    designs = {}
    for i in range(6):
        noisy = folds[i % 2] + rng.normal(0, 0.3, (99, 3))
        designs[f"d{i}"] = noisy @ random_rotations(rng, 1)[0] + 10 * i
    designs["mirror"] = folds[0] * [1, 1, -1]
    rows = ranked([score(HIV, name) for name in designs], designs)
    clusters = {row.design: row.cluster for row in rows}
    assert clusters["d0"] == clusters["d2"] == clusters["d4"]
    assert clusters["d1"] == clusters["d3"] == clusters["d5"]
    assert len({clusters["d0"], clusters["d1"], clusters["mirror"]}) == 3
    assert CLUSTER_RMSD == 2.0
    designs["part"] = folds[0][4:92]  # of another length: another cluster, the same fold
    parts = {row.design: row for row in ranked([score(HIV, n) for n in designs], designs, 1)}
    assert len({parts[name].fold for name in ("d0", "d2", "part")}) == 1
    assert len({parts[name].fold for name in ("d0", "d1", "mirror")}) == 3
    assert parts["part"].cluster not in {clusters[name] for name in clusters}
    assert [row.rank for row in rows] == list(range(1, 8))


@pytest.fixture(scope="module")
def a_run(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[Any], Path]:
    folder = tmp_path_factory.mktemp("scored")
    words, path = small_run(folder)
    assert run("px-sample", *words).returncode == 0
    return words, path


def rows_of(path: Path) -> list[dict[str, str]]:
    with (path / "summary.csv").open() as file:
        return list(csv.DictReader(file))


def test_a_run_is_scored_once_and_goes_on(a_run: tuple[list[object], Path], tmp_path: Path) -> None:
    _, path = a_run
    (path / "summary.csv").unlink(missing_ok=True)
    first = run("px-score", path)
    assert first.returncode == 0, first.stderr
    assert "Scoring designs: 5/5 (skipped 0)" in first.stderr
    assert first.stdout.startswith("bpti seed_7: 5 designs")
    rows = rows_of(path)
    assert [row["design"] for row in rows] == [f"bpti_sample_{i}" for i in range(5)]
    assert sorted(int(row["rank"]) for row in rows) == [1, 2, 3, 4, 5]
    assert tuple(rows[0]) == tuple(c.name for c in columns_of(Scores))
    assert all(row["target_rmsd"] and row["cluster"] for row in rows)
    whole = (path / "summary.csv").read_bytes()

    again = run("px-score", path)
    assert "Scoring" not in again.stderr and again.stdout == first.stdout
    lines = whole.splitlines(keepends=True)
    (path / "summary.csv").write_bytes(b"".join(lines[:3]) + lines[3][:20])  # killed at row 3
    resumed = run("px-score", path)
    assert "Scoring designs: 3/5 (skipped 2)" in resumed.stderr
    assert (path / "summary.csv").read_bytes() == whole


def test_folds_are_found_when_asked_for_and_kept_up_since(
    a_run: tuple[list[object], Path],
) -> None:
    _, path = a_run
    (path / "summary.csv").unlink(missing_ok=True)
    assert "fold" not in run("px-score", path).stdout
    assert not any(row["fold"] for row in rows_of(path))
    asked = run("px-score", path, "--folds")
    assert "Scoring" not in asked.stderr and " clusters, " in asked.stdout
    found = {row["design"]: row["fold"] for row in rows_of(path)}
    assert sorted(set(found.values())) == [str(i + 1) for i in range(len(set(found.values())))]
    lines = (path / "summary.csv").read_bytes().splitlines(keepends=True)
    (path / "summary.csv").write_bytes(b"".join(lines[:3]))
    run("px-score", path)
    assert {row["design"]: row["fold"] for row in rows_of(path)} == found
    (path / "summary.csv").unlink()


def test_cifs_and_chunks_give_the_same_rows(a_run: tuple[list[object], Path]) -> None:
    words, path = a_run
    (path / "summary.csv").unlink(missing_ok=True)
    scored = run("px-score", path, "--json")
    assert scored.stderr.splitlines()[-1] == f"✓ Scored bpti: {path / 'summary.csv'}"
    from_chunks = json.loads(scored.stdout)
    assert run("px-write-cif", stdin=run("px-sample", *words).stdout).returncode == 0
    (path / "summary.csv").unlink()
    chunks = path / "chunks"
    chunks.rename(path / "away")
    from_cifs = json.loads(run("px-score", path, "--json").stdout)
    (path / "away").rename(chunks)
    assert from_cifs == from_chunks


def test_rows_of_another_run_are_not_taken(a_run: tuple[list[object], Path]) -> None:
    _, path = a_run
    run("px-score", path)
    text = (path / "summary.csv").read_text()
    digest = rows_of(path)[0]["run"]
    (path / "summary.csv").write_text(text.replace(digest, "0" * 12))
    assert "Scoring designs: 5/5" in run("px-score", path).stderr
    assert (path / "summary.csv").read_text() == text


@pytest.mark.slow
def test_files_on_stdin_and_damaged_ones(a_run: tuple[list[object], Path]) -> None:
    _, path = a_run
    (path / "summary.csv").unlink(missing_ok=True)
    chunks = sorted((path / "chunks").glob("*.msgpack"))
    one = run("px-score", "-q", stdin=f"{chunks[0]}\n")
    assert one.stdout == run("px-score", "-q", "-", stdin=f"{chunks[0]}\n").stdout != ""
    assert one.returncode == 0 and one.stdout.startswith("bpti seed_7: 2 designs")
    run("px-write-cif", stdin=f"{chunks[0]}\n")
    cif = path / "predictions" / "bpti_sample_0.cif"
    whole = cif.read_text()
    cif.write_text(whole.replace("GLY", "ALA"))
    (path / "summary.csv").unlink()
    done = run("px-score", path)
    assert "does not match its digest; it is left out" in done.stderr
    assert "bpti_sample_0" not in {row["design"] for row in rows_of(path)}
    cif.write_text(whole)
    run("px-score", path)
    assert len(rows_of(path)) == 5


def test_other_peoples_structures_are_printed_as_csv() -> None:
    files = [STRUCTURES / "1HVR.pdb.gz", STRUCTURES / "1BD2.cif.gz"]
    done = run("px-score", *files)
    rows = list(csv.DictReader(done.stdout.splitlines()))
    assert [row["rank"] for row in rows] == ["1", "2"]
    assert {row["binder_length"] for row in rows} == {"99", "242"}
    assert all(row["target_rmsd"] == "" for row in rows)


def test_a_design_is_scored_as_its_file_shows_it(a_run: tuple[list[object], Path]) -> None:
    """Hotspots and target RMSD come with the file."""
    _, path = a_run
    chunk = read_chunk(next((path / "chunks").glob("samples_0-*.msgpack")))
    text = dict(chunk_texts(chunk))[0]
    c = read_complex("x", text)
    assert c.hotspots.sum() == 3 and not c.hotspots[c.binder].any()
    assert c.target_rmsd is not None
    assert c.binder.sum() == json.loads((path / "run.json").read_text())["task"]["binder_length"]
    assert RunDir(path, "bpti").cif(0).stem == "bpti_sample_0"


@pytest.mark.parametrize(
    "name, content, words",
    [
        ("empty.cif", b"", "an mmCIF or PDB file with atoms"),
        ("x.msgpack", b"\x80", "does not match its digest"),
        ("one.cif", (STRUCTURES / "5PTI.cif.gz").read_bytes(), "two protein chains"),
    ],
)
def test_wrong_files_are_one_line(tmp_path: Path, name: str, content: bytes, words: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    done = run("px-score", path)
    assert done.returncode == 2 and len(done.stderr.splitlines()) == 1
    assert words in done.stderr and "Traceback" not in done.stderr


def test_a_folder_without_runs_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("x")
    assert run("px-score", tmp_path).returncode == 2
    assert run("px-score", tmp_path / "nothing").returncode == 2


@pytest.mark.slow
def test_killed_and_interrupted_scoring_goes_on(tmp_path: Path) -> None:
    words, path = small_run(tmp_path, n=60, chunk=30, steps=2)
    assert run("px-sample", *words).returncode == 0
    table = path / "summary.csv"
    assert run("px-score", path).returncode == 0
    whole = table.read_bytes()
    for stop, code in ((signal.SIGKILL, -9), (signal.SIGINT, 130), (signal.SIGTERM, 143)):
        table.unlink()
        scoring = subprocess.Popen(
            command("px-score", path), env=environment(), stdout=-3, stderr=-3, text=True
        )
        while not (table.exists() and table.read_bytes().count(b"\n") > 5):
            time.sleep(0.002)
        scoring.send_signal(stop)
        assert scoring.wait(60) == code
        assert 5 < table.read_bytes().count(b"\n") < 61
        resumed = run("px-score", path)
        assert re.search(r"Scoring designs: \d+/60 \(skipped [1-9]\d*\)", resumed.stderr)
        assert table.read_bytes() == whole


def test_a_task_that_is_not_the_runs_is_told(
    a_run: tuple[list[object], Path], tmp_path: Path
) -> None:
    words, path = a_run
    task = json.loads(Path(str(words[1])).read_text())
    task[0]["name"] = "another"
    (tmp_path / "t.json").write_text(json.dumps(task))
    done = run("px-score", path, "-i", tmp_path / "t.json")
    assert done.returncode == 0 and "which has another" in done.stderr
    task[0]["name"] = "bpti"
    task[0]["condition"]["filter"]["crop"] = {"A": "12-25"}
    (tmp_path / "t.json").write_text(json.dumps(task))
    done = run("px-score", path, "-i", tmp_path / "t.json")
    assert done.returncode == 2 and "crops: expected those of" in done.stderr


def test_other_files_in_a_runs_folder_are_scored_as_any_structure(
    a_run: tuple[list[object], Path], tmp_path: Path
) -> None:
    shutil.copytree(a_run[1], tmp_path / "bpti/seed_7", ignore=shutil.ignore_patterns("*.csv"))
    path = tmp_path / "bpti/seed_7"
    run("px-write-cif", *sorted((path / "chunks").glob("*.msgpack")))
    design = path / "predictions/bpti_sample_0.cif"
    for other in (path / "sequences/bpti_sample_0.cif", path / "predictions/mine.cif"):
        other.parent.mkdir(exist_ok=True)
        shutil.copy(design, other)
        done = run("px-score", other)
        assert done.returncode == 0 and str(other) in done.stdout, done.stderr
    assert not (path / "summary.csv").exists()
    assert "seed_7: 1 design in" in run("px-score", design).stdout


def test_links_are_not_written_through(a_run: tuple[list[object], Path], tmp_path: Path) -> None:
    _, path = a_run
    (tmp_path / "bpti").mkdir()
    (tmp_path / "bpti" / "seed_7").symlink_to(path)
    done = run("px-score", tmp_path / "bpti")
    assert done.returncode == 2 and "found a link" in done.stderr
    run("px-score", path)
    elsewhere = tmp_path / "precious"
    elsewhere.write_text("mine")
    (path / "summary.csv").unlink()
    (path / "summary.csv").symlink_to(elsewhere)
    assert run("px-score", path).returncode == 0
    assert elsewhere.read_text() == "mine" and len(rows_of(path)) == 5
    assert not (path / "summary.csv").is_symlink()


def test_an_older_table_keeps_its_rows_and_its_ranks(
    a_run: tuple[list[object], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only what it lacks is measured: what it says of a design is not looked at again."""
    _, path = a_run
    run("px-score", path)
    table = path / "summary.csv"
    lines = [line.split(",") for line in table.read_text().splitlines()]
    contacts = lines[0].index("contacts")
    lines[1][contacts], lines[2][contacts] = "444", "333"
    (path / "summary.csv").write_text("".join(",".join(line) + "\n" for line in lines))
    again = run("px-score", path)
    assert "Scoring" not in again.stderr
    assert [row["contacts"] for row in rows_of(path)[:2]] == ["444", "333"]


def test_docs_name_the_columns_as_they_are() -> None:
    docs = (Path(__file__).parents[2] / "docs" / "scores.md").read_text()
    assert as_markdown(Scores) in docs
    assert checks.as_markdown(standard_limits().checks) in docs
    assert as_markdown(Prediction) in docs
    assert checks.filters_as_markdown(checks.standard_limits().filters) in docs


def test_every_column_that_is_measured_is_a_property() -> None:
    set_elsewhere = {"design", "rank", "cluster", "fold", "failed", "mpnn_score", "run"}
    set_elsewhere |= {*PREDICTED, "filters", "bucket"}
    assert set(MEASURED) == {c.name for c in columns_of(Scores)} - set_elsewhere


def rfdiffusions(tmp_path: Path, bare: str = "A") -> Path:
    """1HVR as RFdiffusion writes designs: the binder (A) first, of glycines, some chains `bare`."""
    structure = gemmi.read_pdb(str(STRUCTURES / "1HVR.pdb.gz"))
    structure.remove_ligands_and_waters()
    for residue in structure[0]["A"]:
        residue.name = "GLY"
    for residue in (residue for chain in bare for residue in structure[0][chain]):
        for i in reversed(range(len(residue))):
            if residue[i].name not in ("N", "CA", "C", "O"):
                del residue[i]
    for i in reversed(range(80, 99)):
        del structure[0]["A"][i]
    structure.write_pdb(str(tmp_path / "design_0.pdb"))
    return tmp_path / "design_0.pdb"


@pytest.mark.slow
def test_the_binder_is_found_or_named(tmp_path: Path) -> None:
    path = rfdiffusions(tmp_path)

    def length(*words: object) -> tuple[str, str]:
        done = run("px-score", path, *words)
        (row,) = csv.DictReader(done.stdout.splitlines())
        return row["binder_length"], done.stderr

    found, said = length()
    assert found == "80"
    assert "taken to be chain A, the only one without side chains, in 1 file; else give" in said
    rfdiffusions(tmp_path, bare="AB")
    found, said = length()
    assert found == "80" and "taken to be chain A, the only one of glycines, in 1 file" in said
    assert length("--binder", "A") == ("80", "")
    assert length("--binder", "B") == ("99", "")
    wrong = run("px-score", path, "--binder", "C")
    assert wrong.returncode == 2 and "a protein chain (A, B), found C" in wrong.stderr
    natural = run("px-score", STRUCTURES / "1HVR.pdb.gz")
    assert "taken to be chain B, the last one" in natural.stderr


@pytest.mark.parametrize("tool", ["px-score", "px-sequence"])
def test_a_folder_without_runs_and_a_renamed_task_are_told(tool: str, tmp_path: Path) -> None:
    (tmp_path / "none/global_run_0").mkdir(parents=True)
    done = run(tool, tmp_path / "none")
    assert done.returncode == 0 and done.stderr == f"⚠ {tmp_path / 'none'}: no runs yet\n"
    (tmp_path / "picks").mkdir()
    (tmp_path / "picks/a.pdb").touch()
    refused = run(tool, tmp_path / "picks")
    assert refused.returncode == 2 and "take them as files: a.pdb)\n" in refused.stderr
    shutil.copytree(DATA / "old_runs/finished", tmp_path / "out")
    renamed = tmp_path / "out/global_run_0/foo"
    (tmp_path / "out/global_run_0/bpti").rename(renamed)
    refused = run(tool, tmp_path / "out")
    assert refused.returncode == 2
    assert f"{renamed / 'seed_1'}: its run.json is of the task bpti: give" in refused.stderr


def test_what_is_not_scored_of_a_structure_is_said(tmp_path: Path) -> None:
    """1HVR with a strand of DNA, and without a CA of its target."""
    text = gzip.decompress((STRUCTURES / "1HVR.pdb.gz").read_bytes()).decode()
    lines = [x for x in text.splitlines(True) if x[:4] == "ATOM" and x[12:26] != " CA  VAL A   3"]
    assert len(lines) == sum(x[:4] == "ATOM" for x in text.splitlines()) - 1
    dna = [x[:12] + x[12:17] + " DA C" + x[22:] for x in lines[:40]]
    path = tmp_path / "complex.pdb"
    path.write_text("".join([*lines, *dna, "END\n"]))
    done = run("px-score", path)
    assert done.returncode == 0, done.stderr
    assert "left out in 1 file: chain C (Dna) is no protein" in done.stderr
    assert "left out in 1 file: of chain A 1 residue without N, CA, C or O" in done.stderr
    path.write_text("".join(x for x in lines if x[21] == "A" or x[12:16] == " CA ") + "END\n")
    refused = run("px-score", path)
    assert refused.returncode == 2 and "found 1 chain" in refused.stderr
    assert "left out in 1 file: of chain B all residues without N, CA, C or O" in refused.stderr
