"""From a checkpoint's tensors to a model folder: sizes derived, every tensor checked."""

from __future__ import annotations

import hashlib
import json
import os
import re
from pathlib import Path

import mlx.core as mx
import numpy as np
from mlx.utils import tree_map_with_path

from pxtools.errors import InputError, shown
from pxtools.interrupt import stop_if_told
from pxtools.network.config import Config, Depth
from pxtools.network.conformers import Conformers, to_json
from pxtools.network.pxdesign import PXDesignD
from pxtools.runs.files import write_atomically

EMBEDDER = "design_condition_embedder.input_embedder"
ENCODER = f"{EMBEDDER}.atom_attention_encoder"
TEMPLATE = "design_condition_embedder.condition_template_embedder.embedder.weight"
DENOISER = "diffusion_module"
DTYPES = {"float32": mx.float32, "float16": mx.float16, "bfloat16": mx.bfloat16}
KNOWN_DIGESTS: dict[str, str] = {}  # SHA-256 of published files -> their name; none verified yet
MAX_LISTED = 8


def convert(
    path: Path,
    weights: dict[str, np.ndarray],
    folder: Path,
    dtype: str,
    target_atoms: str,
    conformers: Conformers | None,
) -> tuple[Path, str, Config]:
    """Write `folder`/model.safetensors; returns its path, the checkpoint's digest and the sizes.

    Raises InputError, writing nothing, if a tensor is missing, unknown or of the wrong shape.
    """
    config = derive_config(path, weights, target_atoms)
    _check(path, weights, config)
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    metadata = {
        "config": json.dumps(config.to_dict()),
        "source": path.name,
        "source_sha256": digest,
        "known_as": KNOWN_DIGESTS.get(digest, "not a known release"),
        "dtype": dtype,
    }
    if conformers:
        metadata["conformers"] = to_json(conformers)
    out = folder / "model.safetensors"
    temporary = folder / f".model.{os.getpid()}.safetensors"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        arrays = {}
        for name in sorted(weights):
            stop_if_told()
            arrays[name] = mx.array(weights.pop(name)).astype(DTYPES[dtype])
            if not np.isfinite(np.array(arrays[name].astype(mx.float32))).all():
                raise InputError(f"{name}: too large for {dtype}: take bfloat16 or float32")
        mx.save_safetensors(str(temporary), arrays, metadata)
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.replace(out)
        card = _card(metadata, config, bool(conformers))
        write_atomically(folder / "model_card.md", card.encode())
    except (OSError, RuntimeError) as error:
        raise InputError(f"{out}: cannot write: {shown(str(error))}") from None
    finally:
        temporary.unlink(missing_ok=True)
    return out, digest, config


def _card(metadata: dict[str, str], config: Config, own_conformers: bool) -> str:
    conformers = (
        "the ones it was trained with, from a cache of RDKit molecules"
        if own_conformers
        else "ideal coordinates of the Chemical Component Dictionary, not those it was trained with"
    )
    depth = config.transformer
    size = f"{depth.n_blocks} blocks x {depth.n_heads} heads, token width {config.c_token}"
    return f"""# {metadata["source"]}, converted

- Source: {metadata["source"]}, SHA-256 {metadata["source_sha256"]} ({metadata["known_as"]})
- Sizes: {size}
- Weights stored as {metadata["dtype"]}; every tensor's name and shape was checked
- Reference conformers: {conformers}
"""


def derive_config(path: Path, weights: dict[str, np.ndarray], target_atoms: str) -> Config:
    """The sizes of a model from the shapes of its tensors."""

    def size(name: str, axis: int = 0) -> int:
        if name not in weights or weights[name].ndim <= axis:
            raise InputError(
                f"{path}: expected the weights of PXDesign-d, found no tensor {name} "
                f"({len(weights)} others)"
            )
        return int(weights[name].shape[axis])

    def depth(transformer: str) -> Depth:
        pattern = re.compile(re.escape(transformer) + r"\.blocks\.(\d+)\.")
        blocks = {int(m[1]) for name in weights if (m := pattern.match(name))}
        heads = f"{transformer}.blocks.0.attention_pair_bias.linear_nobias_z.weight"
        return Depth(len(blocks), size(heads))

    atoms = "atom_transformer.diffusion_transformer"
    return Config(
        c_s=size(f"{DENOISER}.layernorm_s.weight"),
        c_z=size(TEMPLATE, 1),
        c_s_inputs=size(f"{EMBEDDER}.input_map.weight"),
        c_atom=size(f"{ENCODER}.linear_no_bias_ref_pos.weight"),
        c_atompair=size(f"{ENCODER}.linear_no_bias_d.weight"),
        c_token_embedder=size(f"{ENCODER}.linear_no_bias_q.weight"),
        c_token=size(f"{DENOISER}.layernorm_a.weight"),
        c_noise=size(f"{DENOISER}.diffusion_conditioning.fourier_embedding.w"),
        transformer=depth(f"{DENOISER}.diffusion_transformer"),
        atom_encoder=depth(f"{DENOISER}.atom_attention_encoder.{atoms}"),
        atom_decoder=depth(f"{DENOISER}.atom_attention_decoder.{atoms}"),
        condition_embedder_atom_encoder=depth(f"{ENCODER}.{atoms}"),
        no_templ_bins=size(TEMPLATE) - 1,
        target_atoms=target_atoms,
    )


def _check(path: Path, weights: dict[str, np.ndarray], config: Config) -> None:
    expected: dict[str, tuple[int, ...]] = {}
    tree_map_with_path(
        lambda name, w: expected.update({name: tuple(w.shape)}), PXDesignD(config).parameters()
    )
    found = {name: w.shape for name, w in PXDesignD.sanitize(weights).items()}
    wrong = [f"missing: {name}" for name in expected if name not in found]
    wrong += [f"unknown: {name}" for name in found if name not in expected]
    wrong += [
        f"{name} has shape {list(shape)}, expected {list(expected[name])}"
        for name, shape in found.items()
        if name in expected and tuple(shape) != expected[name]
    ]
    wrong += [f"{name} is not finite" for name, w in weights.items() if not np.isfinite(w).all()]
    if wrong:
        more = f"; and {len(wrong) - MAX_LISTED} more" if len(wrong) > MAX_LISTED else ""
        raise InputError(
            f"{path}: not the weights of PXDesign-d: {'; '.join(wrong[:MAX_LISTED])}{more}"
        )
