"""px-sequence in shards."""

import csv
from pathlib import Path

import pytest
from processes import run, sample_and_write, small_run

pytestmark = pytest.mark.slow


def test_shards_and_then_the_whole_make_the_table_of_one_process(tmp_path: Path) -> None:
    words, folder = small_run(tmp_path, n=5, chunk=2)
    sample_and_write(*words)
    assert run("px-sequence", tmp_path / "out").returncode == 0
    table, fasta = folder / "sequences.csv", folder / "sequences.fasta"
    whole = table.read_bytes(), fasta.read_bytes()
    table.unlink()
    fasta.unlink()
    cifs = sorted((folder / "predictions").glob("*.cif"))
    piped = "".join(f"{path}\n" for path in cifs)
    assert run("px-sequence", tmp_path / "out", "--shard", "0/2").returncode == 0
    assert run("px-sequence", "--shard", "1/2", stdin=piped).returncode == 0
    assert not table.exists() and not fasta.exists()
    designs = {
        path.name: [row["design"] for row in csv.DictReader(path.open())]
        for path in folder.glob("sequences.*.csv")
    }
    assert designs == {
        "sequences.shard_0-of-2.csv": [f"bpti_sample_{i}" for i in (0, 2, 4)],
        "sequences.shard_1-of-2.csv": [f"bpti_sample_{i}" for i in (1, 3)],
    }
    gathered = run("px-sequence", tmp_path / "out")
    assert gathered.returncode == 0 and gathered.stdout == whole[1].decode()
    assert (table.read_bytes(), fasta.read_bytes()) == whole
    refused = run("px-sequence", tmp_path / "out", "--samples", "4-9")
    assert refused.returncode == 2 and "--samples: expected" in refused.stderr
