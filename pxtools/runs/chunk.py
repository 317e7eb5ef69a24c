"""Chunk files: the samples of one chunk with everything needed to write their structures.

A chunk is one msgpack map whose last entry, `digest`, is the SHA-256 of all bytes before its own
32: a file can be checked without being parsed. docs/files.md lists the fields.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pxtools.errors import DamagedError, InputError, shown
from pxtools.runs.files import read_bytes
from pxtools.runs.record import RunRecord
from pxtools.runs.seal import VERSION, pack_array, seal, unpack_array, unseal
from pxtools.structure.atoms import Atoms

CHUNK_FORMAT = "px-tools chunk"
MAX_COORDINATE = 1e6  # Å


@dataclass(frozen=True)
class Chunk:
    """Finished samples of a run, their indices and coordinates (samples, atoms, 3) in Å."""

    record: RunRecord
    samples: list[int]
    xyz: np.ndarray
    atoms: Atoms
    sequences: list[list[str]]  # of the target chains, in full
    target: Atoms | None  # the whole deposited target, for models that see its backbone only
    computed_by: str = "unknown"  # the device, and what did the products: for people


def pack_chunk(chunk: Chunk) -> bytes:
    return seal(
        {
            "format": CHUNK_FORMAT,
            "version": VERSION,
            "run": chunk.record.to_dict(),
            "samples": chunk.samples,
            "atoms": _pack_atoms(chunk.atoms),
            "sequences": chunk.sequences,
            "target": _pack_atoms(chunk.target) if chunk.target else None,
            "coordinates": pack_array(chunk.xyz),
            "computed_by": chunk.computed_by,
        }
    )


def read_chunk(path: Path) -> Chunk:
    """Read and check a chunk file. Raises DamagedError, or InputError for a newer version."""
    data = read_bytes(path)
    try:
        return unpack_chunk(data)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None


def unpack_chunk(data: bytes) -> Chunk:
    fields = unseal(data, CHUNK_FORMAT)
    try:
        atoms = _unpack_atoms(fields["atoms"])
        target = _unpack_atoms(fields["target"]) if fields["target"] else None
        samples = [_number(i) for i in fields["samples"]]
        sequences = [[_word(name) for name in chain] for chain in fields["sequences"]]
        record = RunRecord.from_dict(fields["run"])
        xyz = unpack_array(fields["coordinates"])
        computed_by = shown(fields.get("computed_by") or "unknown")
    except (TypeError, KeyError, ValueError, AttributeError) as error:
        raise DamagedError(f"a field is missing or not what it should be: {error!r}") from None
    if xyz.shape != (len(samples), len(atoms), 3):
        raise DamagedError(f"{len(samples)} samples of {len(atoms)} atoms, array {xyz.shape}")
    if not (np.isfinite(xyz).all() and np.abs(xyz).max(initial=0) < MAX_COORDINATE):
        raise DamagedError("its coordinates are not all finite")
    n_chains = len(dict.fromkeys(atoms.chain.tolist()))
    if len(sequences) != n_chains - 1:
        raise DamagedError(f"{len(sequences)} sequences for {n_chains} chains")
    if len(set(samples)) < len(samples) or min(samples, default=0) < 0:
        raise DamagedError("its sample indices are not distinct numbers")
    return Chunk(record, samples, xyz, atoms, sequences, target, computed_by)


def _pack_atoms(atoms: Atoms) -> dict[str, Any]:
    columns = {k: v.tolist() for k, v in vars(atoms).items() if k != "xyz"}
    return {**columns, "xyz": pack_array(atoms.xyz)}


def _unpack_atoms(packed: dict[str, Any]) -> Atoms:
    columns: dict[str, np.ndarray] = {}
    for name in Atoms.__annotations__:
        if name == "xyz":
            columns[name] = unpack_array(packed[name])
        elif name in ("number", "label_seq"):
            columns[name] = np.array([_number(value) for value in packed[name]], np.int64)
        else:
            columns[name] = np.array([_word(value) for value in packed[name]], np.str_)
    if len({len(column) for column in columns.values()}) != 1 or not len(columns["name"]):
        raise DamagedError("the columns of its atom table differ in length")
    return Atoms(**columns)


def _number(value: Any) -> int:
    if type(value) is not int or abs(value) > 10**9:
        raise DamagedError(f"expected a whole number, found {shown(value)}")
    return value


def _word(value: Any) -> str:
    """Names of atoms, residues and chains go into file text: letters, digits and ' only."""
    if not isinstance(value, str) or not re.fullmatch(r"[A-Za-z0-9']{0,8}", value):
        raise DamagedError(f"expected a name, found {shown(value)}")
    return value
