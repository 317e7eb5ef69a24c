"""What the first bytes of a state file tell."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

HEAD_BYTES = 4096


@dataclass(frozen=True)
class StateHead:
    """What can be known of a state without reading its coordinates."""

    step: int
    seconds_per_step: float

    @classmethod
    def read(cls, path: Path) -> StateHead | None:
        """From the file's first bytes; None if they do not tell."""
        import msgpack  # not where all runs are complete

        found = {}
        try:
            with path.open("rb") as file:
                unpacker = msgpack.Unpacker()
                unpacker.feed(file.read(HEAD_BYTES))
            for _ in range(unpacker.read_map_header()):
                key = unpacker.unpack()
                found[key] = unpacker.unpack()
                if {"step", "seconds_per_step"} <= found.keys():
                    return cls(int(found["step"]), float(found["seconds_per_step"]))
        except (OSError, ValueError, TypeError, msgpack.UnpackException):
            pass
        return None
