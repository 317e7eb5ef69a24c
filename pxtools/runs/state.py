"""State files: a chunk in the middle of its diffusion."""

from __future__ import annotations

from pxtools import blas  # isort: skip  # before mlx
from pathlib import Path
from typing import TYPE_CHECKING

import mlx.core as mx
import numpy as np

assert blas
from pxtools.errors import DamagedError, InputError
from pxtools.runs.files import set_aside, write_atomically
from pxtools.runs.folder import RunDir
from pxtools.runs.record import differences
from pxtools.runs.seal import STATE_FORMAT, VERSION, pack_array, seal, unpack_array, unseal

if TYPE_CHECKING:
    from pxtools.sampling.chunks import Job


def _save_state(
    run: RunDir,
    job: Job,
    samples: list[int],
    step: int,
    x: mx.array,
    bad: mx.array,
    seconds_per_step: float,
) -> None:
    fields = {
        "format": STATE_FORMAT,
        "version": VERSION,
        "step": step,  # early in the file, for px-status
        "seconds_per_step": seconds_per_step,
        "run": job.record,
        "samples": samples,
        "coordinates": pack_array(np.array(x)),
        "bad": np.array(bad).tolist(),
    }
    write_atomically(run.state(samples), seal(fields))


def _read_state(
    path: Path, samples: list[int], n_atoms: int, job: Job
) -> tuple[int, mx.array, mx.array] | None:
    """Steps done, coordinates and failures of a chunk begun earlier; None to begin anew."""
    if not path.exists():
        return None
    try:
        fields = unseal(path.read_bytes(), STATE_FORMAT)
        x = unpack_array(fields["coordinates"])
        step, bad = fields["step"], fields["bad"]
        if differences(fields["run"], job.record, all_of=True) or fields["samples"] != samples:
            raise DamagedError("it belongs to another run")
        if x.shape != (len(samples), n_atoms, 3) or type(step) is not int:
            raise DamagedError("its coordinates are not those of these samples")
        if not 0 < step < job.schedule.N_step or len(bad) != len(samples):
            raise DamagedError("its step cannot be")
        return step, mx.array(x), mx.array([int(b) for b in bad], dtype=mx.int32)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    except (OSError, KeyError, TypeError, ValueError, AttributeError, DamagedError) as error:
        set_aside(path, str(error) or type(error).__name__)
        return None
