"""One chunk of a run, from noise to its file; resumable in the middle."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import mlx.core as mx
import numpy as np

from pxtools.console import Progress, say, warn
from pxtools.errors import DamagedError
from pxtools.interrupt import Interrupted, stop_if_told, uninterrupted
from pxtools.network import ops
from pxtools.runs.chunk import Chunk, pack_chunk
from pxtools.runs.files import set_aside, write_atomically
from pxtools.runs.folder import RunDir
from pxtools.runs.record import RunRecord
from pxtools.runs.state import ChunkState
from pxtools.sampling.plan import Piece
from pxtools.sampling.sampler import Guide, diffusion_step, draw, start_noise
from pxtools.task.design import Design

SAVE_EVERY_STEPS = 50
Finished = Callable[[Path], None]  # is given each chunk file


@dataclass(frozen=True)
class Job:
    """What the samples of a run are made from."""

    run: RunDir
    record: RunRecord
    design: Design
    denoise: Callable[[mx.array, float], mx.array]  # noisy coordinates (S, A, 3) and level in Å
    guide: Guide | None


@dataclass(frozen=True)
class Made:
    """The chunk file of a piece, None if no sample is finite; and how many are not."""

    path: Path | None
    failed: int


class Point(NamedTuple):
    """Samples after `step` steps: coordinates (S, A, 3) in Å.

    `failed_at` (S,) is the step at which a sample became NaN or infinite, 0 where it did not.
    """

    step: int
    x: mx.array
    failed_at: mx.array


def make_chunk(job: Job, piece: Piece, progress: Progress, finished: Finished) -> Made:
    """Diffuse the samples of a piece, from the noise or from a saved state, and write them.

    An interruption saves the state first, or the chunk if its last step is done. A chunk that is
    written is `finished` too: px-write-cif would not hear of it otherwise.
    """
    diffusion = Diffusion(job, piece.samples)
    n_step = job.record.schedule.N_step

    def finish() -> Made:
        made = diffusion.finish()
        progress.chunk_done(piece.samples, piece.number, piece.total)
        if made.path:
            finished(made.path)
        return made

    with progress.chunk(piece.samples, piece.number, piece.total, n_step, diffusion.at.step) as bar:
        try:
            for step in range(diffusion.at.step, n_step):
                progress.step(step + 1, n_step, piece.samples)
                diffusion.advance()
                stop_if_told()
                bar.update()
                if (step + 1) % SAVE_EVERY_STEPS == 0 and step + 1 < n_step:
                    with uninterrupted():
                        diffusion.save()
            with uninterrupted():
                return finish()
        except Interrupted:
            with uninterrupted():
                if diffusion.at.step < n_step:
                    diffusion.leave()
                elif not diffusion.is_finished:
                    finish()
            raise


class Diffusion:
    """The diffusion of a chunk's samples; `at` is replaced as a whole, so it is always in step."""

    def __init__(self, job: Job, samples: list[int]):
        self.job, self.samples = job, samples
        self.schedule = job.record.schedule
        self.levels = self.schedule.levels()
        self.n_atoms = len(job.design.features.atoms)
        self.state = job.run.state(samples)
        self.at = self._resumed() or Point(
            0,
            start_noise(job.record.seed, samples, self.n_atoms) * self.levels[0],
            mx.zeros(len(samples), mx.int32),
        )
        self.began_at, self.began = self.at.step, time.monotonic()
        self.is_finished = False

    def advance(self) -> None:
        """One step of all samples."""
        step, x, failed_at = self.at
        x = diffusion_step(
            self.job.denoise,
            x,
            step,
            self.schedule,
            self.levels,
            draw(self.job.record.seed, self.samples, step, self.n_atoms),
            self.job.guide,
        )
        fails_now = (failed_at == 0) & ~mx.isfinite(x).all(axis=(1, 2))
        failed_at = mx.where(fails_now, step + 1, failed_at)
        mx.eval(x, failed_at)
        self.at = Point(step + 1, x, failed_at)

    def save(self) -> None:
        pace = (time.monotonic() - self.began) / max(1, self.at.step - self.began_at)
        ChunkState(
            record=self.job.record,
            samples=self.samples,
            step=self.at.step,
            xyz=np.array(self.at.x),
            failed_at=np.array(self.at.failed_at),
            seconds_per_step=pace,
        ).save(self.state)

    def leave(self) -> None:
        """Save what an interruption has left unsaved."""
        if not self.at.step:
            return
        self.save()
        first, last = self.samples[0] + 1, self.samples[-1] + 1
        say(f"Saved samples {first}-{last} at step {self.at.step}/{self.schedule.N_step}")

    def finish(self) -> Made:
        """Write the chunk of the samples that are finite; name the others."""
        failed_at = np.array(self.at.failed_at)
        for i in np.flatnonzero(failed_at):
            warn(
                f"sample {self.samples[i]}: its coordinates became NaN or infinite at step "
                f"{failed_at[i]}; it is left out. Run the same command to try it again; "
                "unless the model, schedule or machine changes, the result will be the same"
            )
        whole = np.flatnonzero(failed_at == 0)
        path = None
        if len(whole):
            chunk = self._chunk(whole)
            path = self.job.run.chunk(chunk.samples)
            write_atomically(path, pack_chunk(chunk))
        self.state.unlink(missing_ok=True)
        self.is_finished = True
        return Made(path, len(failed_at) - len(whole))

    def _chunk(self, whole: np.ndarray) -> Chunk:
        design = self.job.design
        return Chunk(
            record=self.job.record,
            samples=[self.samples[i] for i in whole],
            xyz=np.array(self.at.x)[whole],
            atoms=design.features.atoms,
            sequences=design.sequences,
            target=design.whole_target,
            computed_by=f"{ops.device_name()}: {ops.arithmetic(self.job.record.model.dtype)}",
        )

    def _resumed(self) -> Point | None:
        """Where a saved state left off; None to begin with the noise."""
        if not self.state.exists():
            return None
        try:
            state = ChunkState.read(self.state)
            if state.record.differences(self.job.record) or state.samples != self.samples:
                raise DamagedError("it belongs to another run")
            if state.xyz.shape != (len(self.samples), self.n_atoms, 3):
                raise DamagedError("its coordinates are not those of these samples")
        except DamagedError as error:
            set_aside(self.state, str(error))
            return None
        return Point(state.step, mx.array(state.xyz), mx.array(state.failed_at))
