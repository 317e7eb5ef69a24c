"""The few operations whose fastest form differs between a GPU and a CPU.

MLX's exp, sigmoid and softmax run scalar code on Linux CPUs, 12-19 ns an element; numpy's exp is
vectorised, under 1 ns. A numpy view of an MLX array shares its memory, so on the CPU these work
in place on an array that nothing else uses. On a GPU they are MLX's own, and nothing waits.
"""

from pxtools import blas  # isort: skip  # before mlx

import mlx.core as mx
import numpy as np

assert blas


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
    """softmax(q k^T / sqrt(d) + bias) v for (S, H, Q, d), (S, H, K, d) and a bias (H, Q, K).

    On the CPU one sample at a time: the scores of one fit its cache, and memory stays low.
    """
    scale = q.shape[-1] ** -0.5
    if not on_cpu():
        return mx.fast.scaled_dot_product_attention(q, k, v, scale=scale, mask=bias)
    q = q * scale
    return mx.stack(
        [softmax(q[s] @ k[s].swapaxes(-1, -2) + bias) @ v[s] for s in range(q.shape[0])]
    )
