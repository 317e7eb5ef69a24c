"""Every processor: px-sample under qemu's older ones, and a run that changes processors."""

import json
import platform
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from conftest import fixture_task
from processes import TINY, command, environment, run, small_run, write_task

from pxtools.network import bfloat16, ops
from pxtools.runs.chunk import read_chunk

QEMU = shutil.which("qemu-x86_64")

pytestmark = pytest.mark.slow
under_qemu = pytest.mark.skipif(
    QEMU is None or platform.machine() != "x86_64",
    reason="needs qemu-x86_64 (Debian: qemu-user) on an x86-64 machine",
)


def one_step(
    folder: Path, cpu: str | None = None, *more: object
) -> subprocess.CompletedProcess[str]:
    """A design by the smallest model, on `cpu` as qemu knows it, into folder/out.

    Six residues: emulated, a product takes up to a thousand times as long.
    """
    condition = fixture_task("bpti")["condition"]
    condition["filter"]["crop"] = {"A": "15-16"}
    generation = [{"type": "protein", "length": 4}]
    task = write_task(folder, condition=condition, generation=generation, hotspot={"A": [15]})
    words = ["-i", task, "-o", folder / "out", "-m", TINY, "--device", "cpu"]
    return run_on(cpu, "px-sample", *words, "--N_sample", 1, "--N_step", 1, *more)


def run_on(cpu: str | None, tool: str, *words: object) -> subprocess.CompletedProcess[str]:
    emulator = [str(QEMU), "-cpu", cpu] if cpu else []
    return subprocess.run(
        [*emulator, *command(tool, *words)],
        capture_output=True,
        text=True,
        env=environment(),
        timeout=900,
    )


@pytest.fixture(scope="module")
def native(tmp_path_factory: pytest.TempPathFactory) -> np.ndarray:
    done = one_step(tmp_path_factory.mktemp("native"))
    assert done.returncode == 0, done.stderr
    return read_chunk(Path(done.stdout.strip())).xyz


@under_qemu
@pytest.mark.parametrize("cpu, dtype", [("Haswell", "bf16"), ("Nehalem", "float32")])
def test_a_design_is_made_without_avx512_and_without_avx(
    cpu: str, dtype: str, tmp_path: Path, native: np.ndarray
) -> None:
    """bfloat16 is not tried where a processor has none."""
    done = one_step(tmp_path, cpu, "--dtype", dtype)
    assert done.returncode == 0, done.stderr
    why = bfloat16.missing() or "this processor has no instructions for it (AVX-512 BF16 or AMX)"
    said = f"--dtype bfloat16: {why}; float32 is used" in done.stderr
    assert said == (dtype == "bf16")
    chunk = Path(done.stdout.strip())
    begun_with = json.loads((chunk.parents[1] / "run.json").read_text())["versions"]
    assert begun_with["blas"].endswith(f"processor {cpu}")
    np.testing.assert_allclose(read_chunk(chunk).xyz, native, atol=1e-2)  # Å


@under_qemu
def test_the_other_tools_run_without_avx(tmp_path: Path) -> None:
    made = one_step(tmp_path)
    assert made.returncode == 0, made.stderr
    chunk = made.stdout.strip()
    cif = run("px-write-cif", "--print", chunk).stdout.strip()
    scored = run_on("Nehalem", "px-score", "-q", "--workers", 1, tmp_path / "out")
    assert scored.returncode == 0, scored.stderr
    assert list(tmp_path.rglob("summary.csv"))
    written = run_on("Nehalem", "px-sequence", "-q", "--num_seqs", 1, cif)
    assert written.returncode == 0, written.stderr
    assert ">" in written.stdout


@under_qemu
def test_a_processor_that_numpy_refuses_is_named_in_one_line(tmp_path: Path) -> None:
    """Penryn lacks SSE4.2."""
    refused = one_step(tmp_path, "Penryn")
    (line,) = [x for x in refused.stderr.splitlines() if "TCG doesn't support" not in x]
    assert refused.returncode == 2
    assert line.startswith("px-sample: numpy does not run on this processor: ")
    assert not (tmp_path / "out").exists()


def test_a_run_that_goes_on_with_another_processor_says_so_once(tmp_path: Path) -> None:
    if not ops.arithmetic().startswith("openblas"):
        pytest.skip(f"OPENBLAS_CORETYPE does not change {ops.arithmetic()}")
    older = {"x86_64": "Nehalem", "aarch64": "ARMV8"}[platform.machine()]
    if ops.arithmetic().endswith(older):
        pytest.skip("this is the oldest processor that OpenBLAS knows")
    words, folder = small_run(tmp_path, n=2, steps=6)
    assert run("px-sample", *words).returncode == 0
    extended = ["px-sample", *words, "--N_sample", 3]

    def go_on() -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command(*extended),
            capture_output=True,
            text=True,
            env=environment(OPENBLAS_CORETYPE=older),
        )

    done = go_on()
    assert done.returncode == 0
    (warning,) = [line for line in done.stderr.splitlines() if "continuing with" in line]
    assert f"started with {ops.arithmetic()}, continuing with" in warning
    assert f"processor {older}:" in warning
    assert json.loads((folder / "run.json").read_text())["versions"]["blas"] == ops.arithmetic()
    assert "continuing with" not in go_on().stderr  # nothing is missing: nothing is computed
    assert re.search(r"3 samples exist", go_on().stderr)
