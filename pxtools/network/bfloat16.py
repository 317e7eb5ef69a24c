"""Products of bfloat16 numbers on a CPU: by oneDNN, where its library and the processor do them.

numpy has no bfloat16: here it is the upper half of a float32, in arrays of uint16. A product's
sums are float32. Of oneDNN's C interface (version 3) a dozen functions are used.
"""

from __future__ import annotations

import ctypes
import threading
from ctypes import byref, c_char_p, c_float, c_int, c_int64, c_size_t, c_void_p
from functools import cache
from typing import Any

import numpy as np

PACKAGE = "onednn-cpu-gomp"
ROWS_TO_PACK_FOR = 256
ALIGNMENT = 64  # bytes
# of oneDNN's dnnl_types.h and dnnl_common_types.h
AVX512_BF16 = 0xE7  # instruction sets as bits; those of AMX are among them and more
CPU, IN_ORDER, ANY_LAYOUT, USER_SCRATCHPAD = 1, 1, 1, 1
BFLOAT16, FLOAT32, FOR_USE, SOFTMAX = 2, 3, 96, 0x30000
SOURCE, DESTINATION, WEIGHTS, SCRATCHPAD = 1, 17, 33, 80  # arguments of an execution
IMPLEMENTATION = 8  # queries: this one, and those for the arguments' layouts
LAYOUTS = {SOURCE: 129, DESTINATION: 133, WEIGHTS: 131, SCRATCHPAD: 136}


@cache
def missing() -> str | None:
    """Why this machine has no fast products of bfloat16 numbers; None where it has."""
    try:
        isa = _dnnl().dnnl_get_effective_cpu_isa()
    except (ImportError, OSError):
        return "oneDNN is not installed (pip install 'px-tools[bfloat16]')"
    if isa & AVX512_BF16 != AVX512_BF16:
        return "this processor has no instructions for it (AVX-512 BF16 or AMX)"
    return None


def name() -> str:
    """What does the products: the last bits of a design depend on it."""
    if missing():
        return "bfloat16 by rounding, attention's too"
    from importlib import metadata  # takes longer than all else here

    kernel = _product(ROWS_TO_PACK_FOR, 64, 64).implementation
    return f"bfloat16 by oneDNN {metadata.version(PACKAGE)} {kernel}, attention's too"


def rounded(x: np.ndarray) -> np.ndarray:
    """float32 to the nearest bfloat16, ties to even."""
    if missing():
        bits = np.ascontiguousarray(x, np.float32).view(np.uint32)
        return ((bits + (0x7FFF + ((bits >> 16) & 1))) >> 16).astype(np.uint16)
    x = np.asarray(x, np.float32)
    out = np.empty(x.shape, np.uint16)
    shape, strides = x.shape, tuple(n // x.itemsize for n in x.strides)
    if x.flags.c_contiguous:
        shape, strides = (x.size,), (1,)
    _reorder(_layout(shape, FLOAT32, strides), x, _layout(shape, BFLOAT16), out)
    return out


def widened(x: np.ndarray) -> np.ndarray:
    """bfloat16 to float32, exactly."""
    return (x.astype(np.uint32) << 16).view(np.float32)


class Packed:
    """A layer's weight (n_out, n_in) of bfloat16 numbers, as oneDNN's products take it."""

    def __init__(self, weight: np.ndarray):
        self.n_out, self.n_in = weight.shape
        packed = _product(ROWS_TO_PACK_FOR, *weight.shape[::-1]).layouts[WEIGHTS]
        self.held = _aligned(_size(packed))
        transposed = _layout((self.n_in, self.n_out), BFLOAT16, strides=(1, self.n_in))
        _reorder(transposed, np.ascontiguousarray(weight), packed, self.held)

    def product(self, x: np.ndarray) -> np.ndarray:
        """x W^T (m, n_out) in float32 for `x` (m, n_in) in bfloat16."""
        out = np.empty((len(x), self.n_out), np.float32)
        _product(len(x), self.n_in, self.n_out).run(np.ascontiguousarray(x), out, self.held)
        return out

    def same_bits(self, *n_rows: int) -> bool:
        """Whether a row's product is the same among each number of rows: by one kernel.

        A processor with AMX has another one for few rows.
        """
        kernels = (_product(m, self.n_in, self.n_out) for m in n_rows)
        return len({kernel.implementation for kernel in kernels}) == 1


def attention(q: np.ndarray, k: np.ndarray, v: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """softmax(q k^T + bias) v in float32, for some heads.

    q (heads, Q, d), k and v (heads, K, d) are bfloat16, bias (heads, Q, K) is float32, as sums
    and softmax are; what v is weighted with is rounded to bfloat16.
    """
    scores = np.array(bias)
    if missing():
        scores += widened(q) @ widened(k).swapaxes(-1, -2)
        scores -= scores.max(-1, keepdims=True)
        np.exp(scores, out=scores)
        scores /= scores.sum(-1, keepdims=True)
        return np.asarray(widened(rounded(scores)) @ widened(v))
    shares, out = np.empty(scores.shape, np.uint16), np.empty(q.shape, np.float32)
    add_product, softmax, product = _attention(*q.shape, k.shape[1])
    add_product.run(q, scores, k)
    softmax.run(scores, shares)
    product.run(shares, out, v)
    return out


class _Kernel:
    """oneDNN's way to do an operation with operands of given layouts; `adds`: to what is there."""

    def __init__(self, operation: str, *words: Any, adds: bool = False):
        attributes, chosen, self.kernel = c_void_p(), c_void_p(), c_void_p()
        _call("primitive_attr_create", byref(attributes))
        _call("primitive_attr_set_scratchpad_mode", attributes, USER_SCRATCHPAD)
        if adds:
            after = c_void_p()
            _call("post_ops_create", byref(after))
            _call("post_ops_append_sum", after, c_float(1), 0, 0)
            _call("primitive_attr_set_post_ops", attributes, after)
        create = f"{operation}_primitive_desc_create"
        _call(create, byref(chosen), _engine(), *words, attributes)
        _call("primitive_create", byref(self.kernel), chosen)
        self.layouts = {which: _layout_of(chosen, query) for which, query in LAYOUTS.items()}
        text = c_char_p()
        _call("primitive_desc_query", chosen, IMPLEMENTATION, 0, byref(text))
        self.implementation = (text.value or b"?").decode()

    def run(self, source: np.ndarray, out: np.ndarray, weight: np.ndarray | None = None) -> None:
        scratchpad = _aligned(_size(self.layouts[SCRATCHPAD]))
        arrays = {SOURCE: source, DESTINATION: out, SCRATCHPAD: scratchpad}
        if weight is not None:
            arrays[WEIGHTS] = weight
        _execute(self.kernel, *((i, self.layouts[i], array) for i, array in arrays.items()))


@cache
def _product(m: int, k: int, n: int) -> _Kernel:
    """x (m, k) times a packed weight (k, n)."""
    if m == ROWS_TO_PACK_FOR:
        packed = _any_layout((k, n), BFLOAT16)
    else:
        packed = _product(ROWS_TO_PACK_FOR, k, n).layouts[WEIGHTS]
    return _Kernel("matmul", _layout((m, k), BFLOAT16), packed, None, _layout((m, n), FLOAT32))


@cache
def _attention(heads: int, n_q: int, d: int, n_k: int) -> tuple[_Kernel, _Kernel, _Kernel]:
    """Adds q k^T to the scores; the softmax of their rows; the product of that with v."""
    scores, shares = (_layout((heads, n_q, n_k), dtype) for dtype in (FLOAT32, BFLOAT16))
    return (
        batched_product(heads, n_q, d, n_k, transposed=True, adds=True),
        _Kernel("softmax_forward", FOR_USE, SOFTMAX, scores, shares, 2),
        batched_product(heads, n_q, n_k, d),
    )


def batched_product(
    n: int, n_x: int, k: int, n_y: int, *, transposed: bool = False, adds: bool = False
) -> _Kernel:
    """x (n, n_x, k) times y (n, k, n_y); y lies in memory as (n, n_y, k) if `transposed`."""
    x, out = _layout((n, n_x, k), BFLOAT16), _layout((n, n_x, n_y), FLOAT32)
    strides = (k * n_y, 1, k) if transposed else (k * n_y, n_y, 1)
    y = _layout((n, k, n_y), BFLOAT16, strides)
    return _Kernel("matmul", x, y, None, out, adds=adds)


def _reorder(
    from_layout: c_void_p, source: np.ndarray, to_layout: c_void_p, out: np.ndarray
) -> None:
    _execute(
        _reordering(from_layout.value, to_layout.value),
        (SOURCE, from_layout, source),
        (DESTINATION, to_layout, out),
    )


@cache
def _reordering(from_layout: int, to_layout: int) -> c_void_p:
    chosen, kernel = c_void_p(), c_void_p()
    layouts = (c_void_p(from_layout), _engine(), c_void_p(to_layout), _engine())
    _call("reorder_primitive_desc_create", byref(chosen), *layouts, None)
    _call("primitive_create", byref(kernel), chosen)
    return kernel


@cache
def _layout(shape: tuple[int, ...], dtype: int, strides: tuple[int, ...] = ()) -> c_void_p:
    """In the order of the axes, unless `strides` say otherwise."""
    strides = strides or tuple(int(np.prod(shape[i + 1 :])) for i in range(len(shape)))
    layout, numbers = c_void_p(), c_int64 * len(shape)
    words = (len(shape), numbers(*shape), dtype, numbers(*strides))
    _call("memory_desc_create_with_strides", byref(layout), *words)
    return layout


def _any_layout(shape: tuple[int, int], dtype: int) -> c_void_p:
    """To be chosen by a product."""
    layout = c_void_p()
    words = (len(shape), (c_int64 * len(shape))(*shape), dtype, ANY_LAYOUT)
    _call("memory_desc_create_with_tag", byref(layout), *words)
    return layout


def _layout_of(chosen: c_void_p, query: int) -> c_void_p:
    layout = c_void_p(_dnnl().dnnl_primitive_desc_query_md(chosen, query, 0))
    if not layout:
        raise RuntimeError(f"oneDNN: no layout {query}")
    return layout


def _size(layout: c_void_p) -> int:
    """Bytes."""
    return int(_dnnl().dnnl_memory_desc_get_size(layout))


def _aligned(n_bytes: int) -> np.ndarray:
    held = np.empty(n_bytes + ALIGNMENT, np.uint8)
    start = -held.ctypes.data % ALIGNMENT
    return held[start : start + n_bytes]


class _Argument(ctypes.Structure):
    _fields_ = (("which", c_int), ("memory", c_void_p))


def _execute(kernel: c_void_p, *operands: tuple[int, c_void_p, np.ndarray]) -> None:
    memories = [c_void_p() for _ in operands]
    for memory, (_, layout, array) in zip(memories, operands, strict=True):
        data = c_void_p(array.ctypes.data)
        _call("memory_create", byref(memory), layout, _engine(), data)
    named = [
        _Argument(which, memory) for (which, *_), memory in zip(operands, memories, strict=True)
    ]
    _call("primitive_execute", kernel, _stream(), len(named), (_Argument * len(named))(*named))
    for memory in memories:
        _call("memory_destroy", memory)


_this_thread = threading.local()


def _stream() -> c_void_p:
    """This thread's; a product stays on one core, samples fill the others."""
    if not hasattr(_this_thread, "stream"):
        _dnnl().omp_set_num_threads(1)
        _this_thread.stream = c_void_p()
        _call("stream_create", byref(_this_thread.stream), _engine(), IN_ORDER)
    stream: c_void_p = _this_thread.stream
    return stream


@cache
def _engine() -> c_void_p:
    engine = c_void_p()
    _call("engine_create", byref(engine), CPU, c_size_t(0))
    return engine


def _call(function: str, *words: object) -> None:
    status = getattr(_dnnl(), f"dnnl_{function}")(*words)
    if status:
        raise RuntimeError(f"oneDNN: {function} failed with status {status}")


@cache
def _dnnl() -> ctypes.CDLL:
    """Raises PackageNotFoundError, or OSError where it is there and cannot be loaded."""
    from importlib import metadata

    files = metadata.distribution(PACKAGE).files or []
    paths = [file.locate() for file in files if file.name == "libdnnl.so.3"]
    if not paths:
        raise OSError(f"{PACKAGE} has no libdnnl.so.3")
    dnnl = ctypes.CDLL(str(paths[0]))
    dnnl.dnnl_memory_desc_get_size.restype = c_size_t
    dnnl.dnnl_primitive_desc_query_md.restype = c_void_p
    return dnnl
