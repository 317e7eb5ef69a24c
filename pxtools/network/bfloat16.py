"""Products of bfloat16 numbers on a CPU: by oneDNN, where its library and the processor do them.

numpy has no bfloat16: here it is the upper half of a float32, in arrays of uint16. A product's
sums are float32. Of oneDNN's C interface (version 3) a dozen functions are used.
"""

from __future__ import annotations

import ctypes
import threading
from ctypes import byref, c_char_p, c_int, c_int64, c_size_t, c_void_p
from functools import cache
from importlib import metadata

import numpy as np

PACKAGE = "onednn-cpu-gomp"
ROWS_TO_PACK_FOR = 256
ALIGNMENT = 64  # bytes
# of oneDNN's dnnl_types.h and dnnl_common_types.h
AVX512_BF16 = 0xE7  # instruction sets as bits; those of AMX are among them and more
CPU, IN_ORDER, ANY_LAYOUT, USER_SCRATCHPAD = 1, 1, 1, 1
BFLOAT16, FLOAT32 = 2, 3
SOURCE, DESTINATION, WEIGHTS, SCRATCHPAD = 1, 17, 33, 80  # arguments of an execution
IMPLEMENTATION, WEIGHTS_LAYOUT, SCRATCHPAD_LAYOUT = 8, 131, 136  # queries


@cache
def missing() -> str | None:
    """Why this machine has no fast products of bfloat16 numbers; None where it has."""
    try:
        isa = _dnnl().dnnl_get_effective_cpu_isa()
    except (metadata.PackageNotFoundError, OSError):
        return "oneDNN is not installed (pip install 'px-tools[bfloat16]')"
    if isa & AVX512_BF16 != AVX512_BF16:
        return "this processor has no instructions for it (AVX-512 BF16 or AMX)"
    return None


def name() -> str:
    """What does the products: the last bits of a design depend on it."""
    if missing():
        return "bfloat16 by rounding"
    kernel = _product(ROWS_TO_PACK_FOR, 64, 64).implementation
    return f"bfloat16 by oneDNN {metadata.version(PACKAGE)} {kernel}"


def rounded(x: np.ndarray) -> np.ndarray:
    """float32 to the nearest bfloat16, ties to even."""
    x = np.ascontiguousarray(x, np.float32)
    if missing():
        bits = x.view(np.uint32)
        return ((bits + (0x7FFF + ((bits >> 16) & 1))) >> 16).astype(np.uint16)
    out = np.empty(x.shape, np.uint16)
    shape = (x.size,)
    _reorder(_layout(shape, FLOAT32), x, _layout(shape, BFLOAT16), out)
    return out


def widened(x: np.ndarray) -> np.ndarray:
    """bfloat16 to float32, exactly."""
    return (x.astype(np.uint32) << 16).view(np.float32)


class Weight:
    """A layer's weight (n_out, n_in) of bfloat16 numbers, ready for products.

    Without fast ones they are done in float32, which differs in the order of the sums alone.
    """

    def __init__(self, weight: np.ndarray):
        self.n_out, self.n_in = weight.shape
        if missing():
            self.held = widened(weight)
            return
        packed = _product(ROWS_TO_PACK_FOR, *weight.shape[::-1]).weight
        self.held = _aligned(_size(packed))
        transposed = _layout((self.n_in, self.n_out), BFLOAT16, strides=(1, self.n_in))
        _reorder(transposed, np.ascontiguousarray(weight), packed, self.held)

    def product(self, x: np.ndarray) -> np.ndarray:
        """x W^T (m, n_out) in float32 for `x` (m, n_in) in bfloat16."""
        if missing():
            return np.asarray(widened(x) @ self.held.T)
        out = np.empty((len(x), self.n_out), np.float32)
        _product(len(x), self.n_in, self.n_out).run(np.ascontiguousarray(x), self.held, out)
        return out


class _Product:
    """oneDNN's kernel for x (m, k) times a packed weight (k, n)."""

    def __init__(self, m: int, k: int, n: int):
        self.source, self.out = _layout((m, k), BFLOAT16), _layout((m, n), FLOAT32)
        packed = (
            _any_layout((k, n), BFLOAT16)
            if m == ROWS_TO_PACK_FOR
            else _product(ROWS_TO_PACK_FOR, k, n).weight
        )
        attributes, chosen, self.kernel = c_void_p(), c_void_p(), c_void_p()
        _call("primitive_attr_create", byref(attributes))
        _call("primitive_attr_set_scratchpad_mode", attributes, USER_SCRATCHPAD)
        layouts = (self.source, packed, None, self.out)
        _call("matmul_primitive_desc_create", byref(chosen), _engine(), *layouts, attributes)
        _call("primitive_create", byref(self.kernel), chosen)
        self.weight: c_void_p = _layout_of(chosen, WEIGHTS_LAYOUT)
        self.scratchpad = _layout_of(chosen, SCRATCHPAD_LAYOUT)
        text = c_char_p()
        _call("primitive_desc_query", chosen, IMPLEMENTATION, 0, byref(text))
        self.implementation = (text.value or b"?").decode()

    def run(self, x: np.ndarray, weight: np.ndarray, out: np.ndarray) -> None:
        scratchpad = _aligned(_size(self.scratchpad))
        _execute(
            self.kernel,
            (SOURCE, self.source, x),
            (WEIGHTS, self.weight, weight),
            (DESTINATION, self.out, out),
            (SCRATCHPAD, self.scratchpad, scratchpad),
        )


@cache
def _product(m: int, k: int, n: int) -> _Product:
    return _Product(m, k, n)


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
    files = metadata.distribution(PACKAGE).files or []
    paths = [file.locate() for file in files if file.name == "libdnnl.so.3"]
    if not paths:
        raise OSError(f"{PACKAGE} has no libdnnl.so.3")
    dnnl = ctypes.CDLL(str(paths[0]))
    dnnl.dnnl_memory_desc_get_size.restype = c_size_t
    dnnl.dnnl_primitive_desc_query_md.restype = c_void_p
    return dnnl
