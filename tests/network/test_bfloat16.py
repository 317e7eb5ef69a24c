"""Products of bfloat16 numbers on a CPU, by oneDNN and without it."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from ctypes import c_void_p

import mlx.core as mx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from pxtools.network import bfloat16, ops
from pxtools.network.ops import TILE, Linear

needs_onednn = pytest.mark.skipif(bool(bfloat16.missing()), reason=str(bfloat16.missing()))
KINDS = [pytest.param(True, marks=needs_onednn, id="oneDNN"), pytest.param(False, id="rounding")]


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    if not request.param:
        monkeypatch.setattr(bfloat16, "missing", lambda: "as on an older processor")
    yield


def normal(*shape: int) -> np.ndarray:
    return np.random.default_rng(sum(shape)).standard_normal(shape, dtype=np.float32)


def rounded_by_mlx(x: np.ndarray) -> np.ndarray:
    return np.array(mx.array(x).astype(mx.bfloat16).view(mx.uint16))


def of_float32(x: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """The product of the rounded numbers, in double precision."""
    return np.asarray(bfloat16.widened(x).astype(float) @ bfloat16.widened(weight).astype(float).T)


def test_numbers_are_rounded_as_mlx_rounds_them(kind: None) -> None:
    ties = np.array([1 + 2**-8, 1 + 3 * 2**-8, -1 - 2**-8, 0.0, -0.0], np.float32)
    x = np.concatenate([ties, 10 ** (8 * normal(1000)), 400 * normal(1000)]).astype(np.float32)
    np.testing.assert_array_equal(bfloat16.rounded(x), rounded_by_mlx(x))


@needs_onednn
@given(arrays(np.float32, st.integers(1, 40), elements=st.floats(-(2.0**96), 2.0**96, width=32)))
def test_numbers_are_rounded_alike_with_onednn_and_without(x: np.ndarray) -> None:
    x[np.abs(x) < np.finfo(np.float32).tiny] = 0  # which instructions take for 0
    np.testing.assert_array_equal(bfloat16.rounded(x), rounded_by_mlx(x))


def in_bfloat16(weight: np.ndarray) -> Linear:
    layer = Linear(weight.shape[1], len(weight), bias=False)
    layer.weight = mx.array(weight)
    layer.use_bfloat16()
    return layer


@pytest.mark.parametrize("m", [1, 7, 98, 256, 300])
@pytest.mark.parametrize(("k", "n"), [(768, 1536), (64, 160), (33, 5), (1, 1)])
def test_a_product_is_that_of_the_rounded_numbers(kind: None, m: int, k: int, n: int) -> None:
    x, weight = normal(m, k), normal(n, k)
    wanted = of_float32(bfloat16.rounded(x), bfloat16.rounded(weight))
    found = in_bfloat16(weight)(x)
    assert found.dtype == np.float32 and found.shape == (m, n)
    assert np.abs(found - wanted).max() <= 2e-6 * np.abs(wanted).max()


@needs_onednn
@pytest.mark.parametrize(("k", "n"), [(768, 1536), (128, 128), (64, 160), (16, 16)])
def test_a_row_is_the_same_in_the_company_of_so_many_as_it_says(k: int, n: int) -> None:
    x, weight = bfloat16.rounded(normal(300, k)), bfloat16.Packed(bfloat16.rounded(normal(n, k)))
    whole = weight.product(x)
    for part in (slice(0, 1), slice(5, 12), slice(0, 16), slice(84, 300), slice(299, 300)):
        n_rows = part.stop - part.start
        assert weight.same_bits(300, n_rows) or n_rows < TILE
        if weight.same_bits(300, n_rows):
            np.testing.assert_array_equal(weight.product(x[part]), whole[part])


@pytest.mark.parametrize("workers", [2, 7, 128], indirect=True)
@pytest.mark.parametrize(("k", "n"), [(768, 768), (64, 160), (32, 16)])
def test_a_lone_sample_has_the_same_bits(kind: None, workers: int, k: int, n: int) -> None:
    layer, x = in_bfloat16(normal(n, k)), normal(200, k)
    wanted = layer(x)
    for _ in range(2):  # the first time cuts may be compared with the whole
        np.testing.assert_array_equal(ops.on_all_cores(lambda: layer(x)), wanted)


@needs_onednn
def test_many_threads_make_the_same_products() -> None:
    x, weight = (
        bfloat16.rounded(normal(700, 256)),
        bfloat16.Packed(bfloat16.rounded(normal(128, 256))),
    )
    wanted = weight.product(x)
    with ThreadPoolExecutor(16) as threads:
        found = list(threads.map(lambda _: weight.product(x), range(500)))
    assert all(np.array_equal(one, wanted) for one in found)


def heads(n: int, n_q: int, n_k: int, d: int) -> tuple[np.ndarray, ...]:
    """q, k and v in bfloat16, and the bias."""
    sizes = ((n, n_q, d), (n, n_k, d), (n, n_k, d))
    q, k, v = (bfloat16.rounded(normal(*size)) for size in sizes)
    return q, k, v, 3 * normal(n, n_q, n_k)


@pytest.mark.parametrize("sizes", [(1, 1, 1, 8), (3, 7, 98, 48), (16, 98, 98, 48), (2, 300, 9, 8)])
def test_attention_is_that_of_the_rounded_numbers(kind: None, sizes: tuple[int, ...]) -> None:
    q, k, v, bias = heads(*sizes)
    wide_q, wide_k, wide_v = (bfloat16.widened(x).astype(float) for x in (q, k, v))
    weights = np.exp(wide_q @ wide_k.swapaxes(1, 2) + bias)
    wanted = weights / weights.sum(-1, keepdims=True) @ wide_v
    found = bfloat16.attention(q, k, v, bias)
    assert found.dtype == np.float32 and found.shape == q.shape
    assert np.abs(found - wanted).max() <= 2**-8 * np.abs(wanted).max()  # shares are rounded


def test_a_key_that_is_masked_has_no_share(kind: None) -> None:
    q, k, v, bias = heads(2, 5, 9, 16)
    bias[..., 4:] = -1e10
    found = bfloat16.attention(q, k, v, bias)
    v[:, 4:] = bfloat16.rounded(np.full(v[:, 4:].shape, 1e6, np.float32))
    np.testing.assert_array_equal(bfloat16.attention(q, k, v, bias), found)


@needs_onednn
def test_attention_keeps_its_bits_on_many_threads() -> None:
    given = heads(4, 98, 98, 48)
    wanted, bias = bfloat16.attention(*given), given[3].copy()
    with ThreadPoolExecutor(16) as threads:
        found = list(threads.map(lambda _: bfloat16.attention(*given), range(200)))
    assert all(np.array_equal(one, wanted) for one in found)
    np.testing.assert_array_equal(given[3], bias)  # not written to


@needs_onednn
def test_numbers_in_any_order_of_memory_are_rounded_alike() -> None:
    x = normal(1, 98, 4, 48).swapaxes(1, 2)
    np.testing.assert_array_equal(bfloat16.rounded(x), bfloat16.rounded(x.copy()))


@needs_onednn
def test_a_kernel_is_told_of_all_the_memory_it_writes_to() -> None:
    product = bfloat16._product(100, 768, 768)
    assert bfloat16._size(product.layouts[bfloat16.SCRATCHPAD]) > 0
    assert bfloat16._size(product.layouts[bfloat16.WEIGHTS]) >= 2 * 768 * 768
    with pytest.raises(RuntimeError, match="no layout"):
        bfloat16._layout_of(c_void_p(None), bfloat16.LAYOUTS[bfloat16.WEIGHTS])


@pytest.mark.parametrize("bias", [True, False])
def test_a_layer_in_bfloat16(kind: None, bias: bool) -> None:
    layer, x = Linear(64, 48, bias=bias), normal(2, 30, 64)
    wanted = layer(x)
    layer.use_bfloat16()
    found = layer(x)
    error = np.abs(found - wanted).max() / np.abs(wanted).max()
    assert found.shape == wanted.shape and 1e-4 < error < 1e-2
    np.testing.assert_array_equal(layer(layer.rounded(x)), found)
