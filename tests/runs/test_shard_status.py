"""What px-status says of shards and of processes on other hosts."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from faults import CHUNK, run_folder, start, wait_for
from locks import with_locks_of_one_host
from processes import command, environment, run, sample_and_write, small_run

from pxtools.runs.folder import RunDir
from pxtools.runs.workers import SILENT_SECONDS, workers_of

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="the shim reads /proc"),
]
N = 8
STEPS = 200  # the processes are to be stopped in the middle


def status(folder: Path) -> list[dict[str, object]]:
    (row,) = json.loads(run("px-status", folder / "out", "--json").stdout)
    shards = row["shards"]
    assert isinstance(shards, list)
    return shards


def test_shards_of_four_kinds(tmp_path: Path) -> None:
    words, _ = small_run(tmp_path, n=N, chunk=CHUNK, steps=STEPS)
    env = with_locks_of_one_host(tmp_path, "node-1")
    assert run("px-sample", *words, "--shard", "0/4").returncode == 0
    dead, stopped = (
        start(tmp_path, "--N_sample", N, "--N_step", STEPS, "--shard", f"{k}/4", env=env)
        for k in (1, 2)
    )
    for process in (dead, stopped):
        wait_for(process, "Diffusion step [51/")
        process.send_signal(signal.SIGSTOP)  # px-status may take longer than the rest
    assert [shard["state"] for shard in status(tmp_path)] == [
        *("complete", "running", "running", "waiting")
    ]
    dead.kill()
    stopped.terminate()
    stopped.send_signal(signal.SIGCONT)
    for process in (dead, stopped):
        process.communicate()
    assert [shard["state"] for shard in status(tmp_path)] == [
        *("complete", "running", "stopped", "waiting")  # node-1 may only be slow
    ]
    for worker in workers_of(RunDir(run_folder(tmp_path), "bpti")):
        os.utime(worker.path, (time.time() - SILENT_SECONDS - 3600,) * 2)
    shown = run("px-status", tmp_path / "out")
    assert re.search(r"bpti +7 +2/8 +1 +0/8 .*incomplete", shown.stdout)
    assert shown.stdout.splitlines()[-1].strip() == (
        "4 shards of bpti 7: complete 0; stopped 2 (0/2 samples, on node-1); "
        "dead 1 (0/2 samples, on node-1, silent for 1h02m); waiting 3"
    )


def test_several_folders_are_told_apart(tmp_path: Path) -> None:
    words, _ = small_run(tmp_path, n=2, steps=2)
    sample_and_write(*words)
    shutil.copytree(tmp_path / "out", tmp_path / "out2")
    shown = subprocess.run(
        command("px-status", "out", "out2"),
        env=environment(),
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert shown.returncode == 0
    assert [line.split()[:3] for line in shown.stdout.splitlines()] == [
        ["FOLDER", "TASK", "SEED"],
        ["out", "bpti", "7"],
        ["out2", "bpti", "7"],
    ]
