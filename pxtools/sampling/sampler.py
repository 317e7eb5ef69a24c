"""The sampler: AF3's Alg. 18 with PXDesign's eta schedules, random draws derived per sample."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import mlx.core as mx
import numpy as np

from pxtools.network.features import random_rotations
from pxtools.runs.schedule import Schedule

NOISE_SCALE = 1.003
# noisy and denoised coordinates (S, A, 3) and the noise level in Å, to those to go on with
Guide = Callable[[mx.array, mx.array, float], tuple[mx.array, mx.array]]


class Draws(NamedTuple):
    """The random numbers of one step: rotation (S, 3, 3), translation (S, 3), noise (S, A, 3)."""

    rotation: mx.array
    translation: mx.array
    noise: mx.array


def start_noise(seed: int, samples: list[int], n_atoms: int) -> mx.array:
    """Unit normals (S, A, 3) each sample starts from."""
    return mx.array(
        np.stack(
            [
                _stream(seed, sample, 0).standard_normal((n_atoms, 3), dtype=np.float32)
                for sample in samples
            ]
        )
    )


def draw(seed: int, samples: list[int], step: int, n_atoms: int) -> Draws:
    """The draws of step `step` (from 0): each sample's depend on (seed, sample, step) alone."""
    rotation, translation, noise = [], [], []
    for sample in samples:
        rng = _stream(seed, sample, step + 1)
        rotation.append(random_rotations(rng, 1)[0].astype(np.float32))
        translation.append(rng.standard_normal(3, dtype=np.float32))
        noise.append(rng.standard_normal((n_atoms, 3), dtype=np.float32))
    return Draws(*(mx.array(np.stack(values)) for values in (rotation, translation, noise)))


def _stream(seed: int, sample: int, step: int) -> np.random.Generator:
    # [seed, 0] belongs to the reference conformers (features.randomly_placed)
    return np.random.Generator(np.random.Philox(np.random.SeedSequence([seed, 1 + sample, step])))


def diffusion_step(
    denoise: Callable[[mx.array, float], mx.array],
    x: mx.array,
    step: int,
    schedule: Schedule,
    levels: np.ndarray,
    draws: Draws,
    guide: Guide | None = None,
) -> mx.array:
    """Coordinates (S, A, 3) in Å after step `step`, counted from 0.

    A `guide` corrects what was denoised, where a model asks for one.
    """
    last, following = float(levels[step]), float(levels[step + 1])
    x = x - x.mean(axis=1, keepdims=True)
    x = x @ draws.rotation.swapaxes(-1, -2) + draws.translation[:, None]
    gamma = schedule.gamma0 if following > schedule.gamma_min else 0.0
    sigma = last * (1 + gamma)
    x = x + NOISE_SCALE * math.sqrt(sigma**2 - last**2) * draws.noise
    x0 = denoise(x, sigma)
    if guide:
        x, x0 = guide(x, x0, sigma)
    return x + schedule.eta(step) * (following - sigma) / sigma * (x - x0)
