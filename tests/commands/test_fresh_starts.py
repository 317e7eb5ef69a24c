"""Each tool, started afresh: nothing that it writes depends on the order of a set.

Python draws that order anew for each process; the tools of most tests share it (forked.py).
"""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from conftest import DATA, fixture_task
from processes import TINY, command, environment, small_run, write_task

pytestmark = pytest.mark.slow
WHEN = re.compile(rb"\d{4}-\d\d-\d\d \d\d:\d\d(:\d\d)? UTC")


def all_tools(folder: Path, hash_seed: str) -> dict[str, bytes]:
    """What the tools write below a folder, by name, and what they print."""
    condition = fixture_task("pmhc")["condition"]
    condition["filter"] = {"chain_id": ["A", "C"], "crop": {"A": "55-75"}}
    hotspot, generation = {"A": [65], "C": [4, 5]}, [{"type": "protein", "length": 10}]
    write_task(folder, "pmhc", condition=condition, hotspot=hotspot, generation=generation)
    words, _ = small_run(folder, n=2, chunk=1, steps=2, name="pmhc")
    task, out = folder / "pmhc.json", folder / "out"
    checkpoint = DATA / "tiny/checkpoint.pt"
    tools: list[tuple[object, ...]] = [
        ("px-target", "-i", task, "-m", TINY, "-o", folder / "look"),
        ("px-sample", *words),
        ("px-write-cif", "-i", task, "-o", out, "--pdb"),
        ("px-score", "-i", task, out),
        ("px-sequence", out, "--num_seqs", 2, "--omit", "MCW", "--for", "boltz"),
        ("px-report", out, "-i", task),
        ("px-pick", out, "-n", 1, "-o", folder / "picks"),
        ("px-submit", *words[:-2], "--dry", "--shards", 2),
        ("px-convert-checkpoint", checkpoint, "-o", folder / "model"),
        ("px-status", out),
    ]
    made = {}
    for tool, *rest in tools:
        done = subprocess.run(
            command(str(tool), *rest),
            capture_output=True,
            env=environment(PYTHONHASHSEED=hash_seed),
        )
        assert done.returncode == 0, (tool, done.stderr)
        made[f"stdout of {tool}"] = done.stdout
    for path in folder.rglob("*"):
        if path.is_file():
            made[str(path.relative_to(folder))] = WHEN.sub(b"", path.read_bytes())
    return made


def test_the_order_of_a_set_decides_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    made = []
    for hash_seed in ("1", "2"):
        folder.mkdir()
        made.append(all_tools(folder, hash_seed))
        shutil.rmtree(folder)
    one, other = made
    assert one.keys() == other.keys()
    assert [name for name in one if one[name] != other[name]] == []
