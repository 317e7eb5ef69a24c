"""The sampler against a recorded run of the published one, and its random streams."""

from typing import Any

import mlx.core as mx
import numpy as np
import pytest
from conftest import load
from tiny_model import Tiny, assert_close, needs_compiler, tiny_network

from pxtools.network.features import Features
from pxtools.network.pxdesign import Condition, PXDesignD
from pxtools.runs.schedule import Schedule
from pxtools.sampling.sampler import Draws, diffusion_step, draw, start_noise


def test_noise_levels() -> None:
    recorded = load("tiny/sampler_bpti.npz")
    np.testing.assert_allclose(Schedule(20).levels(), recorded["noise_schedule"], rtol=1e-5)
    np.testing.assert_allclose(Schedule(400).levels(), recorded["noise_schedule_400"], rtol=1e-5)


def sampled(model: PXDesignD, condition: Condition[Any], n_steps: int) -> mx.array:
    """The first steps of the recorded run, with its random numbers."""
    recorded = load("tiny/sampler_bpti.npz")
    schedule = Schedule(20)
    levels = schedule.levels()
    x: mx.array = mx.array(recorded["x_init"]) * levels[0]
    for i in range(n_steps):
        draws = Draws(*(mx.array(recorded[k][i]) for k in ("rotation", "translation", "noise")))
        x = diffusion_step(
            lambda x, sigma: model.denoise(x, sigma, condition), x, i, schedule, levels, draws
        )
    return x


def test_the_recorded_run(tiny: Tiny) -> None:
    assert_close(sampled(*tiny, 20), load("tiny/sampler_bpti.npz")["x_final"], 1e-3)


@pytest.mark.slow
@needs_compiler
@pytest.mark.parametrize("dtype, tolerance", [(mx.float16, 3e-4), (mx.bfloat16, 1e-3)])
def test_designs_of_reduced_precision_begin_alike(
    tiny: Tiny,
    features: Features,
    as_on_a_gpu: None,
    dtype: mx.Dtype,
    tolerance: float,
) -> None:
    """Ten steps of 20, down to a noise level of 56 Å."""
    wanted = np.array(sampled(*tiny, 10))
    model = tiny_network()
    model.reduce_precision(dtype)
    condition = model.condition(features, load("features/bpti.npz")["ref_pos"])
    assert_close(sampled(model, condition, 10), wanted, tolerance)


def test_a_sample_draws_the_same_whatever_its_chunk() -> None:
    together, alone = draw(7, [3, 4, 5], 11, 20), draw(7, [4], 11, 20)
    for a, b in zip(together, alone, strict=True):
        np.testing.assert_array_equal(np.array(a)[1:2], np.array(b))
    start = np.array(start_noise(7, [3, 4], 20))
    np.testing.assert_array_equal(start[1:], np.array(start_noise(7, [4], 20)))


def test_draws_differ_by_seed_sample_and_step() -> None:
    noises = [
        np.array(draw(seed, [sample], step, 9).noise)
        for seed in (1, 2)
        for sample in (0, 1)
        for step in (0, 1)
    ] + [np.array(start_noise(seed, [sample], 9)) for seed in (1, 2) for sample in (0, 1)]
    for i, a in enumerate(noises):
        assert all(np.abs(a - b).max() > 0.1 for b in noises[:i])


def test_rotations_are_rotations() -> None:
    r = np.array(draw(1, list(range(50)), 0, 1).rotation)
    np.testing.assert_allclose(r @ r.swapaxes(1, 2), np.tile(np.eye(3), (50, 1, 1)), atol=1e-5)
    np.testing.assert_allclose(np.linalg.det(r), 1, atol=1e-5)
    assert np.abs(r.mean(0)).max() < 0.4
