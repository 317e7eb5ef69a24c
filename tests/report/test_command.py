"""px-report as a process: which designs it shows, and what it says of what it cannot show."""

import csv
import json
import os
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

import gemmi
import numpy as np
import pytest
from conftest import DATA, STRUCTURES
from processes import command, environment, run

from pxtools.report.packing import unpack
from pxtools.report.sheets import read_sheet
from pxtools.runs.tables import columns_of
from pxtools.scoring.columns import Scores
from pxtools.structure.complex import read_complex

pytestmark = pytest.mark.slow
OLD = DATA / "old_runs"


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """A finished run of three designs, which have no scores yet."""
    return Path(shutil.copytree(OLD / "finished", tmp_path / "results"))


def page(*words: object, **kwargs: Any) -> tuple[dict[str, Any], dict[str, Any], str]:
    """The contents and coordinates of the page that px-report writes, and what it said."""
    done = run("px-report", *words, **kwargs)
    assert done.returncode == 0, done.stderr
    text = Path(kwargs.get("cwd", "."), done.stdout.strip()).read_text()
    parts = (
        text.split(f'id="{name}">')[1].split("</script>")[0] for name in ("data", "coordinates")
    )
    data, coordinates = map(json.loads, parts)
    return data, coordinates, done.stderr


def test_a_run_is_scored_and_shown(results: Path) -> None:
    data, coordinates, said = page(results)
    assert (results / "report.html").is_file() and "✓ Wrote a page of 3 designs" in said
    folder = results / "global_run_0/bpti/seed_1"
    with (folder / "summary.csv").open() as file:
        rows = {row["design"]: row for row in csv.DictReader(file)}
    held = data["designs"]
    assert sorted(held["name"]) == sorted(rows)
    names = {column["name"] for column in data["columns"]}
    assert names == set(next(iter(rows.values()))) - {"design", "run"}
    for name in names:
        for design, value in zip(held["name"], held["values"][name], strict=True):
            assert str(value if value is not None else "") == rows[design][name]
    assert held["file"] == [f"global_run_0/bpti/seed_1/predictions/{n}.cif" for n in held["name"]]
    facts = dict(data["runs"][0]["facts"])
    record = json.loads((folder / "run.json").read_text())
    assert facts["model's digest"] == record["model"]["digest"]
    assert facts["seed"] == "1" and "hotspots 15, 17, 19" in facts["chain A"]
    assert {check["name"]: check["high"] for check in data["checks"]}["target"] == 1.0
    poses, at = unpack(coordinates["poses"]), 0
    for name, length in zip(held["name"], data["poses"]["length"], strict=True):
        design = read_complex(name, (folder / f"predictions/{name}.cif").read_bytes())
        wanted = design.xyz[design.binder, :3].reshape(-1, 3)
        assert np.abs(poses[at : at + 3 * length] - wanted).max() < 0.02
        at += 3 * length


def test_what_the_crop_cut_away(results: Path, tmp_path: Path) -> None:
    task = json.loads((OLD / "bpti.json").read_text())
    task[0]["condition"]["structure_file"] = str(STRUCTURES / "5PTI.cif.gz")
    (tmp_path / "task.json").write_text(json.dumps(task))
    (target,) = page(results)[0]["targets"]
    (whole,) = page(results, "-i", tmp_path / "task.json")[0]["targets"]
    assert target["kept"] == "1" * len(target["number"])
    kept = [n for n, flag in zip(whole["number"], whole["kept"], strict=True) if flag == "1"]
    assert kept == target["number"] and len(whole["number"]) == 58
    hot = [n for n, flag in zip(whole["number"], whole["hot"], strict=True) if flag == "1"]
    assert hot == ["15", "17", "19"]


def test_designs_in_chunks_only_have_no_file(results: Path) -> None:
    shutil.rmtree(results / "global_run_0/bpti/seed_1/predictions")
    data, _, _ = page(results)
    assert data["designs"]["file"] == [None] * 3 and len(data["poses"]["length"]) == 3


def test_runs_side_by_side_with_equal_names(results: Path, tmp_path: Path) -> None:
    other = shutil.copytree(results, tmp_path / "others")
    half = shutil.copytree(OLD / "half", tmp_path / "half")
    data, _, _ = page(results, other, half, "-o", "page.html", cwd=tmp_path)
    labels = [r["label"] for r in data["runs"]]
    assert len(set(labels)) == 3 and len(data["targets"]) == 1
    assert [(r["done"], r["asked"]) for r in data["runs"]] == [(3, 3), (3, 3), (2, 4)]


def test_only_the_best_in_3d(results: Path) -> None:
    data, _, _ = page(results, "--in-3d", 2)
    ranks = data["designs"]["values"]["rank"]
    assert [pose >= 0 for pose in data["designs"]["pose"]] == [rank <= 2 for rank in ranks]
    assert data["notes"] == ["The best 2 of 3 designs have structures on this page."]


def test_sequences(results: Path) -> None:
    done = run("px-sequence", results, "--num-seqs", 2, "--temperature", 0.5, "--cif")
    assert done.returncode == 0, done.stderr
    folder = results / "global_run_0/bpti/seed_1"
    with (folder / "sequences.csv").open() as file:
        rows = list(csv.DictReader(file))
    held = page(results)[0]["designs"]
    for name, shown, own in zip(
        held["name"], held["values"]["sequence"], held["sequences"], strict=True
    ):
        made = sorted((float(r["score"]), r["sequence"]) for r in rows if r["design"] == name)
        assert shown == made[0][1] and [s[1] for s in own] == [letters for _, letters in made]
        assert len(own[0][-1]) == len(shown) and own[0][-1].isdigit()  # tenths
        tenths = (np.array(list(map(int, own[0][-1]))) + 0.5) / 10
        assert abs(-np.log(tenths).mean() - made[0][0]) < 0.6


def test_a_table_of_structures_from_other_sources(results: Path, tmp_path: Path) -> None:
    """Its files lie in frames of their own; columns that px-tools does not know are shown too."""
    predictions = results / "global_run_0/bpti/seed_1/predictions"
    names = []
    for i, angle in enumerate((0.3, 1.9)):
        structure = gemmi.read_structure(str(predictions / "bpti_sample_0.cif"))
        turn = gemmi.Transform()
        c, s = np.cos(angle), np.sin(angle)
        turn.mat.fromlist([[c, -s, 0], [s, c, 0], [0, 0, 1]])
        turn.vec.fromlist([10.0 * i, 5, 0])
        structure[0].transform_pos_and_adp(turn)
        structure.make_mmcif_document().write_file(str(tmp_path / f"other_{i}.cif"))
        names.append(f"other_{i}.cif")
    scored = run("px-score", *names, cwd=tmp_path)
    lines = scored.stdout.splitlines()
    table = tmp_path / "scores.csv"
    extra = [f"{lines[0]},iptm,</script>", f"{lines[1]},0.8,x", f"{lines[2]},nan,y"]
    table.write_text("\n".join(extra) + "\nmissing.cif" + "," * lines[0].count(",") + ",1e999,z\n")
    data, coordinates, _ = page(table, cwd=tmp_path)
    assert data["designs"]["name"] == [*(line.split(",")[0] for line in lines[1:]), "missing.cif"]
    assert [pose >= 0 for pose in data["designs"]["pose"]] == [True, True, False]
    kinds = {column["name"]: column["kind"] for column in data["columns"]}
    assert kinds["</script>"] == "text" and kinds["rg"] == "number"
    assert len(data["targets"]) == 1  # the second was laid on the first
    first, second = np.split(unpack(coordinates["poses"]), 2)
    assert np.abs(first - second).max() < 0.05


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["nothing"], "nothing of that name"),
        (["empty"], "expected at least one run of px-sample, found none yet"),
        (["wrong.csv"], "expected a CSV of px-score, with a column design, found a, b"),
        (["results", "--in-3d", "-1"], "--in-3d: expected 0 or more, found -1"),
        (["results", "-o", "missing/page.html"], "cannot write"),
        (["results", "-o", "-", "--watch"], "--watch: -o: expected a file"),
    ],
)
def test_what_cannot_be_shown_is_said_in_a_line(
    results: Path, tmp_path: Path, words: list[str], says: str
) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "wrong.csv").write_text("a,b\n1,2\n")
    done = run("px-report", *words, cwd=tmp_path)
    assert done.returncode == 2 and says in done.stderr
    assert "Traceback" not in done.stderr and done.stdout == ""


def test_what_is_no_file_is_not_replaced(results: Path, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    done = run("px-report", results, "-o", tmp_path / "pipe")
    assert done.returncode == 2 and "found a device or a pipe" in done.stderr
    assert (tmp_path / "pipe").is_fifo()
    (tmp_path / "link.html").symlink_to("page.html")
    assert run("px-report", results, "-o", tmp_path / "link.html").returncode == 0
    assert (tmp_path / "link.html").is_symlink() and (tmp_path / "page.html").stat().st_size


def test_a_file_that_is_no_page_is_not_replaced(results: Path, tmp_path: Path) -> None:
    record = results / "global_run_0/bpti/seed_1/run.json"
    for output, found in (
        (record, f"{record}: -o: expected a new file or a page"),
        (f"{tmp_path}/new/", "new/"),
    ):
        refused = run("px-report", results, "-o", output)
        assert refused.returncode == 2 and found in refused.stderr, refused.stderr
    page(results, "-o", tmp_path / "page.html")
    page(results, "-o", tmp_path / "page.html")


def test_to_stdout(results: Path) -> None:
    done = run("px-report", results, "-o", "-", "-q")
    assert done.stdout.startswith("<!doctype html>") and done.stderr == ""


def test_watching_a_run(tmp_path: Path) -> None:
    """The page of a run in progress reloads itself; the last one, of the whole run, does not."""
    half = Path(shutil.copytree(OLD / "half", tmp_path / "half"))
    words = command("px-report", half, "--watch", "--every", "1")
    with subprocess.Popen(words, env=environment(), stdout=subprocess.PIPE, text=True) as process:
        until = time.monotonic() + 60
        while not (half / "report.html").is_file() and time.monotonic() < until:
            time.sleep(0.1)
        text = (half / "report.html").read_text()
        assert '"reload":1' in text and '"asked":4,"done":2' in text
        done = run(
            "px-sample",
            "-i",
            OLD / "bpti.json",
            "-o",
            half,
            "-m",
            DATA / "tiny",
            "--seeds",
            2,
            "--N_sample",
            4,
            "--N_step",
            60,
            "--sample_diffusion_chunk_size",
            2,
        )
        assert done.returncode == 0, done.stderr
        out, _ = process.communicate(timeout=60)
        assert process.returncode == 0 and out.strip() == str(half / "report.html")
    text = (half / "report.html").read_text()
    assert '"reload":null' in text and '"asked":4,"done":4' in text


def test_rows_that_do_not_fit_their_table_are_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = tmp_path / "scores.csv"
    table.write_text("design,rg\na.cif,9\nb.cif,9,1\n\nc.cif\nd.cif,8\n")
    assert [row["design"] for row in read_sheet(table, columns_of(Scores))] == ["a.cif", "d.cif"]
    said = "2 rows have more or fewer cells than its first line: left out"
    assert capsys.readouterr().err == f"⚠ {table}: {said}\n"


def test_limits_that_not_all_runs_are_judged_by_are_not_shown(results: Path) -> None:
    other = Path(shutil.copytree(results, results.parent / "other"))
    limits = results.parent / "mine.yaml"
    limits.write_text("checks: {target: {of: target_rmsd, high: 9}, helix: {of: helix, low: 0.1}}")
    assert run("px-score", other, "--checks", limits).returncode == 0
    data, *_ = page(other)
    assert {check["name"]: check["high"] for check in data["checks"]} == {
        "target": 9,
        "helix": None,
    }
    data, *_ = page(results, other, "-o", results.parent / "both.html")
    assert data["checks"] == []
