"""The scripts of px-submit, with stand-ins for px-sample and Slurm's own commands."""

import os
import shlex
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from processes import command, environment, run, write_task

from pxtools.clusters.scripts import Job, Resources

PX_SAMPLE = """#!/bin/sh
echo "$@" > called
trap 'echo saved >> called; exit 143' TERM
touch started
i=0
while [ -e wait ] && [ $i -lt 300 ]; do sleep 0.1; i=$((i + 1)); done
exit ${PX_SAMPLE_EXITS:-0}
"""


def test_options_are_written_as_px_sample_takes_them(tmp_path: Path) -> None:
    words = ["-i", write_task(tmp_path), "-q", "--gamma0", 0, "--shards", 2, "--dry"]
    assert run("px-submit", *words, cwd=tmp_path).returncode == 0
    text = (tmp_path / "results/slurm/sample.sh").read_text()
    assert "--quiet \\\n" in text and "--gamma0 0.0 \\\n" in text


Submitter = Callable[..., subprocess.CompletedProcess[str]]


def submitter(folder: Path, sbatch: str) -> Submitter:
    """px-submit of 4 samples in 2 shards, with a stand-in for sbatch; the queue holds job 17."""
    tools = folder / "bin"
    tools.mkdir()
    for name, text in (("sbatch", sbatch), ("squeue", "echo 17 0; echo 17 1")):
        (tools / name).write_text(f"#!/bin/sh\n{text}\n")
        (tools / name).chmod(0o755)
    words = ["-i", write_task(folder), "-o", folder, "--N_sample", 4, "--shards", 2]
    words += ["--sample_diffusion_chunk_size", 1]

    def submitted(*more: object) -> subprocess.CompletedProcess[str]:
        env = environment(PATH=f"{tools}:{os.environ['PATH']}")
        line = command("px-submit", *words, *more)
        return subprocess.run(line, env=env, capture_output=True, text=True)

    return submitted


def test_another_request_is_refused_while_jobs_are_in_the_queue(tmp_path: Path) -> None:
    submitted = submitter(tmp_path, "echo 17")
    assert "Submitted shards 0-1 of 2" in submitted().stderr
    script = (tmp_path / "slurm/sample.sh").read_bytes()
    assert "2 are in the queue (job 17)" in submitted().stderr
    for more in (["--seeds", 5], ["--N_sample", 8], ["--shards", 3]):
        other = submitted(*more)
        assert other.returncode == 2 and "scancel 17" in other.stderr
    assert (tmp_path / "slurm/sample.sh").read_bytes() == script, "the jobs in the queue need it"


def test_an_array_is_remembered_where_the_job_that_finishes_is_refused(tmp_path: Path) -> None:
    refuses = f"case $* in *finish.sh) exit 1;; esac; echo x >> {tmp_path}/arrays; echo 17"
    submitted = submitter(tmp_path, refuses)
    assert submitted().returncode == submitted().returncode == 2
    assert (tmp_path / "arrays").read_text() == "x\n"
    (tmp_path / "bin/sbatch").write_text("#!/bin/sh\necho 18\n")
    assert submitted().stderr == "Submitted finish.sh, after them (job 18)\n"
    (tmp_path / "bin/squeue").write_text("#!/bin/sh\necho 18\n")
    chunks = tmp_path / "global_run_0/bpti/seed_12345/chunks"
    chunks.mkdir(parents=True)
    for i in range(4):
        (chunks / f"samples_{i}-{i}.msgpack").touch()
    assert submitted().stderr == "Nothing to submit: finish.sh is in the queue (job 18)\n"


def test_a_job_that_cannot_be_cancelled_is_told_and_nothing_is_submitted_twice(
    tmp_path: Path,
) -> None:
    calls = tmp_path / "calls"
    submitted = submitter(tmp_path, f"echo x >> {calls}; echo $((16 + $(wc -l < {calls})))")
    assert "(job 17)" in submitted().stderr
    squeue = tmp_path / "bin/squeue"
    squeue.write_text("#!/bin/sh\necho 17 1; echo 18 N/A\n")  # shard 0 has ended without samples
    (tmp_path / "bin/scancel").write_text("#!/bin/sh\necho timeout >&2; exit 1\n")
    (tmp_path / "bin/scancel").chmod(0o755)
    again = submitted()
    assert again.returncode == 0 and "scancel: timeout: finish.sh may run twice" in again.stderr
    assert "Submitted shards 0 of 2 (job 19)" in again.stderr
    squeue.write_text("#!/bin/sh\necho 17 1; echo 19 0; echo 20 N/A\n")
    assert submitted().stderr == "Nothing to submit: 2 are in the queue (job 17, 19)\n"


@pytest.fixture
def script(tmp_path: Path) -> Path:
    tools = tmp_path / "bin"
    tools.mkdir()
    for name, text in (("px-sample", PX_SAMPLE), ("scontrol", '#!/bin/sh\necho "$@" > requeued\n')):
        (tools / name).write_text(text)
        (tools / name).chmod(0o755)
    options = {"input_json_path": "a task.yaml", "dump_dir": tmp_path, "N_sample": 8}
    resources = Resources(partition="gpu", cpus_per_task=4)
    job = Job("bpti", tmp_path / "100%", 4, options, resources, Resources(), sbatch="-x 'n 3'")
    text = job.sample_script()
    assert "#SBATCH -x 'n 3'\n" in text
    assert "#SBATCH --partition=gpu\n#SBATCH --cpus-per-task=4\n" in text
    assert "/100%%/shard_%a.log" in text
    lines = ["sleep() { [ $1 = 60 ] || command sleep $1; }"]  # it waits for Slurm to end it
    lines += [line for line in text.splitlines() if not line.startswith("export PATH=")]
    (tmp_path / "sample.sh").write_text("\n".join(lines))
    return tmp_path / "sample.sh"


def start(script: Path, exits: int = 0) -> subprocess.Popen[bytes]:
    variables = {"SLURM_ARRAY_TASK_ID": "3", "SLURM_ARRAY_JOB_ID": "17"}
    env = {**os.environ, **variables, "PX_SAMPLE_EXITS": str(exits)}
    env["PATH"] = f"{script.parent / 'bin'}:{env['PATH']}"
    return subprocess.Popen(["bash", script], cwd=script.parent, env=env)


@pytest.mark.parametrize(("exits", "goes_back"), [(0, False), (2, False), (75, True)])
def test_what_goes_back_into_the_queue(script: Path, exits: int, goes_back: bool) -> None:
    assert start(script, exits).wait(timeout=30) == exits
    called = (script.parent / "called").read_text()
    assert called.startswith("--input_json_path a task.yaml --dump_dir ")
    assert called.endswith(" --N_sample 8 --shard 3/4\n")
    requeued = script.parent / "requeued"
    assert requeued.exists() == goes_back
    assert not goes_back or requeued.read_text() == "requeue 17_3\n"


@pytest.mark.parametrize(("signum", "goes_back"), [(signal.SIGUSR1, True), (signal.SIGTERM, False)])
def test_signals_end_px_sample_in_order(
    script: Path, signum: signal.Signals, goes_back: bool
) -> None:
    (script.parent / "wait").touch()
    process = start(script)
    end = time.monotonic() + 30
    while not (script.parent / "started").exists():
        assert time.monotonic() < end
        time.sleep(0.05)
    time.sleep(0.2)  # the traps are set right after px-sample is started
    process.send_signal(signum)
    assert process.wait(timeout=30) == 143
    assert "saved" in (script.parent / "called").read_text()
    assert (script.parent / "requeued").exists() == goes_back


def test_the_script_says_what_was_said_and_nothing_more(tmp_path: Path) -> None:
    """In an array's job px-sample starts in another folder than px-submit."""
    write_task(tmp_path)
    words = ["-i", "bpti.json", "-o", "results", "--dry", "--shards", 2]
    assert run("px-submit", *words, "--N_sample", 4, cwd=tmp_path).returncode == 0
    script = (tmp_path / "results/slurm/sample.sh").read_text().replace("\\\n", "")
    called = shlex.split(script[script.index("px-sample --") : script.index(" &\n")])
    assert called == [
        *("px-sample", "--input_json_path", f"{tmp_path}/bpti.json"),
        *("--dump_dir", f"{tmp_path}/results", "--N_sample", "4"),
        *("--shard", "$SLURM_ARRAY_TASK_ID/2"),
    ]
    assert run("px-submit", *words, "-m", "nano", "-o", "other", cwd=tmp_path).returncode == 0
    assert "--model nano " in (tmp_path / "other/slurm/sample.sh").read_text()
