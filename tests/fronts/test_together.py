"""px-sample --processes and --gpus: several processes as one."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import faults
import pytest
from faults import STEPS, assert_same, run_folder, wait_for
from processes import command, environment, run, sample_and_write, small_run

from pxtools.fronts.together import Together
from pxtools.sampling.presets import settings
from pxtools.sampling.runs import SampleRequest
from pxtools.task.reading import read_tasks

pytestmark = pytest.mark.slow
N, CHUNK = 4, 1  # a chunk for each of four


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("one_process")
    words, _ = small_run(folder, n=N, chunk=CHUNK, steps=STEPS)
    sample_and_write(*words)
    return folder


def start(folder: Path, *more: object) -> subprocess.Popen[str]:
    given = ["--N_sample", N, "--sample_diffusion_chunk_size", CHUNK, "--processes", 4]
    return faults.start(folder, *given, *more)


def at_work(folder: Path) -> dict[str, int]:
    """The processes, by the samples that they are at."""
    workers = (run_folder(folder) / "workers").glob("*.json")
    held = [json.loads(path.read_text()) for path in workers]
    return {worker["samples"]: worker["pid"] for worker in held if worker["samples"]}


def kill_in_the_middle_of_a_chunk(folder: Path) -> None:
    chunks = run_folder(folder) / "chunks"
    while len(list(chunks.glob("*.msgpack"))) < N / CHUNK:
        for state in chunks.glob("*.state"):
            if pid := at_work(folder).get(state.stem.removeprefix("samples_")):
                os.kill(pid, signal.SIGSTOP)
                if state.exists() and not state.with_suffix(".msgpack").exists():
                    os.kill(pid, signal.SIGKILL)
                    return
                os.kill(pid, signal.SIGCONT)
        time.sleep(0.01)
    raise AssertionError("all chunks were made before a process could be killed")


def test_four_processes_say_and_make_what_one_does(reference: Path, tmp_path: Path) -> None:
    words, _ = small_run(tmp_path, n=N, chunk=CHUNK, steps=STEPS)
    done = run("pxdesign", "pipeline", *words, "--processes", 4)
    assert done.returncode == 0, done.stderr
    assert_same(tmp_path, reference)
    lines = done.stderr.splitlines()
    assert lines.count(f"Starting chunked diffusion: {N} samples in chunks of {CHUNK}") == 1
    assert lines.count("=" * 60) == 2
    assert sorted(re.findall("✓ Completed chunk (.)/4", done.stderr)) == ["1", "2", "3", "4"]
    assert "Nothing left to do" not in done.stderr
    again = run("px-sample", *words, "--processes", 2)
    assert again.returncode == 0 and again.stderr.count("already completed") == 1
    assert len(again.stdout.split()) == N / CHUNK


def test_zero_is_a_value(tmp_path: Path) -> None:
    words, folder = small_run(tmp_path, n=1, chunk=1, steps=1)
    assert run("px-sample", *words, "--gamma0", 0, "--processes", 1).returncode == 0
    assert json.loads((folder / "run.json").read_text())["schedule"]["gamma0"] == 0


def test_all_is_made_where_each_left_some_to_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words, folder = small_run(tmp_path, n=2, chunk=1, steps=1)
    made = SampleRequest(
        read_tasks(str(words[1])), tmp_path / "out", settings(None, N_sample=2), seeds=[7]
    )
    monkeypatch.setattr(Together, "_run", lambda self, environments: [75, 75])
    assert Together([], made).sample([{}, {}]) == 75 and made.missing == 2
    (folder / "chunks").mkdir(parents=True)
    (folder / "chunks/samples_0-1.msgpack").touch()
    assert Together([], made).sample([{}, {}]) == 0 and made.missing == 0


def test_paths_of_whatever_bytes_are_handed_on(tmp_path: Path) -> None:
    words, _ = small_run(tmp_path, n=1, chunk=1, steps=1)
    out = tmp_path / os.fsdecode(b"caf\xe9")
    sampled = subprocess.run(
        command("px-sample", *words, "-o", out, "--processes", 1),
        capture_output=True,
        env=environment(),
    )
    assert Path(os.fsdecode(sampled.stdout.rstrip())).is_file(), sampled.stderr


STOPPED_BEFORE_IT_STARTED = """
from pxtools.fronts.together import Together
from pxtools.sampling.presets import settings
from pxtools.sampling.runs import SampleRequest
from pathlib import Path
together = Together([], SampleRequest([], Path("."), settings(None)))
together._hand_on(15, None)
assert together.sample([{}, {}]) == 143
"""


def test_a_stop_before_the_first_process_starts_none() -> None:
    program = [sys.executable, "-c", STOPPED_BEFORE_IT_STARTED]
    done = subprocess.run(program, capture_output=True, text=True, env=environment())
    assert done.returncode == 0, done.stderr


def test_one_of_four_processes_killed(reference: Path, tmp_path: Path) -> None:
    process = start(tmp_path)
    kill_in_the_middle_of_a_chunk(tmp_path)
    _, said = process.communicate(timeout=120)
    assert process.returncode == 0, said
    assert "a process was ended by SIGKILL" in said and "Continuing after step" in said
    words, _ = small_run(tmp_path, n=N, chunk=CHUNK, steps=STEPS)
    assert "already completed" in sample_and_write(*words)
    assert_same(tmp_path, reference)


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_one_signal_stops_all(reference: Path, tmp_path: Path, signum: signal.Signals) -> None:
    process = start(tmp_path)
    wait_for(process, "Diffusion step [1/")
    process.send_signal(signum)
    _, said = process.communicate(timeout=120)
    assert process.returncode == 128 + signum
    assert said.count("px-sample: stopped") == 1 and "Traceback" not in said
    assert not at_work(tmp_path)
    words, _ = small_run(tmp_path, n=N, chunk=CHUNK, steps=STEPS)
    sample_and_write(*words)
    assert_same(tmp_path, reference)


def test_a_process_a_card(tmp_path: Path) -> None:
    (tmp_path / "shim").mkdir()
    (tmp_path / "shim" / "sitecustomize.py").write_text(
        "import os\nopen('cards', 'a').write(os.environ['CUDA_VISIBLE_DEVICES'] + '\\n')\n"
    )
    env = environment(PYTHONPATH=str(tmp_path / "shim"), CUDA_VISIBLE_DEVICES="4,7,9")
    words, _ = small_run(tmp_path, n=4)

    def sample(gpus: int) -> subprocess.CompletedProcess[str]:
        called = command("px-sample", *words, "--device", "cpu", "--gpus", gpus)
        return subprocess.run(called, env=env, cwd=tmp_path, capture_output=True, text=True)

    assert sample(2).returncode == 0
    parent, *children = (tmp_path / "cards").read_text().split()
    assert parent == "4,7,9" and sorted(children) == ["4", "7"]
    refused = sample(4)
    assert refused.returncode == 2 and "expected 1 to 3, the cards here, found 4" in refused.stderr
