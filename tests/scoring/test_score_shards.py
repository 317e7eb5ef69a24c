"""px-score in shards, and over several results folders."""

import json
import shutil
from pathlib import Path

import pytest
from processes import run, sample_and_write, small_run

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def scored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("scored")
    words, _ = small_run(folder, n=5, chunk=2)
    sample_and_write(*words)
    assert run("px-score", folder / "out").returncode == 0
    return folder


def test_shards_and_then_the_whole_make_the_table_of_one_process(
    scored: Path, tmp_path: Path
) -> None:
    shutil.copytree(scored, tmp_path, dirs_exist_ok=True)
    _, folder = small_run(tmp_path)
    table = (folder / "summary.csv").read_bytes()
    (folder / "summary.csv").unlink()
    for part in (["--shard", "0/2"], ["--shard", "1/2"], ["--samples", "0-1"]):
        assert run("px-score", tmp_path / "out", *part).returncode == 0
    assert not (folder / "summary.csv").exists()
    rows = {path.name: len(path.read_text().splitlines()) - 1 for path in folder.glob("*.csv")}
    assert rows == {
        "summary.shard_0-of-2.csv": 3,
        "summary.shard_1-of-2.csv": 2,
        "summary.samples_0-1.csv": 2,
    }
    whole = run("px-score", tmp_path / "out")
    assert whole.returncode == 0 and "Scoring designs" not in whole.stderr
    assert (folder / "summary.csv").read_bytes() == table
    refused = run("px-score", tmp_path / "out", "--samples", "3-5")
    assert refused.returncode == 2 and "samples from 0 to 4" in refused.stderr


def test_runs_of_one_name_in_two_folders_are_told_apart(scored: Path, tmp_path: Path) -> None:
    folders = [tmp_path / name for name in ("a", "b")]
    for folder in folders:
        shutil.copytree(scored / "out", folder)
    titles = [
        line.split(":")[0]
        for line in run("px-score", *folders).stdout.splitlines()
        if "designs" in line and not line.startswith(" ")
    ]
    assert titles == [f"{name}/global_run_0/bpti/seed_7" for name in ("a", "b")]
    rows = json.loads(run("px-score", "--json", *folders).stdout)
    assert len(rows) == 10 and len({(row["folder"], row["design"]) for row in rows}) == 10
