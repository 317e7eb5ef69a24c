"""The few operations whose fastest form differs between a GPU and a CPU.

MLX's exp, sigmoid and softmax run scalar code on Linux CPUs, 12-19 ns an element; numpy's exp is
vectorised, under 1 ns. A numpy view of an MLX array shares its memory, so on the CPU these work
in place on an array that nothing else uses. On a GPU they are MLX's own, and nothing waits.
"""

from pxtools import blas  # isort: skip  # before mlx
import os
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import mlx.core as mx
import numpy as np

MAX_WORKERS = 32  # OpenBLAS has buffers for some 50 callers
_workers: ThreadPoolExecutor | None = None
_thread = threading.local()


def cores() -> int:
    """The processor cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def set_workers(n: int) -> None:
    """Let the CPU work on `n` samples at once."""
    global _workers
    _workers = ThreadPoolExecutor(n)


def on_cores(function: Callable[[Any], Any], items: Iterable[Any]) -> list[Any]:
    """`function` of each item: one item a core and evaluated on the CPU, as it is on a GPU.

    Each thread has an MLX stream of its own; what the items share must be evaluated before.
    An item's numbers are the same, bit for bit, in whatever company it is computed.
    """
    if not on_cpu():
        return [function(item) for item in items]
    if _workers is None:
        set_workers(min(cores(), MAX_WORKERS))
    assert _workers
    futures = [_workers.submit(_on_own_stream, function, item) for item in items]
    try:
        return [future.result() for future in futures]
    finally:
        for future in futures:
            future.cancel()  # those not begun, when an interruption ends the step


def _on_own_stream(function: Callable[[Any], Any], item: Any) -> Any:
    if not hasattr(_thread, "stream"):
        _thread.stream = mx.new_stream(mx.Device(mx.cpu))
    with mx.stream(_thread.stream):
        result = function(item)
        mx.eval(result)
        return result


def on_cpu() -> bool:
    return mx.default_device().type == mx.DeviceType.cpu


def sigmoid(x: mx.array) -> mx.array:
    """Logistic function; on the CPU `x` is overwritten."""
    if not on_cpu() or x.dtype != mx.float32:
        return mx.sigmoid(x)
    view = np.asarray(x)
    with np.errstate(over="ignore"):
        np.negative(view, out=view)
        np.exp(view, out=view)
    view += 1
    np.reciprocal(view, out=view)
    return x


def silu(x: mx.array) -> mx.array:
    """x * sigmoid(x); on the CPU `x` is overwritten."""
    if not on_cpu() or x.dtype != mx.float32:
        return x * mx.sigmoid(x)
    view = np.asarray(x)
    with np.errstate(over="ignore"):
        e = np.exp(-view)
    e += 1
    view /= e
    return x


def softmax(x: mx.array) -> mx.array:
    """Softmax over the last axis; on the CPU `x` is overwritten."""
    if not on_cpu() or x.dtype != mx.float32:
        return mx.softmax(x, axis=-1, precise=True)
    view = np.asarray(x)
    view -= view.max(-1, keepdims=True)
    np.exp(view, out=view)
    view /= view.sum(-1, keepdims=True)
    return x


def attention(q: mx.array, k: mx.array, v: mx.array, bias: mx.array) -> mx.array:
    """softmax(q k^T / sqrt(d) + bias) v for (S, H, Q, d), (S, H, K, d) and a bias (H, Q, K)."""
    scale = q.shape[-1] ** -0.5
    if not on_cpu():
        return mx.fast.scaled_dot_product_attention(q, k, v, scale=scale, mask=bias)
    return softmax((q * scale) @ k.swapaxes(-1, -2) + bias) @ v


blas.set_threads(1)  # samples fill the cores, see on_cores
