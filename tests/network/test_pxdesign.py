"""The network against the published implementation, layer by layer (float32)."""

import json
from collections.abc import Callable, Iterable
from typing import Any

import mlx.core as mx
import numpy as np
import pytest
from conftest import DATA, load
from mlx.utils import tree_flatten
from stand_in import formula_weight
from tiny_model import Recorded, Tiny, assert_close, needs_compiler, tiny_network

from pxtools.network import bfloat16, ops
from pxtools.network.config import Config
from pxtools.network.features import Features
from pxtools.network.pxdesign import Pairs, PXDesignD


def test_embedder(tiny: Tiny, features: Features, recorded: Recorded) -> None:
    model, condition = tiny
    assert_close(condition.s_inputs, recorded["s_inputs"])
    template = model.design_condition_embedder.condition_template_embedder
    z = template(template.bins(features))
    assert_close(z, recorded["z"])


def test_conditioning(tiny: Tiny, features: Features, recorded: Recorded) -> None:
    model, condition = tiny
    conditioning = model.diffusion_module.diffusion_conditioning
    s = conditioning.at_noise_level(condition.single, np.float32(recorded["act_sigma"]))
    for sample in recorded["act/s_single"]:
        assert_close(s, sample)
    z = conditioning.pair(recorded["z"], conditioning.relpe.classes(features))
    assert_close(z, recorded["act/pair_z"])


def test_pairs_of_a_kind_have_one_row(tiny: Tiny, features: Features, recorded: Recorded) -> None:
    model, _ = tiny
    pairs = model._pairs(features)
    assert_close(pairs.z[pairs.kind], recorded["act/pair_z"])
    assert len(pairs.z) == len(np.unique(pairs.z, axis=0)) < pairs.kind.size / 4


def test_atom_encoder(tiny: Tiny, recorded: Recorded) -> None:
    model, condition = tiny
    encoder = model.diffusion_module.atom_attention_encoder
    z = recorded["act/pair_z"]
    kind = np.arange(len(z) ** 2).reshape(len(z), len(z))
    pairs = Pairs(z.reshape(-1, z.shape[-1]), kind)  # each of its own
    c, p, _ = encoder.condition(condition.atoms, pairs)
    assert_close(c, recorded["act/c_skip"])
    assert_close(p, recorded["act/p_skip"])
    sigma = float(recorded["act_sigma"])
    r = recorded["x_noisy@16"] / np.sqrt(sigma**2 + 16**2)
    q = condition.c + encoder.linear_no_bias_r(r)
    a, q = encoder(q, condition.encoder, condition.atoms)
    assert_close(a, recorded["act/a_token"])
    assert_close(q, recorded["act/q_skip"])


def test_token_transformer(tiny: Tiny, recorded: Recorded) -> None:
    model, condition = tiny
    module = model.diffusion_module
    s = recorded["act/s_single"][0]
    a = recorded["act/a_token"] + module.linear_no_bias_s(module.layernorm_s(s))
    transformer = module.diffusion_transformer
    modulations = transformer.modulations(s)
    first = transformer.blocks[0](a, condition.pair_biases[0], modulations[0])
    assert_close(first, recorded["act/transformer_block0_out"])
    out = transformer(a, condition.pair_biases, modulations)
    assert_close(out, recorded["act/transformer_out"])


def test_atom_decoder(tiny: Tiny, recorded: Recorded) -> None:
    model, condition = tiny
    a = model.diffusion_module.layernorm_a(recorded["act/transformer_out"])
    q = recorded["act/q_skip"]
    decoder = model.diffusion_module.atom_attention_decoder
    assert_close(decoder(a, q, condition.decoder, condition.atoms), recorded["act/r_update"])


@pytest.mark.parametrize("sigma", ["2560", "160", "16", "1", "0.05"])
def test_denoiser(tiny: Tiny, recorded: Recorded, sigma: str) -> None:
    model, condition = tiny
    x = mx.array(recorded[f"x_noisy@{sigma}"])
    assert_close(model.denoise(x, float(sigma), condition), recorded[f"x_denoised@{sigma}"])


def test_the_noise_level_that_matters_least_is_not_hidden_by_the_input(
    tiny: Tiny, recorded: Recorded
) -> None:
    """At sigma 0.05 the output is nearly the input: compare what the network adds."""
    model, condition = tiny
    x = recorded["x_noisy@0.05"]
    ours = np.array(model.denoise(mx.array(x), 0.05, condition)) - x
    assert_close(ours, recorded["x_denoised@0.05"] - x, 1e-3)  # float32 cancellation at 45 Å


@needs_compiler
@pytest.mark.parametrize("sigma", ["2560", "16", "0.05"])
def test_the_path_of_a_gpu(
    tiny: Tiny, features: Features, recorded: Recorded, sigma: str, as_on_a_gpu: None
) -> None:
    model, _ = tiny
    condition = model.condition(features, load("features/bpti.npz")["ref_pos"])
    x = mx.array(recorded[f"x_noisy@{sigma}"])
    assert_close(model.denoise(x, float(sigma), condition), recorded[f"x_denoised@{sigma}"])


@needs_compiler
def test_the_path_of_a_gpu_in_parts(
    tiny: Tiny,
    features: Features,
    recorded: Recorded,
    as_on_a_gpu: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model, _ = tiny
    condition = model.condition(features, load("features/bpti.npz")["ref_pos"])
    monkeypatch.setattr(model, "samples_at_once", lambda condition: 1)
    x = mx.array(recorded["x_noisy@16"])
    assert len(x) > 1
    assert_close(model.denoise(x, 16.0, condition), recorded["x_denoised@16"])


@needs_compiler
@pytest.mark.parametrize("dtype, tolerance", [(mx.float16, 2e-3), (mx.bfloat16, 2e-2)])
def test_reduced_precision(
    features: Features, recorded: Recorded, dtype: mx.Dtype, tolerance: float, as_on_a_gpu: None
) -> None:
    """What the network adds to its input, within the precision of its products."""
    model = tiny_network()
    model.reduce_precision(dtype)
    kinds = {w.dtype for w in dict(tree_flatten(model.parameters())).values()}
    assert kinds == {mx.float32, dtype}
    condition = model.condition(features, load("features/bpti.npz")["ref_pos"])
    for sigma in ("160", "16", "1"):
        x = recorded[f"x_noisy@{sigma}"]
        out = model.denoise(mx.array(x), float(sigma), condition)
        assert out.dtype == mx.float32
        skipped = x / (1 + (float(sigma) / 16) ** 2)
        wanted = recorded[f"x_denoised@{sigma}"] - skipped
        found = np.array(out) - skipped
        assert_close(found, wanted, tolerance)
        assert np.abs(found - wanted).max() > 1e-5 * np.abs(wanted).max()  # it is reduced


def reduced(features: Features, recorded: Recorded, dtype: mx.Dtype, wrong: bool = False) -> float:
    """The largest error of a step on the CPU, of the largest update."""
    model = tiny_network()
    if wrong:
        attention = model.diffusion_module.diffusion_transformer.blocks[-1].attention_pair_bias
        heads = attention.attention
        heads.linear_k, heads.linear_v = heads.linear_v, heads.linear_k
    model.reduce_precision(dtype)
    condition = model.condition(features, load("features/bpti.npz")["ref_pos"])
    x = recorded["x_noisy@16"]
    wanted, found = recorded["x_denoised@16"] - x / 2, model.denoise(mx.array(x), 16, condition)
    return float(np.abs(np.array(found) - x / 2 - wanted).max() / np.abs(wanted).max())


BFLOAT16_TOLERANCE = 5e-3  # a rounding is off by up to 2^-9, a step by somewhat more


def test_reduced_precision_on_a_cpu(features: Features, recorded: Recorded) -> None:
    assert 1e-4 < reduced(features, recorded, mx.float16) < 2e-3  # the weights alone are rounded
    assert 1e-4 < reduced(features, recorded, mx.bfloat16) < BFLOAT16_TOLERANCE
    assert reduced(features, recorded, mx.bfloat16, wrong=True) > 2 * BFLOAT16_TOLERANCE


def test_bfloat16_on_a_cpu_without_onednn(
    features: Features, recorded: Recorded, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bfloat16, "missing", lambda: "as on an older processor")
    assert 1e-4 < reduced(features, recorded, mx.bfloat16) < BFLOAT16_TOLERANCE


def test_on_a_cpu_all_is_float32(tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    """numpy would go on in float64, half as fast, from a single array of it."""
    model, condition = tiny
    made: list[Any] = []

    def on_one_core(function: Callable[[Any], Any], items: Iterable[Any]) -> list[Any]:
        made.extend(function(item) for item in items)
        return made[-len(list(items)) :]

    monkeypatch.setattr(ops, "on_cores", on_one_core)
    model.denoise(mx.zeros((1, len(condition.c), 3)), 16.0, condition)
    flat = dict(tree_flatten([condition[:-1], made]))
    arrays = [array for array in flat.values() if array is not None]
    assert {array.dtype for array in arrays} == {np.dtype(np.float32)}
    atoms = condition.atoms
    for array in (atoms.ref_pos, atoms.ref_charge, atoms.identity, atoms.pool):
        assert array.dtype == np.float32


def test_a_sample_is_the_same_in_whatever_company(tiny: Tiny, recorded: Recorded) -> None:
    model, condition = tiny
    x = mx.array(np.concatenate([recorded["x_noisy@16"], recorded["x_noisy@1"]]))
    together = np.array(model.denoise(x, 16, condition))
    for i in range(len(x)):
        np.testing.assert_array_equal(model.denoise(x[i : i + 1], 16, condition)[0], together[i])


@pytest.fixture(scope="module")
def full() -> PXDesignD:
    parameters = json.loads((DATA / "full/parameters.json").read_text())
    weights = {}
    for name, (shape, total, first) in parameters.items():
        w = formula_weight(name, tuple(shape))
        assert w.ravel()[0] == pytest.approx(first, rel=1e-6), name
        assert w.sum(dtype=np.float64) == pytest.approx(total, abs=1e-2), name
        weights[name] = mx.array(w)
    model = PXDesignD(Config())
    model.load_weights(list(PXDesignD.sanitize(weights).items()))
    return model


@pytest.mark.slow
def test_released_size(full: PXDesignD, features: Features) -> None:
    n_parameters = sum(w.size for w in dict(tree_flatten(full.parameters())).values())
    assert n_parameters == pytest.approx(139.0e6, rel=1e-3)
    recorded = load("full/denoise_bpti.npz")
    condition = full.condition(features, load("features/bpti.npz")["ref_pos"])
    assert_close(condition.s_inputs, recorded["s_inputs"])
    for sigma in ("160", "16", "0.5"):
        x = mx.array(recorded[f"x_noisy@{sigma}"])
        ours = full.denoise(x, float(sigma), condition)
        assert_close(ours, recorded[f"x_denoised@{sigma}"])
