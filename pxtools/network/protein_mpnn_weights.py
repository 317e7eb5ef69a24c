"""ProteinMPNN's weights: the two that are embedded, or a .safetensors file."""

import hashlib
import json
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pxtools.errors import InputError, shown
from pxtools.network.protein_mpnn import N_NEIGHBOURS, ProteinMPNN, parameters
from pxtools.network.weights import weights_file, weights_folder
from pxtools.shipped import DATA

EMBEDDED = {"vanilla": "proteinmpnn_v_48_020", "soluble": "solublempnn_v_48_020"}
DTYPES = {"F16": "<f2", "F32": "<f4"}
MODEL_TYPE = "protein_mpnn"
MAX_BYTES = 100_000_000


@dataclass(frozen=True)
class MPNNFile:
    """Weights as they lie on disk; `digest` is the SHA-256 of the file."""

    name: str
    digest: str
    tensors: dict[str, np.ndarray]

    def network(self) -> ProteinMPNN:
        """The network on the device that is chosen now."""
        return ProteinMPNN(self.tensors)


def read_weights(weights: str) -> MPNNFile:
    """What `--weights` names: vanilla, soluble, a .safetensors file or a name in weights_folder().

    Raises InputError.
    """
    name, path = _find(weights)
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
        metadata, tensors = _parse(data)
        check(tensors)
    except struct.error:
        raise InputError(f"{path}: not a .safetensors file") from None
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise InputError(f"{path}: not the weights of ProteinMPNN: {shown(str(error))}") from None
    if (edges := metadata.get("num_edges")) != str(N_NEIGHBOURS):
        raise InputError.of(path, "num_edges", f"{N_NEIGHBOURS} neighbours", edges or "nothing")
    return MPNNFile(name, hashlib.sha256(data).hexdigest(), tensors)


def _find(weights: str) -> tuple[str, Path]:
    if weights in EMBEDDED:
        return weights, DATA / f"{EMBEDDED[weights]}.safetensors"
    for place in (Path(weights), weights_folder() / weights):
        if place.suffix == ".pt" and place.is_file():
            raise InputError(
                f"--weights: {place} is a PyTorch file: px-convert-checkpoint reads it"
            )
        if path := weights_file(place):
            return path.stem, path
    known = f"{', '.join(EMBEDDED)}, a .safetensors file or its name in {weights_folder()}"
    raise InputError.of_option("--weights", known, weights)


def _parse(data: bytes) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Metadata and tensors in the text of a .safetensors file."""
    if len(data) > MAX_BYTES:
        raise ValueError(f"larger than {MAX_BYTES:,} bytes")
    (length,) = struct.unpack("<Q", data[:8])
    body = memoryview(data)[8 + length :]
    header = dict(json.loads(data[8 : 8 + length]))
    metadata = dict(header.pop("__metadata__", {}))
    tensors = {}
    for name, held in header.items():
        start, end = held["data_offsets"]
        flat = np.frombuffer(body[start:end], DTYPES[held["dtype"]])
        tensors[name] = flat.reshape(held["shape"])
    return metadata, tensors


def check(tensors: dict[str, np.ndarray]) -> None:
    """Raises ValueError, naming the tensor, unless these are weights of ProteinMPNN."""
    shapes = parameters()
    for name in shapes:
        if name not in tensors:
            raise ValueError(f"it has no tensor {name} ({len(tensors)} others)")
    for name, tensor in tensors.items():
        if name not in shapes:
            raise ValueError(f"{name} is none of its tensors")
        if tensor.shape != shapes[name]:
            raise ValueError(f"{name} has shape {list(tensor.shape)}, not {list(shapes[name])}")
        if not np.isfinite(tensor).all():
            raise ValueError(f"{name} holds NaN or infinity")
