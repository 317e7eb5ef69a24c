"""From a published ProteinMPNN file's tensors to the .safetensors file of px-sequence --weights."""

import hashlib
import json
import struct
from pathlib import Path

import numpy as np

from pxtools.errors import InputError
from pxtools.network.protein_mpnn import N_NEIGHBOURS
from pxtools.network.protein_mpnn_weights import MODEL_TYPE, check
from pxtools.runs.files import write_atomically

LETTERS = "W_s.weight"  # by which its files are told from PXDesign's
KNOWN_DIGESTS = {
    "c9cb4a671d79604111231f8dbfc7c590e06f1197453b7a6854ac6661a642f5bd": "vanilla v_48_020",
    "7af52d090172c230c7f0e9d21e02203f6b3a38b16db58d3c7a3960e0a9a6e31a": "soluble v_48_020",
}
DTYPES = {"float32": ("F32", "<f4"), "float16": ("F16", "<f2")}


def convert(path: Path, weights: dict[str, np.ndarray], out: Path, dtype: str) -> str:
    """Write `out`; returns the digest of the file that the weights were read from.

    Raises InputError, writing nothing, unless these are all of ProteinMPNN's weights.
    """
    if dtype not in DTYPES:
        raise InputError.of_option("--dtype", f"{' or '.join(DTYPES)} for ProteinMPNN", dtype)
    try:
        check(weights)
    except ValueError as error:
        raise InputError(f"{path}: not the weights of ProteinMPNN: {error}") from None
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    metadata = {
        "model_type": MODEL_TYPE,
        "num_edges": str(N_NEIGHBOURS),
        "source": path.name,
        "source_sha256": digest,
    }
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{out}: cannot write: {error.strerror}") from None
    write_atomically(out, as_safetensors(weights, metadata, dtype))
    return digest


def as_safetensors(tensors: dict[str, np.ndarray], metadata: dict[str, str], dtype: str) -> bytes:
    """The text of a .safetensors file, tensors by name."""
    name_of_dtype, numpy_dtype = DTYPES[dtype]
    header: dict[str, object] = {"__metadata__": metadata}
    blobs, at = [], 0
    for name in sorted(tensors):
        with np.errstate(over="ignore"):
            tensor = tensors[name].astype(numpy_dtype)
        if not np.isfinite(tensor).all():
            raise InputError(f"{name}: too large for {dtype}: take float32")
        blob = tensor.tobytes()
        shape = list(tensors[name].shape)
        header[name] = {
            "dtype": name_of_dtype,
            "shape": shape,
            "data_offsets": [at, at + len(blob)],
        }
        at += len(blob)
        blobs.append(blob)
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + b"".join(blobs)
