"""Shards as Snakemake's file targets, one of them killed."""

import json
import os
import signal
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
from cluster import wait_until
from faults import STEPS, assert_same, run_folder
from processes import TINY, environment, sample_and_write, small_run

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(find_spec("snakemake") is None, reason="Snakemake is not installed"),
]
SNAKEFILE = Path(__file__).parents[2] / "workflow" / "Snakefile"
N, CHUNK = 4, 1  # a chunk for each of four shards


def test_shards_of_snakemake_make_what_one_process_makes(tmp_path: Path) -> None:
    whole, out = tmp_path / "whole", tmp_path / "out"
    whole.mkdir()
    words, _ = small_run(whole, n=N, chunk=CHUNK, steps=STEPS)
    sample_and_write(*words)
    small_run(tmp_path)  # writes the task
    sampling = f"--N_sample {N} --sample_diffusion_chunk_size {CHUNK} --N_step {STEPS} --seeds 7"
    config = [f"task={tmp_path}/bpti.json", f"out={out}", "shards=4"]
    config += [f"sampling=-m {TINY} {sampling}"]
    tools = Path(sys.executable).parent
    snakemake = subprocess.Popen(
        [tools / "snakemake", "-s", SNAKEFILE, "--cores", "2", "--config", *config],
        cwd=tmp_path,
        env=environment(PATH=f"{tools}:{os.environ['PATH']}"),
        stderr=subprocess.PIPE,
        text=True,
    )
    workers = run_folder(tmp_path) / "workers"

    def at_work() -> list[int]:
        held = [json.loads(path.read_text()) for path in workers.glob("*.json")]
        return [worker["pid"] for worker in held if worker["samples"]]

    wait_until(at_work, "a shard to begin")
    os.kill(at_work()[0], signal.SIGKILL)
    _, said = snakemake.communicate(timeout=240)
    assert snakemake.returncode == 0, said
    assert "Trying to restart job" in said
    assert (out / "report.html").exists()
    assert_same(tmp_path, whole, only=".cif")
