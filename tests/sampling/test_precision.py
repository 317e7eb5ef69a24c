"""In which precision a run is made, and that it stays in it."""

import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from processes import run, small_run

from pxtools.network import bfloat16, ops
from pxtools.runs.chunk import read_chunk
from pxtools.runs.folder import RunDir
from pxtools.runs.record import RunJson
from pxtools.sampling import precision as module
from pxtools.sampling.precision import NARROWEST, precision

LACKING = "this processor has no instructions for it"
needs_onednn = pytest.mark.skipif(bool(bfloat16.missing()), reason=str(bfloat16.missing()))


FASTER = "On this processor --dtype bfloat16 is faster (docs/precision.md)"
STAYS = "results/run: it was begun in float32 and stays in it (--dtype {})"


@pytest.mark.parametrize(
    ("asked", "begun", "lacking", "wanted", "said"),
    [
        (None, None, None, "float32", [FASTER]),
        (None, "float32", None, "float32", []),
        (None, "bfloat16", None, "bfloat16", []),
        (None, "float16", None, "float16", []),
        ("float32", None, None, "float32", []),
        ("bfloat16", None, None, "bfloat16", []),
        ("bfloat16", "float32", None, "float32", [STAYS.format("bfloat16")]),
        ("float32", "bfloat16", None, "float32", []),  # which is refused, as any other input
        (None, None, LACKING, "float32", []),
        ("bfloat16", None, LACKING, "float32", [f"--dtype bfloat16: {LACKING}; float32 is used"]),
        ("bfloat16", "float32", LACKING, "float32", [STAYS.format("bfloat16")]),
        (
            *(None, "bfloat16", LACKING, "bfloat16"),
            [f"results/run: continuing in bfloat16, slower here: {LACKING}"],
        ),
        (
            *("float16", None, LACKING, "float32"),
            ["--dtype float16: a CPU has no fast products of float16; float32 is used"],
        ),
    ],
)
def test_on_a_cpu_with_fast_bfloat16_or_without(
    monkeypatch: pytest.MonkeyPatch,
    asked: str | None,
    begun: str | None,
    lacking: str | None,
    wanted: str,
    said: list[str],
) -> None:
    """Of a large model's run; what is said are warnings, or that bfloat16 is faster."""
    heard: list[str] = []
    monkeypatch.setattr(bfloat16, "missing", lambda: lacking)
    monkeypatch.setattr(module, "warn", heard.append)
    monkeypatch.setattr(module, "say", heard.append)
    model: Any = SimpleNamespace(config=SimpleNamespace(c_token=NARROWEST))
    assert precision(asked, begun, model, Path("results/run")) == wanted
    assert heard == said


def test_a_small_model_is_not_said_to_be_faster(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "say", lambda line: pytest.fail(line))
    small: Any = SimpleNamespace(config=SimpleNamespace(c_token=NARROWEST - 1))
    assert precision(None, None, small, Path("run")) == "float32"


def test_a_gpu_does_what_it_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ops, "on_cpu", lambda: False)
    model: Any = SimpleNamespace(config=SimpleNamespace(c_token=NARROWEST))
    assert precision(None, None, model, Path("run")) == "float32"
    assert precision("float16", None, model, Path("run")) == "float16"


def coordinates(folder: Path) -> np.ndarray:
    chunks = [read_chunk(path) for _, path in RunDir(folder, "bpti").files("msgpack")]
    of = {i: xyz for chunk in chunks for i, xyz in zip(chunk.samples, chunk.xyz, strict=True)}
    return np.stack([of[i] for i in sorted(of)])


@needs_onednn
@pytest.mark.slow
def test_designs_in_bfloat16_are_the_same_in_whatever_company(tmp_path: Path) -> None:
    found = []
    for i, (chunk, workers) in enumerate([(5, 2), (2, 1), (1, 3)]):
        (tmp_path / str(i)).mkdir()
        words, folder = small_run(tmp_path / str(i), n=5, chunk=chunk, steps=5)
        done = run("px-sample", *words, "--dtype", "bf16", "--workers", workers)
        assert done.returncode == 0, done.stderr
        found.append(coordinates(folder))
    np.testing.assert_array_equal(found[0], found[1])
    np.testing.assert_array_equal(found[0], found[2])


@needs_onednn
@pytest.mark.slow
def test_a_run_stays_in_its_precision(tmp_path: Path) -> None:
    words, folder = small_run(tmp_path, n=2, chunk=1, steps=5)
    assert run("px-sample", *words, "--dtype", "bfloat16").returncode == 0
    record = RunJson.read(RunDir(folder, "bpti"))
    assert record.record.model.dtype == "bfloat16"
    assert "bfloat16 by oneDNN" in record.versions["blas"]
    whole = coordinates(folder)
    shutil.rmtree(folder / "predictions", ignore_errors=True)
    (folder / "chunks" / "samples_1-1.msgpack").unlink()
    again = run("px-sample", *words)  # not told so again
    assert again.returncode == 0 and "resuming" in again.stderr.lower()
    np.testing.assert_array_equal(coordinates(folder), whole)
    other = run("px-sample", *words, "--dtype", "float32")
    assert other.returncode == 2 and "model.dtype (was bfloat16, now float32)" in other.stderr
