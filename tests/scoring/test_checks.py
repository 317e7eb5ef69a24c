"""Limits of one's own: read, or refused in a line; designs are judged anew, not measured."""

import csv
import shutil
from pathlib import Path

import pytest
from conftest import DATA
from processes import run

from pxtools.errors import InputError
from pxtools.runs.tables import Check
from pxtools.scoring.checks import read_limits, standard_limits
from pxtools.shipped import PRESETS


def written(tmp_path: Path, text: str) -> Path:
    (tmp_path / "mine.yaml").write_text(text)
    return tmp_path / "mine.yaml"


def test_limits_are_read(tmp_path: Path) -> None:
    path = written(
        tmp_path, "checks:\n  slim: {of: [helix, strand], over: rg, low: 0, above: -1}\n"
    )
    assert read_limits(path).checks == {
        "slim": Check(of=("helix", "strand"), over="rg", low=0, above=-1)
    }


@pytest.mark.parametrize(
    "text, words",
    [
        ("checks: 3", "limits by name"),
        ("- a", "limits by name"),
        ("checks: {a b: {of: rg, low: 1}}", "names of letters"),
        ("checks: {a: 3}", "{of: COLUMN"),
        ("checks: {a: {of: rg}}", "at least one of low"),
        ("checks: {a: {of: [], low: 1}}", "at least one of low"),
        ("checks: {a: {of: contact, low: 1}}", "such as contacts"),
        ("checks: {a: {of: design, low: 1}}", "a column with numbers"),
        ("checks: {a: {of: rg, over: rgg, low: 1}}", "such as rg"),
        ("checks: {a: {of: rg, lo: 1}}", "of, over, low, high, above"),
        ("checks: {a: {of: rg, low: yes}}", "a number"),
        ("checks: {a: {of: rg, low: .nan}}", "a number"),
        ("checks: {", "not readable YAML"),
        ("checks: {a: {of: rg, low: 1}, a: {of: helix, low: 0}}", "a is given twice"),
    ],
)
def test_what_is_no_limit_is_refused(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(InputError, match=r"mine\.yaml") as error:
        read_limits(written(tmp_path, text))
    assert words in str(error.value)


def test_the_standard_ones_are_read() -> None:
    assert standard_limits().checks["rg"] == Check(
        of=("rg",), over="rg_expected", low=0.75, high=1.25
    )


def test_designs_are_judged_anew_and_nothing_is_measured(tmp_path: Path) -> None:
    shutil.copytree(DATA / "old_runs" / "finished", tmp_path / "out")
    (table,) = (path.with_name("summary.csv") for path in tmp_path.glob("out/*/*/*/run.json"))
    assert run("px-score", tmp_path / "out").returncode == 0
    before = table.read_bytes()
    shutil.rmtree(table.parent / "predictions")
    shutil.rmtree(table.parent / "chunks")  # nothing is left to be measured
    mine = written(tmp_path, "checks: {many: {of: contacts, low: 1000}}")
    done = run("px-score", tmp_path / "out", "--checks", mine)
    assert done.returncode == 0 and "many 3" in done.stdout
    rows = list(csv.DictReader(table.read_text().splitlines()))
    assert [row["failed"] for row in rows] == ["many"] * 3
    assert sorted(row["rank"] for row in rows) == ["1", "2", "3"]
    judged = table.read_bytes()
    again = run("px-score", tmp_path / "out")
    assert "judged by its own checks.yaml" in again.stderr and "many 3" in again.stdout
    assert run("px-pick", tmp_path / "out").returncode == 0
    page = tmp_path / "page.html"
    assert run("px-report", tmp_path / "out", "-o", page).returncode == 0
    assert '"many"' in page.read_text() and table.read_bytes() == judged
    (table.parent / "checks.yaml").write_bytes(b"\xff")
    assert "not readable YAML" in run("px-pick", tmp_path / "out").stderr
    assert run("px-score", tmp_path / "out", "--checks", mine).returncode == 0
    assert table.read_bytes() == judged
    standard = run("px-score", tmp_path / "out", "--checks", PRESETS / "checks.yaml")
    assert standard.returncode == 0 and not (table.parent / "checks.yaml").exists()
    assert table.read_bytes() == before
