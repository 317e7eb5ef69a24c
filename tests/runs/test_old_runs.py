"""Runs that version 0.1.0 made (tests/data/old_runs) are resumed, written and scored."""

import csv
import shutil
from pathlib import Path

import numpy as np
import pytest
from conftest import DATA
from processes import TINY, run

from pxtools.runs.chunk import read_chunk
from pxtools.runs.folder import RunDir

OLD = DATA / "old_runs"


@pytest.fixture
def old(tmp_path: Path) -> Path:
    shutil.copytree(OLD, tmp_path / "old_runs")
    return tmp_path / "old_runs"


def folder(runs: Path, name: str, seed: int) -> Path:
    return runs / name / f"global_run_0/bpti/seed_{seed}"


def sample(runs: Path, name: str, seed: int, n: int) -> tuple[str, str]:
    """The command that made the run, typed again."""
    words = ["-i", OLD / "bpti.json", "-o", runs / name, "-m", TINY, "--seeds", seed]
    words += ["--N_sample", n, "--N_step", 60, "--sample_diffusion_chunk_size", 2]
    done = run("px-sample", *words)
    assert done.returncode == 0, done.stderr
    return done.stdout, done.stderr


def contents(runs: Path) -> dict[Path, bytes]:
    return {p: p.read_bytes() for p in runs.rglob("*") if p.is_file() and p.name != ".lock"}


def test_a_finished_run_is_finished(old: Path) -> None:
    before = contents(old)
    paths, said = sample(old, "finished", 1, 3)
    assert "✓ Skip sample=bpti: already completed (3 samples exist)." in said
    written = run("px-write-cif", "-", stdin=paths)
    assert "✓ Saved 0 new samples, skipped 3 existing samples" in written.stderr
    assert contents(old) == before
    assert run("px-status", old / "finished").returncode == 0


def test_a_finished_run_is_extended(old: Path) -> None:
    _, said = sample(old, "finished", 1, 4)
    assert "⚠ Resuming sample=bpti: 3 samples already exist, continuing generation..." in said
    held = [samples for samples, _ in RunDir(folder(old, "finished", 1), "bpti").files("msgpack")]
    assert held == [[0, 1], [2], [3]]


@pytest.mark.slow
def test_a_half_finished_run_goes_on_from_its_state(old: Path, tmp_path: Path) -> None:
    first = folder(old, "half", 2) / "chunks/samples_0-1.msgpack"
    before = first.read_bytes()
    paths, said = sample(old, "half", 2, 4)
    assert "Continuing after step 50/60" in said
    assert first.read_bytes() == before
    assert not list(old.rglob("*.state")) and not list(old.rglob("*.corrupt"))
    written = run("px-write-cif", stdin=paths)
    assert "✓ Saved all 4 samples" in written.stderr
    sample(tmp_path, "fresh", 2, 4)
    here, there = (
        read_chunk(folder(runs, name, 2) / "chunks/samples_2-3.msgpack").xyz
        for runs, name in ((old, "half"), (tmp_path, "fresh"))
    )
    assert np.abs(here - there).max() < 0.05  # Å; another BLAS made the first 50 steps


def test_the_rows_of_a_scored_run_are_kept(old: Path) -> None:
    summary = folder(old, "scored", 3) / "summary.csv"
    header, first, *others = summary.read_text().splitlines(keepends=True)
    cells = first.split(",")
    contacts = header.split(",").index("contacts")
    cells[contacts] = "99"  # no design has so many: a row scored anew would show it
    failed = header.split(",").index("failed")
    cells[failed] = cells[failed].replace("contacts ", "")
    summary.write_text("".join([header, ",".join(cells), *others]))
    done = run("px-score", old / "scored")
    assert done.returncode == 0, done.stderr
    assert "3 designs" in done.stdout
    rows = list(csv.DictReader(summary.read_text().splitlines()))
    was = list(csv.DictReader([header, ",".join(cells), *others]))
    assert {row["contacts"] for row in rows} == {row["contacts"] for row in was} >= {"99"}
    for row, old_row in zip(rows, was, strict=True):
        kept = set(old_row) - {"rank", "cluster"}
        assert {name: row[name] for name in kept} == {name: old_row[name] for name in kept}
