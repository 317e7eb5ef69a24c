"""The tiny fixture model, and what the published implementation gives for it."""

import json
import shutil
from collections.abc import Iterator
from typing import Any

import mlx.core as mx
import numpy as np
import pytest
from conftest import DATA, fixture_task, load

from pxtools.machine import cores
from pxtools.network import ops
from pxtools.network.config import Config
from pxtools.network.features import Features, featurize
from pxtools.network.pxdesign import Condition, PXDesignD
from pxtools.task.reading import read_tasks
from pxtools.task.target import read_target

TOLERANCE = 1e-4  # maximum absolute error relative to the output's scale
Tiny = tuple[PXDesignD, Condition[Any]]
Recorded = dict[str, np.ndarray]


def assert_close(ours: Any, theirs: np.ndarray, tolerance: float = TOLERANCE) -> None:
    ours = np.array(ours)
    assert ours.shape == theirs.shape
    assert np.abs(ours - theirs).max() <= tolerance * np.abs(theirs).max()


@pytest.fixture(scope="module")
def features(tmp_path_factory: pytest.TempPathFactory) -> Features:
    path = tmp_path_factory.mktemp("task") / "bpti.json"
    path.write_text(json.dumps([fixture_task("bpti")]))
    (task,) = read_tasks(str(path))
    return featurize(read_target(task), task.binder_lengths.longest)


def tiny_weights() -> dict[str, mx.array]:
    weights = mx.load(str(DATA / "tiny/weights.safetensors"))
    assert isinstance(weights, dict)
    return weights


def tiny_network() -> PXDesignD:
    model = PXDesignD(Config.from_dict(json.loads((DATA / "tiny/config.json").read_text())))
    weights = PXDesignD.sanitize(tiny_weights())
    model.load_weights(list(weights.items()))  # strict: every name and shape
    return model


@pytest.fixture(scope="module")
def tiny(features: Features) -> Tiny:
    model = tiny_network()
    return model, model.condition(features, load("features/bpti.npz")["ref_pos"])


@pytest.fixture(scope="module")
def recorded() -> Recorded:
    return load("tiny/modules_bpti.npz")


@pytest.fixture
def as_on_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """The path that a GPU takes (MLX's own operations, one compiled graph), on the CPU."""
    monkeypatch.setattr(ops, "on_cpu", lambda: False)


@pytest.fixture(params=[2, 3, 16])
def workers(request: pytest.FixtureRequest) -> Iterator[int]:
    """So many, who have compared no product in parts with the whole yet."""
    before, cuts = ops._n_workers or cores(), dict(ops._exact_cuts)
    ops._exact_cuts.clear()
    ops.set_workers(request.param)
    yield request.param
    ops.set_workers(before)
    ops._exact_cuts.update(cuts)


needs_compiler = pytest.mark.skipif(
    shutil.which("g++") is None, reason="mx.compile on a CPU needs g++"
)
