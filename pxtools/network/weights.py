"""Find and load a model: a .safetensors file that carries its configuration, or its folder."""

from __future__ import annotations

import hashlib
import json
import math
import os
import struct
import threading
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from pxtools.errors import InputError, is_out_of_memory, shown
from pxtools.interrupt import in_background
from pxtools.machine import refuse_without_room
from pxtools.network.config import Config, Configuration, Help
from pxtools.network.conformers import Conformers, from_json
from pxtools.shipped import DATA

if TYPE_CHECKING:
    from pxtools.network.pxdesign import PXDesignD

THREADS_OF_LOAD = 8
MB_OF_THREAD, MB_OF_MLX = 9, 32  # address space; MLX hangs where it gets less
MAX_HEADER_BYTES = 100_000_000
EMBEDDED = "nano"
RELEASED = "pxdesign_v0.1.0"
# model_type -> the module whose `Model` it is, made from its sizes
ARCHITECTURES = {"pxdesign": "pxtools.network.pxdesign"}


@dataclass(frozen=True)
class ModelFile:
    """A model on disk; `digest` is the SHA-256 of its file."""

    name: str
    path: Path
    digest: str
    n_parameters: int
    model_type: str
    config: Config
    help: Help
    conformers: Conformers | None  # None: the CCD's ideal ones

    @property
    def is_demonstration(self) -> bool:
        return self.path.resolve() == (DATA / f"{EMBEDDED}.safetensors").resolve()

    def memory(self, n_tokens: int) -> float:
        """GB that sampling takes on a CPU: weights, libraries, pair tensors (docs/performance.md).

        Samples hardly count: a chunk's go through the network one a core.
        """
        depth = self.config.transformer
        per_pair = 4 * (4 * self.config.c_z + depth.n_blocks * depth.n_heads)
        return 0.27 + 4 * self.n_parameters / 1e9 + per_pair * n_tokens**2 / 1e9


def weights_folder() -> Path:
    """Where converted models are looked for: $PXTOOLS_WEIGHTS or ~/.cache/pxtools."""
    if given := os.environ.get("PXTOOLS_WEIGHTS"):
        return Path(given)
    try:
        return Path.home() / ".cache" / "pxtools"
    except RuntimeError:  # a user without a home
        return Path("/nonexistent")


def find_model(model: str | None) -> tuple[str, Path]:
    """Name and weights file of `--model`: None, a name, a folder or a .safetensors file."""
    embedded = DATA / f"{EMBEDDED}.safetensors"
    if model is None:
        released = weights_file(weights_folder() / RELEASED)
        return (RELEASED, released) if released else (EMBEDDED, embedded)
    if model == EMBEDDED:
        return EMBEDDED, embedded
    for place in (Path(model), weights_folder() / model):
        if file := weights_file(place):
            return place.stem if place.suffix == ".safetensors" else place.name, file
    raise InputError.of(
        "--model",
        "model",
        f"{EMBEDDED}, a model in {weights_folder()}, a folder or a .safetensors file",
        model,
    )


def weights_file(place: Path) -> Path | None:
    """The .safetensors file that `place` names: itself, with the suffix, or in the folder."""
    candidates = [place, Path(f"{place}.safetensors"), place / "model.safetensors"]
    if place.is_dir():
        candidates += sorted(place.glob("*.safetensors"))[:1]
    return next((c for c in candidates if c.is_file() and c.suffix == ".safetensors"), None)


def read_model(model: str | None) -> ModelFile:
    """The model that `--model` names, its configuration read but not its weights."""
    name, path = find_model(model)
    try:
        with path.open("rb") as file:
            header = _header(file)
            file.seek(0)
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        metadata = _table(header.pop("__metadata__", None) or {}, "metadata")  # MLX's may be null
        count = sum(math.prod(_table(tensor, "tensor")["shape"]) for tensor in header.values())
    except KeyError as error:
        raise InputError(f"{path}: not a .safetensors file: a tensor has no {error}") from None
    except (OSError, ValueError, TypeError, RecursionError, struct.error) as error:
        raise InputError(f"{path}: not a readable .safetensors file: {shown(str(error))}") from None
    try:
        own = from_json(metadata["conformers"]) if "conformers" in metadata else None
    except (ValueError, TypeError, KeyError) as error:
        raise InputError(f"{path}: conformers: {shown(str(error))}") from None
    configuration = _configuration(path, metadata)
    return ModelFile(
        name=name,
        path=path,
        digest=digest,
        n_parameters=count,
        model_type=configuration.model_type,
        config=configuration.sizes,
        help=configuration.help,
        conformers=own,
    )


def _header(file: BinaryIO) -> dict[str, Any]:
    (length,) = struct.unpack("<Q", file.read(8))
    if length > MAX_HEADER_BYTES:
        raise ValueError(f"a header of {length} bytes")
    return _table(json.loads(file.read(length)), "header")


def _table(value: Any, name: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ValueError(f"{name}: expected names and values, found {shown(str(value))}")
    return value


def load_network(model: ModelFile, dtype: str = "float32") -> PXDesignD:
    """The model's network, its products in `dtype`, all else in float32.

    Raises InputError where weights and sizes do not agree.
    """
    import mlx.core as mx
    import numpy as np

    network = import_module(ARCHITECTURES[model.model_type]).Model(model.config)
    needed = THREADS_OF_LOAD * MB_OF_THREAD + MB_OF_MLX + (8 * model.n_parameters >> 20)
    refuse_without_room(needed, f"model {model.name} and MLX", "raise it")
    _try_threads()
    try:
        loaded = mx.load(str(model.path))
        weights = {k: w.astype(mx.float32) for k, w in network.sanitize(loaded).items()}
        network.load_weights(list(weights.items()))
        mx.eval(network.parameters())
    except (RuntimeError, ValueError) as error:
        if is_out_of_memory(error):
            raise
        reason = shown(" ".join(str(error).split()), 300)
        raise InputError(
            f"{model.path}: its weights and configuration do not agree: {reason}"
        ) from None
    for key, weight in weights.items():  # mx.isfinite takes 6 times as long on a CPU
        if not np.isfinite(np.asarray(weight)).all():
            raise InputError(f"{model.path}: {key}: expected finite weights, found NaN or infinity")
    if dtype != "float32":
        network.reduce_precision(getattr(mx, dtype))
    return cast("PXDesignD", network)


def _try_threads() -> None:
    """Start as many threads as mx.load does, which hangs or aborts where it gets only some.

    Raises RuntimeError.
    """
    over = threading.Event()
    try:
        for _ in range(THREADS_OF_LOAD):
            in_background(over.wait)
    finally:
        over.set()


def _configuration(path: Path, metadata: dict[str, str]) -> Configuration:
    """From the file's own metadata, else from config.json beside it."""
    source, text = path, metadata.get("config")
    if text is None:
        source = path.parent / "config.json"
        if not source.is_file():
            raise InputError.of(path, "configuration", f"a config.json at {source}", "none")
    try:
        text = source.read_text("utf-8") if text is None else text
        configuration = Configuration.from_dict(json.loads(text))
    except (OSError, ValueError, TypeError, AttributeError, RecursionError) as error:
        raise InputError(f"{source}: not a model's configuration: {shown(str(error))}") from None
    if configuration.model_type not in ARCHITECTURES:
        raise InputError.of(
            source, "model_type", ", ".join(ARCHITECTURES), configuration.model_type
        )
    return configuration
