"""State files: a chunk in the middle of its diffusion."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pxtools.errors import DamagedError, InputError, shown
from pxtools.runs.files import read_bytes, write_atomically
from pxtools.runs.record import RunRecord
from pxtools.runs.seal import VERSION, pack_array, seal, unpack_array, unseal

STATE_FORMAT = "px-tools state"


@dataclass(frozen=True)
class ChunkState:
    """Samples of a run after `step` steps: coordinates (S, A, 3) in Å.

    `failed_at` (S,) is the step at which a sample became NaN or infinite, 0 where it did not.
    """

    record: RunRecord
    samples: list[int]
    step: int
    xyz: np.ndarray
    failed_at: np.ndarray
    seconds_per_step: float

    def save(self, path: Path) -> None:
        fields = {
            "format": STATE_FORMAT,
            "version": VERSION,
            "step": self.step,  # early in the file, for StateHead
            "seconds_per_step": self.seconds_per_step,
            "run": self.record.to_dict(),
            "samples": self.samples,
            "coordinates": pack_array(self.xyz),
            "bad": self.failed_at.tolist(),
        }
        write_atomically(path, seal(fields))

    @classmethod
    def read(cls, path: Path) -> ChunkState:
        """Raises DamagedError, or InputError for a file of a newer version."""
        data = read_bytes(path)
        try:
            fields = unseal(data, STATE_FORMAT)
            state = cls(
                RunRecord.from_dict(fields["run"]),
                list(fields["samples"]),
                fields["step"],
                unpack_array(fields["coordinates"]),
                np.array([int(b) for b in fields["bad"]], np.int32),
                float(fields["seconds_per_step"]),
            )
        except InputError as error:
            raise InputError(f"{path}: {error}") from None
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
            raise DamagedError(f"a field is not what it should be: {shown(repr(error))}") from None
        state.check()
        return state

    def check(self) -> None:
        """Raises DamagedError where its parts cannot belong together."""
        n_step = self.record.schedule.N_step
        if type(self.step) is not int or not 0 < self.step < n_step:
            raise DamagedError(f"step {shown(self.step)} of {n_step}")
        if self.xyz.ndim != 3 or not len(self.samples) == len(self.xyz) == len(self.failed_at):
            raise DamagedError("its coordinates are not those of its samples")
