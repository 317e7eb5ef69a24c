"""msgpack maps that end with the digest of all before it."""

import hashlib
from typing import Any

import msgpack
import numpy as np

from pxtools.errors import DamagedError, InputError, shown

VERSION = 1
DIGEST_BYTES = 32


def seal(fields: dict[str, Any]) -> bytes:
    """Pack a map and append its digest."""
    packed = msgpack.packb({**fields, "digest": b"\0" * DIGEST_BYTES})
    body = packed[:-DIGEST_BYTES]
    return body + hashlib.sha256(body).digest()


def unseal(data: bytes, expected_format: str) -> dict[str, Any]:
    """Check and unpack what `seal` packed. Raises DamagedError, or InputError if it is newer."""
    body, digest = data[:-DIGEST_BYTES], data[-DIGEST_BYTES:]
    if hashlib.sha256(body).digest() != digest:
        raise DamagedError("its content does not match its digest")
    try:
        fields = msgpack.unpackb(data)
    except (ValueError, msgpack.UnpackException, RecursionError) as error:
        raise DamagedError(f"not a msgpack map: {shown(str(error))}") from None
    if not isinstance(fields, dict) or fields.get("format") != expected_format:
        raise DamagedError(f"not a {expected_format} file")
    if fields.get("version") != VERSION:
        raise InputError(
            f"it is a {expected_format} of version {shown(fields.get('version'))}, "
            f"expected version {VERSION}: use a newer px-tools"
        )
    return fields


def pack_array(array: np.ndarray) -> dict[str, Any]:
    """float32 coordinates as a map; little-endian on every machine."""
    return {"dtype": "<f4", "shape": list(array.shape), "data": array.astype("<f4").tobytes()}


def unpack_array(packed: Any) -> np.ndarray:
    try:
        shape = [int(n) for n in packed["shape"]]
        array = np.frombuffer(packed["data"], "<f4").reshape(shape)
    except (TypeError, KeyError, ValueError, OverflowError) as error:
        raise DamagedError(f"not an array: {shown(str(error))}") from None
    return array.astype(np.float32)
