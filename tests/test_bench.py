"""`just bench`: the matrix products that a step is compared with are those that it makes."""

import importlib
from collections import Counter
from itertools import chain
from typing import Any

import mlx.core as mx
import numpy as np
import pytest
from conftest import DATA
from tiny_model import Tiny

from pxtools.network import ops
from pxtools.network.features import Features

TOOLS = DATA.parent.parent / "tools"


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(TOOLS))
    return importlib.import_module("bench")


@pytest.mark.skipif(not ops.on_cpu(), reason="counts numpy's products")
def test_every_layer_of_a_step_is_in_its_floor(
    bench: Any, tiny: Tiny, features: Features, monkeypatch: pytest.MonkeyPatch
) -> None:
    network, condition = tiny
    seen: list[tuple[int, int, int]] = []
    product = ops._product

    def noted(x: np.ndarray, weight: np.ndarray) -> np.ndarray:
        seen.append((*x.shape, len(weight)))
        return product(x, weight)

    monkeypatch.setattr(ops, "_product", noted)
    network.denoise(mx.zeros((1, len(features.atoms), 3)), 16.0, condition)
    shapes = chain(*bench.products(network.config, features))
    listed = Counter(shape[1:] for shape in shapes if shape[0] == 1)
    listed[len(features.restype), len(features.atoms), network.config.c_token] -= 1  # pooling
    listed[1, network.config.c_noise, network.config.c_s] += 1  # of the noise level, no matrix
    assert Counter(seen) == listed


@pytest.mark.parametrize("dtype", [mx.float32, mx.bfloat16], ids=str)
def test_a_floor_runs_in_every_precision(
    bench: Any, tiny: Tiny, features: Features, dtype: mx.Dtype
) -> None:
    bench.floor(tiny[0].config, features, 2, dtype)()
