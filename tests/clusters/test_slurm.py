"""A real Slurm on this host, whose jobs are killed, requeued and preempted."""

import json
import os
import re
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cluster import call, missing, slurm, wait_until
from processes import TINY, command, environment, run, write_task

pytestmark = [pytest.mark.slow, pytest.mark.skipif(bool(missing()), reason=missing())]
# steps enough for a shard to be suspended in its first chunk on a fast machine
SETTINGS = ["-m", TINY, "--N_sample", "4", "--N_step", "250"]
SETTINGS += ["--sample_diffusion_chunk_size", "1"]
Disturbance = tuple[int, Callable[[int], None]]  # a shard, and what is done to it


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    with slurm(tmp_path_factory.mktemp("slurm")) as variables:
        yield environment(**variables)


def submit(cluster: dict[str, str], out: Path, *more: str) -> tuple[list[str], str]:
    """The ids of the new jobs, and what was said."""
    task = write_task(out.parent)
    words = ["-i", str(task), "-o", str(out), *SETTINGS, "--shards", "4", *more]
    done = subprocess.run(
        command("px-submit", *words), env=cluster, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split(), done.stderr


def seed_folder(out: Path) -> Path:
    return out / "global_run_0" / "bpti" / "seed_12345"


def pid_of_shard(out: Path, name: str) -> int:
    worker = seed_folder(out) / "workers" / f"shard_{name}.json"
    return int(json.loads(worker.read_text())["pid"])


def log(out: Path, shard: int) -> str:
    path = out / "slurm" / f"shard_{shard}.log"
    return path.read_text() if path.exists() else ""


def wait_for_queue(cluster: dict[str, str]) -> None:
    wait_until(lambda: call(cluster, "squeue", "-h") == "", "the queue to empty", 300, every=1)


def test_shards_killed_requeued_and_preempted_make_what_one_process_makes(
    cluster: dict[str, str], tmp_path: Path
) -> None:
    out = tmp_path / "out put"  # a space in every path
    (array, _), said = submit(cluster, out)
    assert "Submitted shards 0-3 of 4" in said
    assert "Nothing to submit: 4 are in the queue" in submit(cluster, out)[1]

    def kill(shard: int) -> None:
        os.kill(pid_of_shard(out, f"{shard}-of-4"), signal.SIGKILL)

    def requeue(shard: int) -> None:
        call(cluster, "scontrol", "requeue", f"{array}_{shard}")

    def preempt(shard: int) -> None:
        node = call(cluster, "squeue", "-h", "-j", f"{array}_{shard}", "-o", "%N")
        call(
            cluster,
            "sbatch",
            "--partition=high",
            f"--nodelist={node}",
            "--output=/dev/null",
            "--wrap=sleep 1",
        )

    def begun() -> list[Disturbance]:
        return [pair for pair in to_do if "step [51/" in log(out, pair[0])]

    to_do: list[Disturbance] = [(0, kill), (1, requeue), (2, preempt)]
    while to_do:  # each as soon as its shard is in the middle of its first chunk
        wait_until(begun, "a shard to begin", every=0.05)
        shard, disturb = begun()[0]
        # no further until it hears of it: Slurm wakes what it stops
        os.kill(pid_of_shard(out, f"{shard}-of-4"), signal.SIGSTOP)
        disturb(shard)
        to_do.remove((shard, disturb))
    wait_for_queue(cluster)

    for shard in (1, 2):
        assert "stopped; run the same command to continue" in log(out, shard)
        assert "Continuing after step" in log(out, shard)
    status = json.loads(run("px-status", out, "--json").stdout)[0]
    assert [shard["state"] for shard in status["shards"]] == ["dead", *["complete"] * 3]
    assert re.search(r"bpti +12345 +3/4", (out / "slurm" / "finish.log").read_text())

    again, said = submit(cluster, out)
    assert len(again) == 2 and f"Submitted shards 0 of 4 (job {again[0]})" in said
    wait_for_queue(cluster)
    assert submit(cluster, out) == ([], "Nothing to submit: all samples and CIFs are there\n")
    assert (out / "report.html").exists()
    assert run("px-status", out).returncode == 0

    whole = tmp_path / "whole"
    on_all_cores = ["--sample_diffusion_chunk_size", "4"]
    task = tmp_path / "bpti.json"
    alone = run("pxdesign", "pipeline", "-i", task, "-o", whole, *SETTINGS, *on_all_cores)
    assert alone.returncode == 0, alone.stderr
    cifs = sorted((seed_folder(whole) / "predictions").glob("*.cif"))
    assert len(cifs) == 4
    for cif in cifs:
        assert (seed_folder(out) / "predictions" / cif.name).read_bytes() == cif.read_bytes()


def test_a_shard_goes_on_after_its_time_limit(cluster: dict[str, str], tmp_path: Path) -> None:
    """Slurm looks every 30 s which jobs to warn: until then, ours is suspended."""
    out = tmp_path / "out"
    words = ["-i", write_task(tmp_path), "-o", out, "-m", TINY, "--N_sample", 1]
    words += ["--N_step", 500, "--shards", 1, "--sequences", 0]
    words += ["--time", "1", "--sbatch=--signal=B:USR1@55"]
    done = subprocess.run(
        command("px-submit", *words), env=cluster, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    wait_until(lambda: "step [51/" in log(out, 0), "the shard to begin")
    sampling = pid_of_shard(out, "0-of-1")
    os.kill(sampling, signal.SIGSTOP)
    wait_until(lambda: is_told_to_stop(sampling), "the warning")
    os.kill(sampling, signal.SIGCONT)
    wait_for_queue(cluster)
    assert "shard 0 goes back into the queue" in log(out, 0)
    assert "Continuing after step" in log(out, 0)
    assert "DUE TO TIME LIMIT" not in log(out, 0)
    assert run("px-status", out).returncode == 0


def is_told_to_stop(pid: int) -> bool:
    """A process that is suspended, and will hear of it when it goes on."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    pending = next(int(line.split()[1], 16) for line in lines if line.startswith("ShdPnd"))
    return bool(pending >> (signal.SIGTERM - 1) & 1)
