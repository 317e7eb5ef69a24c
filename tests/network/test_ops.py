"""What the networks compute with, in numpy's form against MLX's."""

from threading import Barrier

import mlx.core as mx
import numpy as np
import pytest
from threadpoolctl import threadpool_info

from pxtools.network import ops


def normal(*shape: int) -> np.ndarray:
    return np.random.default_rng(sum(shape)).standard_normal(shape, np.float32)


def close(ours: np.ndarray, theirs: mx.array) -> None:
    assert ours.dtype == np.float32
    np.testing.assert_allclose(ours, np.asarray(theirs), rtol=2e-5, atol=2e-6)


@pytest.mark.parametrize("bias", [True, False])
def test_linear(bias: bool) -> None:
    layer = ops.Linear(40, 24, bias=bias)
    x = normal(2, 3, 5, 40)
    close(layer(x), layer(mx.array(x)))


def test_layer_norm() -> None:
    x, weight, bias = 3 + 5 * normal(4, 7, 48), mx.array(normal(48)), mx.array(normal(1, 48)[0])
    close(ops.layer_norm(x), ops.layer_norm(mx.array(x)))
    close(ops.layer_norm(x, weight, bias), ops.layer_norm(mx.array(x), weight, bias))


@pytest.mark.parametrize("function", [ops.sigmoid_, ops.silu_])
def test_gates_far_out_too(function) -> None:  # type: ignore[no-untyped-def]
    x = np.concatenate([normal(100), np.array([-200, -50, 0, 50, 200], np.float32)])
    close(function(x.copy()), function(mx.array(x)))


@pytest.mark.parametrize("at_once", [1, 700, 3000, 1 << 30])
@pytest.mark.parametrize("windows, heads, queries, keys", [(1, 4, 30, 30), (5, 4, 8, 32)])
def test_attention_in_parts_of_any_size(
    at_once: int,
    windows: int,
    heads: int,
    queries: int,
    keys: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(ops, "SCORES_AT_ONCE", at_once)
    q = 5 * normal(2, windows, queries, heads, 16).swapaxes(2, 3)
    k, v = (normal(2, windows, keys, heads, 16 + i)[..., :16].swapaxes(2, 3) for i in range(2))
    bias = normal(windows, heads, queries, keys)
    bias[..., -3:] = -1e10  # keys that do not exist
    theirs = ops.attention(*(mx.array(x) for x in (q, k, v, bias)))
    close(ops.attention(q, k, v, bias), theirs)


def test_attention_to_one_key_alone() -> None:
    """Logits in the hundreds: their exp overflows unless the largest is taken off."""
    q, bias = 400 * normal(1, 1, 2, 6, 16), np.zeros((1, 2, 6, 6), np.float32)
    theirs = ops.attention(*(mx.array(x) for x in (q, q, q, bias)))
    close(ops.attention(q, q, q, bias), theirs)


def test_one_blas_thread_a_sample() -> None:
    assert {lib["num_threads"] for lib in threadpool_info() if lib["user_api"] == "blas"} <= {1}


def test_products_are_the_same_with_as_many_workers_as_are_allowed() -> None:
    x, layer = normal(200, 256), ops.Linear(256, 128)
    wanted, together = layer(x), Barrier(ops.MAX_WORKERS)

    def same(_: int) -> bool:
        together.wait(timeout=60)
        return all(np.array_equal(layer(x), wanted) for _ in range(5))

    before = ops._workers
    try:
        ops.set_workers(ops.MAX_WORKERS)
        assert all(ops.on_cores(same, range(ops.MAX_WORKERS)))
    finally:
        ops._workers = before


def test_the_blas_is_named() -> None:
    name, processor = ops.arithmetic().split(", processor ")
    assert name and processor
