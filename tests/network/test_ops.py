"""What the networks compute with, in numpy's form against MLX's."""

from threading import Barrier, Thread

import mlx.core as mx
import numpy as np
import pytest
from threadpoolctl import threadpool_info

from pxtools.machine import cores
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


def test_gates_far_out_too() -> None:
    x = np.concatenate([normal(100), np.array([-200, -50, 0, 50, 200], np.float32)])
    close(ops.sigmoid_(x.copy()), ops.sigmoid_(mx.array(x)))
    x, other = x.reshape(7, 15), normal(7, 15)
    wanted = ops.swish_gated_(mx.array(x), mx.array(other))
    close(ops.swish_gated_(x.copy(), other), wanted)
    close(ops.swish_gated_(x.T.copy().T, other), wanted)


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


@pytest.mark.parametrize("at_once", [1, 3000])
def test_attention_in_bfloat16(at_once: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ops, "SCORES_AT_ONCE", at_once)
    q, k, v = (normal(2, 3, 30, 4, 16 + i)[..., :16].swapaxes(2, 3) for i in range(3))
    bias = normal(3, 4, 30, 30)
    wanted = ops.attention(q, k, v, bias)
    error = np.abs(ops.attention(q, k, v, bias, in_bfloat16=True) - wanted).max()
    assert 1e-4 < error / np.abs(wanted).max() < 1e-2


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

    before = ops._n_workers or cores()
    try:
        ops.set_workers(ops.MAX_WORKERS)
        assert all(ops.on_cores(same, range(ops.MAX_WORKERS)))
    finally:
        ops.set_workers(before)


def test_a_lone_sample_has_all_cores_and_the_same_bits(workers: int) -> None:
    x, layer, wide = normal(200, 256), ops.Linear(256, 768), ops.Linear(768, 192)
    q, bias = normal(1, 3, 8, 40, 32), normal(3, 8, 40, 40)

    def sample(_: int) -> tuple[int, np.ndarray, np.ndarray]:
        both = [ops.attention(q, q, q, bias, in_bfloat16=reduced) for reduced in (False, True)]
        product = layer(x)
        return ops._n_parts(), wide(ops.swish_gated_(product, product.copy())), np.stack(both)

    alone = sample(0)
    assert alone[0] == 1
    found = ops.on_cores(sample, range(workers + 1))  # one is left over
    assert sorted(n for n, *_ in found) == [1] * workers + [workers]
    for _ in range(3):  # the first time a product is compared with the whole one
        found += ops.on_cores(sample, [0])
    for _, product, attention in found:
        np.testing.assert_array_equal(product, alone[1])
        np.testing.assert_array_equal(attention, alone[2])


def test_a_product_whose_bits_a_cut_would_change_stays_whole(
    workers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    x, weight = normal(200, 64), normal(128, 64)
    for way in ("_by_columns", "_by_rows"):
        monkeypatch.setattr(ops, way, lambda x, weight: x @ weight.T + np.float32(1e-5))
    for _ in range(2):
        found = ops.on_all_cores(lambda: ops._product(x, weight))
        np.testing.assert_array_equal(found, x @ weight.T)


def test_what_fails_in_a_part_fails_the_whole(workers: int) -> None:
    def fail(part: int) -> None:
        raise IndexError(f"in part {part}")

    with pytest.raises(IndexError, match="in part"):
        ops.on_all_cores(lambda: ops._share(fail, range(8)))


def test_a_part_is_done_once_though_all_other_threads_are_busy(workers: int) -> None:
    done: list[int] = []

    def sample(_: int) -> None:
        ops._share(done.append, range(5))

    ops.on_cores(sample, range(2 * workers + 1))
    assert sorted(done) == sorted([*range(5)] * (2 * workers + 1))


def test_the_blas_is_named() -> None:
    name, processor = ops.arithmetic().split(", processor ")
    assert name and processor


def test_a_part_of_an_item_may_have_parts_of_its_own(workers: int) -> None:
    """A thread that helps an item does not wait for the threads that it is one of."""
    found: list[list[list[int]]] = []

    def part(i: int) -> list[int]:
        return ops.on_cores(lambda j: 10 * i + j, range(3))

    def work() -> None:
        found.append(ops.on_all_cores(lambda: ops.on_cores(part, range(8))))

    thread = Thread(target=work, daemon=True)
    thread.start()
    thread.join(60)
    assert found == [[[10 * i + j for j in range(3)] for i in range(8)]]
