"""Coordinates small enough for a page: whole hundredths of an Å, differences, byte planes, zlib."""

import base64
import zlib

import numpy as np

SCALE = 100  # whole steps an Å
LIMIT = 1e6  # Å


def pack(xyz: np.ndarray) -> str:
    """Points (n, 3) in Å as text, to a hundredth; each is stored as its step from the one before.

    Steps are 32-bit numbers with the sign in the lowest bit, so that those of a chain fill the
    lowest two of the four byte planes only. Raises ValueError for NaN or points beyond 10^6 Å.
    """
    if not (np.isfinite(xyz).all() and np.abs(xyz).max(initial=0) <= LIMIT):
        raise ValueError("coordinates that are not finite, or beyond a million Å")
    whole = np.rint(xyz.reshape(-1, 3).astype(np.float64) * SCALE).astype(np.int32)
    steps = np.diff(whole, axis=0, prepend=np.zeros((1, 3), np.int32)).T.ravel()
    folded = (steps << 1 ^ steps >> 31).astype("<u4")
    planes = folded.view(np.uint8).reshape(-1, 4).T.tobytes()
    return base64.b64encode(zlib.compress(planes, 9)).decode()


def unpack(text: str) -> np.ndarray:
    """The points (n, 3) in Å of what `pack` made."""
    planes = np.frombuffer(zlib.decompress(base64.b64decode(text)), np.uint8)
    folded = np.ascontiguousarray(planes.reshape(4, -1).T).view("<u4").ravel()
    steps = (folded >> 1).astype(np.int32) ^ -(folded & 1).astype(np.int32)
    return steps.reshape(3, -1).cumsum(1).T / SCALE
