"""What the networks compute with: numpy and its BLAS on a CPU, MLX on a GPU.

A network's code is written once, for arrays of either kind; where the two differ, it is here.
numpy's BLAS picks its kernels for the processor it finds, MLX's Linux wheel links the reference
BLAS, some 30 times slower. numpy's exp is vectorised, MLX's on a CPU is not. A function whose
name ends in _ may overwrite its first argument, which must be an array that nothing else uses.
"""

import ctypes
import threading
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar, cast

import mlx.core as mx
import mlx.nn as nn
import numpy as np
from threadpoolctl import ThreadpoolController

from pxtools.errors import InputError
from pxtools.interrupt import results_of, uninterrupted
from pxtools.machine import cores, refuse_without_room
from pxtools.network import bfloat16

A = TypeVar("A", mx.array, np.ndarray)
T = TypeVar("T")
EPS = 1e-5
AT_LEAST = 96  # rows or columns of a part of a product: a multiple of what kernels work on
TILE = 16  # rows that AMX multiplies at once
ELEMENTS_AT_ONCE = 1 << 15  # on a CPU: what stays in a core's cache
SCORES_AT_ONCE = 1 << 18  # of attention, on a CPU: what stays in a core's cache
MAX_WORKERS = 128  # OpenBLAS in numpy's wheel has buffers for as many callers
MB_OF_WORKER = 48  # address space: OpenBLAS's buffer and the thread's stack
_workers: ThreadPoolExecutor | None = None
_n_workers = 0
_this_thread = threading.local()  # .cores: those that the item at work may use


def choose_device(device: str | None, workers: int | None) -> None:
    """Have MLX work on `device`, the CPU on `workers` samples at once. Raises InputError."""
    if device == "gpu" and not mx.is_available(mx.Device(mx.gpu)):
        raise InputError.of_option("--device", "cpu (MLX has no GPU here)", device)
    if device is not None:
        mx.set_default_device(mx.Device(mx.cpu if device == "cpu" else mx.gpu))
    if workers is not None and not 1 <= workers <= MAX_WORKERS:
        raise InputError.of_option("--workers", f"1 to {MAX_WORKERS}", workers)
    if on_cpu():
        set_workers(workers or default_workers())


def default_workers() -> int:
    return min(cores(), MAX_WORKERS)


def set_workers(n: int) -> None:
    """Let the CPU work on `n` samples at once. Raises InputError where memory is too limited."""
    global _workers, _n_workers
    what, cure = f"{n} workers", "raise it, or make --workers smaller"
    if n == 1:
        what, cure = "a worker's buffers", "raise it"
    refuse_without_room(n * MB_OF_WORKER, what, cure)
    _take_buffers(n + 1)  # for the main thread too
    _workers, _n_workers = ThreadPoolExecutor(n), n


def _take_buffers(n: int) -> None:
    """Have OpenBLAS take its buffers for `n` callers; it keeps them.

    Later, without memory for one, it would end the process.
    """
    for library in _blas.lib_controllers:
        take = getattr(library.dynlib, "blas_memory_alloc", None)
        give_back = getattr(library.dynlib, "blas_memory_free", None)
        if take and give_back:
            take.restype, give_back.argtypes = ctypes.c_void_p, [ctypes.c_void_p]
            for buffer in [take(0) for _ in range(n)]:
                give_back(buffer)


def on_cores(function: Callable[[Any], Any], items: Iterable[Any]) -> list[Any]:
    """`function` of each item, on the CPU one item a core; the last ones share those left over.

    An item's numbers are the same, bit for bit, in whatever company it is computed.
    """
    items = list(items)
    if not on_cpu():
        return [function(item) for item in items]
    if hasattr(_this_thread, "cores"):  # in an item: its own parts
        results: list[Any] = [None] * len(items)

        def part(i: int) -> None:
            results[i] = function(items[i])

        _share(part, range(len(items)))
        return results
    if _workers is None:
        set_workers(default_workers())
    assert _workers
    left_over = len(items) % _n_workers

    def one(i: int) -> Any:
        is_left_over = i >= len(items) - left_over
        _this_thread.cores = _n_workers // left_over if is_left_over else 1
        try:
            return function(items[i])
        finally:
            _this_thread.cores = 1

    with uninterrupted():  # a thread begun and not yet known to its pool would wait for ever
        futures = [_workers.submit(one, i) for i in range(len(items))]
    try:
        return results_of(futures)
    finally:
        with uninterrupted():
            for future in futures:
                future.cancel()  # those not begun, when an interruption ends the step


def on_all_cores(function: Callable[[], T]) -> T:
    """What `function` gives, its products shared by the CPU's cores."""
    (result,) = on_cores(lambda _: function(), [None])
    return cast(T, result)


def side_by_side(*functions: Callable[[], Any]) -> list[Any]:
    """What each gives, by a core of its own where an item's cores are filled that way.

    Else one after the other, each sharing its products out.
    """
    mine = _n_parts()
    if mine == 1 or len(functions) % mine:
        return [function() for function in functions]
    return on_cores(lambda function: function(), functions)


def _share(function: Callable[[Any], object], parts: Sequence[Any]) -> None:
    """`function` of each part of an item, by its thread and those that have nothing to do."""
    mine = _n_parts()
    if mine == 1:
        for part in parts:
            function(part)
        return
    todo = deque(parts)

    def work() -> None:
        _this_thread.cores = 1  # what it does is not cut again
        while todo:
            try:
                part = todo.popleft()
            except IndexError:  # another thread took the last one
                return
            function(part)

    n_others = min(mine, len(parts)) - 1
    others = [_workers.submit(work) for _ in range(n_others)] if _workers else []
    try:
        work()
    finally:
        _this_thread.cores = mine
        for other in others:
            if not other.cancel():  # it has begun
                other.result()


def _n_parts() -> int:
    """Into how many parts the item at work may be cut."""
    return getattr(_this_thread, "cores", 1)


def on_cpu() -> bool:
    return mx.default_device().type == mx.DeviceType.cpu


def array(x: Any, dtype: Any = None) -> Any:
    """An array of the device's kind."""
    return np.asarray(x, dtype) if on_cpu() else mx.array(np.asarray(x, dtype))


def namespace(x: Any) -> Any:
    """The module, numpy or mlx.core, whose functions take `x`."""
    return mx if isinstance(x, mx.array) else np


def parameter(weight: mx.array, like: A) -> A:
    """A network's weight as an array of the kind of `like`; on a CPU its memory is shared."""
    return weight if isinstance(like, mx.array) else np.asarray(weight)


class Linear(nn.Linear):
    """x W^T + b in the precision of W; the result is float32 on a CPU."""

    # in place of the weight, on a CPU; in an array where it has no fast products
    _in_bfloat16: bfloat16.Packed | np.ndarray | None = None

    def __call__(self, x: A) -> A:
        """Of `x` (..., n_in), or of what `rounded` makes of it."""
        if isinstance(x, mx.array):
            return super().__call__(x.astype(self.weight.dtype))
        flat = self.rounded(x).reshape(-1, x.shape[-1])
        if self._in_bfloat16 is not None:
            out = _product_in_bfloat16(flat, self._in_bfloat16)
        else:
            out = _product(flat, np.asarray(self.weight))
        if "bias" in self:
            out += np.asarray(self.bias)
        return out.reshape(*x.shape[:-1], out.shape[-1])

    def rounded(self, x: A) -> A:
        """`x` as the product takes it, to be made once for layers of one precision."""
        if isinstance(x, mx.array) or not self.is_in_bfloat16 or x.dtype == np.uint16:
            return x
        return bfloat16.rounded(x)

    @property
    def is_in_bfloat16(self) -> bool:
        """Whether its products are, on the CPU."""
        return self._in_bfloat16 is not None

    def use_bfloat16(self) -> None:
        """Do the products in bfloat16 on the CPU."""
        weight = np.asarray(self.weight.astype(mx.bfloat16).view(mx.uint16))
        fast = not bfloat16.missing()
        self._in_bfloat16 = bfloat16.Packed(weight) if fast else bfloat16.widened(weight)
        self.weight = mx.zeros((0, 0), mx.bfloat16)


def _product_in_bfloat16(x: np.ndarray, weight: bfloat16.Packed | np.ndarray) -> np.ndarray:
    if isinstance(weight, np.ndarray):
        return _product(bfloat16.widened(x), weight)
    parts = _cut(len(x), TILE)
    sizes = (part.stop - part.start for part in parts)
    if len(parts) == 1 or not weight.same_bits(len(x), *sizes):
        return weight.product(x)
    out = np.empty((len(x), weight.n_out), np.float32)

    def some(rows: slice) -> None:
        out[rows] = weight.product(x[rows])

    _share(some, parts)
    return out


def _product(x: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """x W^T, cut where that leaves every bit of it as it is."""
    if _n_parts() == 1:
        return np.asarray(x @ weight.T)
    shape = (*x.shape, len(weight), _n_parts())
    if shape not in _exact_cuts:
        whole = x @ weight.T
        ways = (way(x, weight) for way in (_by_columns, _by_rows))
        _exact_cuts[shape] = [np.array_equal(product, whole) for product in ways]
    by_columns, by_rows = _exact_cuts[shape]
    if by_columns:
        return _by_columns(x, weight)
    return _by_rows(x, weight) if by_rows else np.asarray(x @ weight.T)


def _by_columns(x: np.ndarray, weight: np.ndarray) -> np.ndarray:
    out = np.empty((len(x), len(weight)), np.float32)
    parts = _cut(len(weight), AT_LEAST)
    _share(lambda part: np.matmul(x, weight[part].T, out=out[:, part]), parts)
    return out


def _by_rows(x: np.ndarray, weight: np.ndarray) -> np.ndarray:
    out = np.empty((len(x), len(weight)), np.float32)
    _share(lambda part: np.matmul(x[part], weight.T, out=out[part]), _cut(len(x), AT_LEAST))
    return out


def _cut(n: int, at_least: int) -> list[slice]:
    """range(n) in as many parts as the item at work may be cut, in multiples of `at_least`."""
    size = -(-n // (_n_parts() * at_least)) * at_least
    return [slice(i, min(i + size, n)) for i in range(0, n, size)]


def contiguous(x: A, like: Linear) -> A:
    """`x` laid out in the order of its axes; of MLX in the precision of a layer's weight."""
    if isinstance(x, mx.array):
        return mx.contiguous(x.astype(like.weight.dtype))
    return np.ascontiguousarray(x)


def pad(x: A, before: int, after: int) -> A:
    """(S, n, c) with so many zeros before and after its n rows."""
    if isinstance(x, mx.array):
        return mx.pad(x, [(0, 0), (before, after), (0, 0)])
    n_samples, n, width = x.shape
    out = np.zeros((n_samples, before + n + after, width), x.dtype)  # np.pad is slow for few atoms
    out[:, before : before + n] = x
    return out


def layer_norm(x: A, weight: mx.array | None = None, bias: mx.array | None = None) -> A:
    """Over the last axis; the result is an array of its own."""
    if isinstance(x, mx.array):
        return mx.fast.layer_norm(x, weight, bias, EPS)
    mean = np.vecdot(x, np.full(x.shape[-1], 1 / x.shape[-1], np.float32))  # faster than mean()
    out = x - mean[..., None]
    variance = np.vecdot(out, out)[..., None] / np.float32(x.shape[-1])
    out /= np.sqrt(variance + EPS)
    if weight is not None:
        out *= np.asarray(weight)
    if bias is not None:
        out += np.asarray(bias)
    return out


def sigmoid_(x: A) -> A:
    """Logistic function."""
    if isinstance(x, mx.array):
        return mx.sigmoid(x)
    _one_and_exp_of_minus(x, out=x)
    return np.reciprocal(x, out=x)


def swish_gated_(x: A, other: A) -> A:
    """x sigmoid(x) other (SwiGLU), an item's rows by its cores."""
    if isinstance(x, mx.array):
        return x * mx.sigmoid(x) * other
    flat, others = (y.reshape(-1, y.shape[-1]) for y in (x, other))

    def some(rows: slice) -> None:
        part = flat[rows]
        part /= _one_and_exp_of_minus(part)
        part *= others[rows]

    _share(some, _cut(len(flat), -(-ELEMENTS_AT_ONCE // x.shape[-1])))
    return flat.reshape(x.shape)


# log Phi(-a) as a polynomial of a >= 0: x Phi(x) is off by 6e-8, in float32 by 3e-7
LOG_PHI = np.array(
    [
        *(-0.69314176, -0.7979598, -0.31796595, -0.037075337),
        *(5.648972e-3, -5.559741e-4, 2.8343643e-5, -5e-7),
    ],
    np.float32,
)


def gelu_(x: A) -> A:
    """x Phi(x), with the normal distribution function Phi itself, not an approximation by tanh."""
    if isinstance(x, mx.array):
        return nn.gelu(x)
    flat = x.reshape(-1)
    for start in range(0, len(flat), ELEMENTS_AT_ONCE):
        part: np.ndarray = flat[start : start + ELEMENTS_AT_ONCE]
        a = np.abs(part)
        p = a * LOG_PHI[-1]
        for coefficient in LOG_PHI[-2:0:-1]:
            p += coefficient
            p *= a
        p += LOG_PHI[0]
        np.exp(p, out=p)
        np.subtract(np.float32(0.5), p, out=p)
        p *= a
        part *= np.float32(0.5)
        part += p  # x / 2 + |x| (1/2 - Phi(-|x|))
    return x


def _one_and_exp_of_minus(x: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
    e = np.negative(x, out=out)
    with np.errstate(over="ignore"):
        np.exp(e, out=e)
    e += 1
    return e


def attention(q: A, k: A, v: A, bias: A, *, in_bfloat16: bool = False) -> A:
    """softmax(q k^T / sqrt(d) + bias) v for (S, W, H, Q, d), (S, W, H, K, d) and (W, H, Q, K).

    `in_bfloat16`: the products, on a CPU; on a GPU they are in the precision of q.
    """
    scale = q.shape[-1] ** -0.5
    if isinstance(q, mx.array):
        one, *others = (x.reshape(x.shape[0], -1, *x.shape[3:]) for x in (q, k, v))
        mask = bias.reshape(-1, *bias.shape[2:])
        out = mx.fast.scaled_dot_product_attention(one, *others, scale=scale, mask=mask)
        return out.reshape(q.shape)
    out = np.empty_like(q)  # in memory as q lies: heads side by side
    windows, heads = bias.shape[:2]
    n = max(1, SCORES_AT_ONCE // bias[0, 0].size)
    attend = _attend
    q = q * np.float32(scale)
    if in_bfloat16:
        attend = _attend_in_bfloat16
        q, k, v = (bfloat16.rounded(x) for x in (q, k, v))

    def some(part: tuple[slice, slice]) -> None:
        w, h = part
        out[:, w, h] = attend(q[:, w, h], k[:, w, h], v[:, w, h], bias[w, h])

    _share(some, _parts(windows, heads, n))
    return out


def _attend(q: np.ndarray, k: np.ndarray, v: np.ndarray, bias: np.ndarray) -> np.ndarray:
    scores = q @ k.swapaxes(-1, -2)
    scores += bias
    scores -= scores.max(-1, keepdims=True)
    np.exp(scores, out=scores)
    out = scores @ v
    out /= (scores @ np.ones(scores.shape[-1], np.float32))[..., None]  # 4 times as fast as sum()
    return np.asarray(out)


def _attend_in_bfloat16(
    q: np.ndarray, k: np.ndarray, v: np.ndarray, bias: np.ndarray
) -> np.ndarray:
    def flat(x: np.ndarray) -> np.ndarray:  # all heads of all windows and samples
        return np.ascontiguousarray(x.reshape(-1, *x.shape[-2:]))

    bias = np.broadcast_to(bias, (len(q), *bias.shape))
    return bfloat16.attention(flat(q), flat(k), flat(v), flat(bias)).reshape(q.shape)


def _parts(windows: int, heads: int, at_most: int) -> list[tuple[slice, slice]]:
    """Windows and heads in blocks of up to `at_most`: whole windows, or a window's heads."""
    if at_most >= heads:
        n = _even(windows, at_most // heads)
        return [(slice(w, w + n), slice(None)) for w in range(0, windows, n)]
    n = _even(heads, at_most)
    return [(slice(w, w + 1), slice(h, h + n)) for w in range(windows) for h in range(0, heads, n)]


def _even(n: int, at_most: int) -> int:
    """The size of parts of range(n) that gives each core of the item at work as many."""
    n_parts = -(-n // (at_most * _n_parts())) * _n_parts()
    return -(-n // n_parts)


def keep_freed_memory() -> None:
    """Let glibc reuse what was freed, all threads from one heap: no page is asked for twice."""
    libc = ctypes.CDLL(None)
    if hasattr(libc, "mallopt"):
        m_trim_threshold, m_mmap_max, m_arena_max = -1, -4, -8
        libc.mallopt(m_mmap_max, 0)
        libc.mallopt(m_trim_threshold, 2**31 - 1)
        libc.mallopt(m_arena_max, 1)


def arithmetic(dtype: str = "float32") -> str:
    """What does the products, and the processor it takes this one for: what the last bits
    of a design depend on."""
    if not on_cpu():
        return "MLX on a GPU"
    return f"{_blas_name()}; {bfloat16.name()}" if dtype == "bfloat16" else _blas_name()


def device_name() -> str:
    """The processor's or the graphics card's, as MLX knows it."""
    return str(mx.device_info().get("device_name", "unknown"))


def _blas_name() -> str:
    """ "unknown" where a BLAS does not tell."""
    found = sorted(_blas.info(), key=lambda library: "numpy" not in library["filepath"])
    if not found:
        built_with = np.show_config(mode="dicts")["Build Dependencies"]["blas"]
        return f"{built_with.get('name', 'unknown')}, processor unknown"
    name, version = found[0]["internal_api"], found[0]["version"] or "unknown"
    return f"{name} {version}, processor {found[0].get('architecture', 'unknown')}"


# whether products of a shape, in so many parts, keep their bits: by columns, by rows
_exact_cuts: dict[tuple[int, ...], list[bool]] = {}
_blas = ThreadpoolController().select(user_api="blas")
_blas.limit(limits=1)  # samples fill the cores, see on_cores
keep_freed_memory()
