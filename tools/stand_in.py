"""Weights that stand in for the released model's, by name and shape alone."""

import zlib

import numpy as np


def formula_weight(name: str, shape: tuple[int, ...]) -> np.ndarray:
    """A weight of the published name, as the fixtures define it."""
    w = np.random.default_rng(zlib.crc32(name.encode())).standard_normal(shape, np.float32)
    if "fourier_embedding" in name or "condition_template_embedder" in name:
        return w
    if len(shape) == 2:
        return w / np.float32(np.sqrt(shape[-1]))
    return (
        1 + np.float32(0.1) * w
        if "layernorm" in name and name.endswith("weight")
        else w * np.float32(0.1)
    )
