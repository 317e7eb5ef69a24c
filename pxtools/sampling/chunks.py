"""Generate the missing samples of a run, chunk by chunk, each resumable in the middle."""

from __future__ import annotations

from pxtools import blas  # isort: skip  # before mlx
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import mlx.core as mx
import numpy as np

from pxtools.console import Progress, say, warn
from pxtools.interrupt import Interrupted, uninterrupted
from pxtools.network.features import randomly_placed
from pxtools.network.pxdesign import Condition, PXDesignD
from pxtools.runs.chunk import Chunk, pack_chunk
from pxtools.runs.files import write_atomically
from pxtools.runs.folder import RunDir
from pxtools.runs.inventory import done_samples, valid_chunks
from pxtools.runs.lock import Lock
from pxtools.sampling.guidance import guide_of
from pxtools.sampling.sampler import Guide, diffusion_step, draw, start_noise
from pxtools.sampling.schedule import Schedule
from pxtools.task.design import Design

assert blas
from pxtools.runs.state import _read_state, _save_state

SAVE_EVERY_STEPS = 50


@dataclass(frozen=True)
class Piece:
    """Consecutive samples to generate together; `number` of `total` chunks, from 1."""

    samples: list[int]
    number: int
    total: int


@dataclass(frozen=True)
class Job:
    """What the samples of a run are made from."""

    design: Design
    schedule: Schedule
    seed: int
    record: dict[str, Any]  # what run.json says of them


def plan(run: RunDir, done: set[int], n_sample: int, chunk_size: int) -> list[Piece]:
    """The chunks to make: those begun, as they were begun, and the gaps of a grid of chunks."""
    missing = set(range(n_sample)) - done
    begun: list[list[int]] = []
    for samples, state in run.files("state"):
        if missing.issuperset(samples):
            begun.append(samples)
            missing.difference_update(samples)
        elif done.intersection(samples):
            state.unlink(missing_ok=True)  # its samples are there: nothing to go on with
    cells = [range(a, min(a + chunk_size, n_sample)) for a in range(0, n_sample, chunk_size)]
    gaps = [run_ for cell in cells for run_ in consecutive([i for i in cell if i in missing])]
    complete = [list(cell) for cell in cells if done.issuperset(cell)]
    ordered = sorted([*begun, *gaps, *complete])
    return [
        Piece(samples, number + 1, len(ordered))
        for number, samples in enumerate(ordered)
        if not done.issuperset(samples)
    ]


def consecutive(numbers: list[int]) -> list[list[int]]:
    """[1, 2, 5, 6] -> [[1, 2], [5, 6]]"""
    groups = groupby(enumerate(numbers), key=lambda pair: pair[1] - pair[0])
    return [[number for _, number in group] for _, group in groups]


def generate(
    run: RunDir,
    job: Job,
    network: PXDesignD,
    pieces: list[Piece],
    progress: Progress,
    finished: Callable[[Path], None],
) -> tuple[int, set[int]]:
    """Generate the pieces that no other process has claimed.

    Returns how many samples failed, and the samples that others have claimed. `finished` gets
    the path of each chunk file as it is complete.
    """
    features = job.design.features
    ref_pos = randomly_placed(features.ref_pos, features.atom_to_token, job.seed)
    condition = network.condition(features, ref_pos)
    guide = guide_of(network.config, features.atoms, job.design.deposited)
    lock = Lock(run)
    failed, unclaimed = 0, set[int]()
    for piece in pieces:
        if not lock.claim(piece.samples):
            unclaimed.update(piece.samples)
            continue
        try:
            if is_still_missing(run, job.record, piece.samples):
                chunk, bad = _generate_piece(run, job, network, condition, guide, piece, progress)
                failed += len(bad)
                if chunk:
                    finished(chunk)
        finally:
            lock.release(piece.samples)
    return failed, unclaimed


def is_still_missing(run: RunDir, record: dict[str, Any], samples: list[int]) -> bool:
    """False if another process has made the chunk since it was planned."""
    if not any(set(samples).intersection(held) for held, _ in run.files("msgpack")):
        return True
    return bool(set(samples) - done_samples(run, valid_chunks(run, record)))


def _generate_piece(
    run: RunDir,
    job: Job,
    network: PXDesignD,
    condition: Condition,
    guide: Guide | None,
    piece: Piece,
    progress: Progress,
) -> tuple[Path | None, dict[int, int]]:
    """Returns the chunk's path and the samples that became non-finite, with their steps."""
    samples, n_step = piece.samples, job.schedule.N_step
    first, last = samples[0] + 1, samples[-1] + 1
    n_atoms = len(job.design.features.atoms)
    levels = job.schedule.levels()
    # steps done, coordinates, failures: one name, so that an interruption finds them in step
    at = _read_state(run.state(samples), samples, n_atoms, job) or (
        0,
        start_noise(job.seed, samples, n_atoms) * levels[0],
        mx.zeros(len(samples), mx.int32),
    )
    started, begun_at = time.monotonic(), at[0]
    bar = progress.chunk(piece.number, piece.total, first, last, n_step, at[0])

    def save() -> None:
        pace = (time.monotonic() - started) / max(1, at[0] - begun_at)
        _save_state(run, job, samples, at[0], at[1], at[2], pace)

    result = None
    try:
        for step in range(at[0], n_step):
            progress.step(step + 1, n_step, first, last)
            draws = draw(job.seed, samples, step, n_atoms)
            x = diffusion_step(
                lambda x, sigma: network.denoise(x, sigma, condition),
                at[1],
                step,
                job.schedule,
                levels,
                draws,
                guide,
            )
            broken = (at[2] == 0) & ~mx.isfinite(x).all(axis=(1, 2))
            bad = mx.where(broken, step + 1, at[2])
            mx.eval(x, bad)
            at = (step + 1, x, bad)
            bar.update()
            if at[0] % SAVE_EVERY_STEPS == 0 and at[0] < n_step:
                with uninterrupted():
                    save()
        with uninterrupted():
            result = _finish(run, job, samples, np.array(at[1]), np.array(at[2]))
    except Interrupted:
        with uninterrupted():
            if result is None and at[0] == n_step:
                _finish(run, job, samples, np.array(at[1]), np.array(at[2]))
            elif result is None and at[0]:
                save()
                say(f"Saved samples {first}-{last} at step {at[0]}/{n_step}")
        raise
    finally:
        bar.close()
    progress.chunk_done(piece.number, piece.total, first, last)
    return result


def _finish(
    run: RunDir, job: Job, samples: list[int], xyz: np.ndarray, bad: np.ndarray
) -> tuple[Path | None, dict[int, int]]:
    failures = {samples[i]: int(bad[i]) for i in np.flatnonzero(bad)}
    for sample, step in failures.items():
        warn(
            f"sample {sample}: its coordinates became NaN or infinite at step {step}; it is left "
            "out. The same command tries it again; the same numbers will come unless the model, "
            "schedule or machine changes"
        )
    path = None
    if len(failures) < len(samples):
        path = run.chunk(samples)
        whole = np.flatnonzero(bad == 0)
        design = job.design
        chunk = Chunk(
            job.record,
            [samples[i] for i in whole],
            xyz[whole],
            design.features.atoms,
            design.sequences,
            design.whole_target,
        )
        write_atomically(path, pack_chunk(chunk))
    run.state(samples).unlink(missing_ok=True)
    return path, failures
