"""Open a run's directory and see which samples it really holds."""

from __future__ import annotations

from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from pxtools import __version__
from pxtools.errors import DamagedError, InputError
from pxtools.runs.chunk import Chunk, read_chunk
from pxtools.runs.design_cif import read_cif
from pxtools.runs.files import cannot_write, set_aside, sweep
from pxtools.runs.folder import MAX_SAMPLES, RunDir
from pxtools.runs.record import RunJson, RunRecord


def open_run(run: RunDir, record: RunRecord, n_sample: int, blas: str) -> RunJson:
    """Create the directory, or check that it is of the same run; raise its N_sample.

    `blas` goes into a new run's versions; what run.json says now is returned.

    Raises InputError, touching nothing, if anything that changes the designs differs.
    """
    refuse_links(run)
    try:
        known = _known(run, record)
        for folder in (run.chunks, run.predictions):
            folder.mkdir(parents=True, exist_ok=True)
        if (run.chunks / ".lock").is_dir():
            set_aside(run.chunks / ".lock", "a folder in place of a file")
        if not run.run_json.exists():
            versions = _versions() | {"blas": blas}
            replace(known or RunJson(record, n_sample), versions=versions).write_first(run)
        known = raise_n_sample(run, record, n_sample)
        for folder in (run.path, run.chunks, run.predictions, run.pdbs, run.workers):
            sweep(folder)
        return known
    except OSError as error:
        raise cannot_write(run.path, error) from None


def _versions() -> dict[str, str]:
    """By the libraries' own word: importlib.metadata, which knows them too, takes long to load."""
    import gemmi
    import mlx.core as mx
    import numpy as np

    made_by = {"mlx": mx, "numpy": np, "gemmi": gemmi}
    return {"px-tools": __version__} | {name: m.__version__ for name, m in made_by.items()}


def raise_n_sample(run: RunDir, record: RunRecord, n_sample: int) -> RunJson:
    """Have run.json ask for `n_sample` samples at least; what it says now.

    Without a lock: where two processes raise it at once the lower number may stay, so each asks
    again at its end. Raises InputError if another process has begun a run of other input there.
    """
    try:
        known = RunJson.read(run)
    except DamagedError as error:
        raise InputError(f"{run.run_json}: {error}; try again") from None
    _refuse_other(run, known.record, record)
    if n_sample > known.n_sample:
        known = replace(known, n_sample=n_sample)
        known.write(run)
        if run.success.is_file():
            run.success.unlink(missing_ok=True)  # it spoke of fewer samples
    return known


def precision_begun(run: RunDir) -> str | None:
    """The precision of a run's products, by run.json or else a chunk; None for a new run."""
    with suppress(DamagedError):
        return RunJson.read(run).record.model.dtype
    for _, path in run.files("msgpack"):
        with suppress(DamagedError):
            return read_chunk(path).record.model.dtype
    return None


def _known(run: RunDir, record: RunRecord) -> RunJson | None:
    """What run.json says; what the chunks say where it is damaged or lost; None if new."""
    reason = ""
    if run.run_json.exists():
        try:
            known = RunJson.read(run)
            _refuse_other(run, known.record, record)
            return known
        except DamagedError as error:
            reason = str(error)
    chunks = []
    for _, path in run.files("msgpack"):
        with suppress(DamagedError):
            chunks.append(read_chunk(path))
    for chunk in chunks:
        _refuse_other(run, chunk.record, record)
    if not chunks and run.cif_samples():
        raise InputError(
            f"{run.path}: it holds designs but no readable run.json, and no chunk that says what "
            "they were made from; use another --dump_dir, or remove them"
        )
    if reason:
        set_aside(run.run_json, reason)
    if not chunks:
        return None
    last = max(sample for chunk in chunks for sample in chunk.samples)
    return RunJson(record, min(last + 1, MAX_SAMPLES))


def _refuse_other(run: RunDir, known: RunRecord, record: RunRecord) -> None:
    if different := known.differences(record):
        raise InputError(
            f"{run.path}: started with other input: {'; '.join(different)}; "
            "use another --dump_dir or the input it was started with"
        )


def refuse_links(run: RunDir) -> None:
    """Nothing of a run may be a link: writing through one could leave the results folder."""
    above = (run.path.parent, run.path.parent.parent)
    inside = (run.chunks, run.predictions, run.pdbs, run.sequences, run.workers)
    for path in (*above, run.path, *inside, run.run_json, run.success):
        if path.is_symlink():
            raise InputError(f"{path}: expected a plain file or folder, found a link")


@dataclass(frozen=True)
class Inventory:
    """What a run holds: whole chunk files, whole CIFs whose chunk is gone, and damaged files."""

    chunks: dict[Path, list[int]]
    lone_cifs: set[int]
    damaged: dict[Path, str]  # and what is wrong with each

    @property
    def done(self) -> set[int]:
        return self.lone_cifs.union(*self.chunks.values())

    def set_damaged_aside(self) -> Inventory:
        """Rename the damaged files, saying so; what is left is whole."""
        for path, reason in self.damaged.items():
            set_aside(path, reason)
        return replace(self, damaged={})


def inspect(run: RunDir, record: RunRecord, wanted: Collection[int] | None = None) -> Inventory:
    """Read every chunk of a run, and the CIFs of samples that no chunk holds.

    `wanted`: read only those with one of these samples.
    """
    chunks: dict[Path, list[int]] = {}
    damaged: dict[Path, str] = {}
    for named, path in run.files("msgpack"):
        if wanted is not None and not set(wanted).intersection(named):
            continue
        try:
            chunks[path] = own_chunk(path, record).samples
        except DamagedError as error:
            damaged[path] = str(error)
    cifs = run.cif_samples().difference(*chunks.values())
    if wanted is not None:
        cifs.intersection_update(wanted)
    cut = damaged_cifs(run, cifs)
    return Inventory(chunks, cifs - set(cut), damaged | {run.cif(i): cut[i] for i in cut})


def own_chunk(path: Path, record: RunRecord) -> Chunk:
    """A chunk of this run. Raises DamagedError for another, InputError for a newer version."""
    chunk = read_chunk(path)
    if different := chunk.record.differences(record):
        raise DamagedError(f"it belongs to another run: {'; '.join(different)}")
    return chunk


def damaged_cifs(run: RunDir, samples: set[int]) -> dict[int, str]:
    """The samples of these whose CIF is not as px-write-cif wrote it, and why."""
    damaged = {}
    for sample in sorted(samples):
        try:
            read_cif(run.cif(sample))
        except DamagedError as error:
            damaged[sample] = str(error)
    return damaged
