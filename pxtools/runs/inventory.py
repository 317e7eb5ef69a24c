"""Open a run's directory and see which samples it really holds; damaged files are set aside."""

import time
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any

from pxtools.errors import DamagedError, InputError
from pxtools.runs.chunk import Chunk, read_chunk
from pxtools.runs.design_cif import read_cif
from pxtools.runs.files import STALE_SECONDS, set_aside, write_atomically
from pxtools.runs.folder import MAX_SAMPLES, RunDir
from pxtools.runs.lock import Lock
from pxtools.runs.record import differences, read_run, seal_record


def open_run(run: RunDir, identity: dict[str, Any], n_sample: int) -> None:
    """Create the directory, or check that it is of the same run; raise its N_sample.

    Raises InputError, touching nothing, if anything that changes the designs differs.
    """
    refuse_links(run)
    try:
        known = _known(run, identity)
        if known:
            _refuse_other(run, known, identity)
        for folder in (run.chunks, run.predictions):
            folder.mkdir(parents=True, exist_ok=True)
        if (run.chunks / ".lock").is_dir():
            set_aside(run.chunks / ".lock", "a folder in place of a file")
        with Lock(run).run_json():
            # another process may have been here since
            known = read_run(run) if run.run_json.exists() else known
            if known:
                _refuse_other(run, known, identity)
            if known is None or n_sample > known["N_sample"] or not run.run_json.exists():
                _write_record(run, identity, known, n_sample)
        _sweep(run)
    except OSError as error:
        raise InputError(f"{run.path}: cannot write there: {error.strerror}") from None


def _write_record(
    run: RunDir, identity: dict[str, Any], known: dict[str, Any] | None, n_sample: int
) -> None:
    packages = ("px-tools", "mlx", "numpy", "gemmi")
    versions = (known or {}).get("versions") or {name: version(name) for name in packages}
    wanted = max(n_sample, known["N_sample"] if known else 0)
    write_atomically(
        run.run_json, seal_record({**identity, "N_sample": wanted, "versions": versions})
    )
    if run.success.is_file():
        run.success.unlink()  # it spoke of fewer samples


def _known(run: RunDir, identity: dict[str, Any]) -> dict[str, Any] | None:
    """What run.json says; what the chunks say where it is damaged or lost; None if new."""
    reason = ""
    if run.run_json.exists():
        try:
            return read_run(run)
        except DamagedError as error:
            reason = str(error)
    chunks = []
    for _, path in run.files("msgpack"):
        with suppress(DamagedError):
            chunks.append(read_chunk(path))
    for chunk in chunks:
        _refuse_other(run, chunk.run, identity)
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
    return {**identity, "N_sample": min(last + 1, MAX_SAMPLES)}


def _refuse_other(run: RunDir, known: dict[str, Any], identity: dict[str, Any]) -> None:
    if different := differences(known, identity):
        raise InputError(
            f"{run.path}: started with other input: {'; '.join(different)}; "
            "use another --dump_dir or the input it was started with"
        )


def refuse_links(run: RunDir) -> None:
    """Nothing of a run may be a link: writing through one could leave the results folder."""
    above = (run.path.parent, run.path.parent.parent)
    for path in (*above, run.path, run.chunks, run.predictions, run.run_json, run.success):
        if path.is_symlink():
            raise InputError(f"{path}: expected a plain file or folder, found a link")


def _sweep(run: RunDir) -> None:
    """Remove what processes killed in the middle of a write have left."""
    for folder in (run.path, run.chunks, run.predictions):
        for path in folder.glob(".*.tmp"):
            if not path.is_symlink() and time.time() - path.lstat().st_mtime > STALE_SECONDS:
                path.unlink(missing_ok=True)


def read_or_set_aside(path: Path, record: dict[str, Any]) -> Chunk | None:
    """A valid chunk of this run; a damaged one is set aside and counts as not there."""
    try:
        chunk = read_chunk(path)
        if different := differences(chunk.run, record, all_of=True):
            raise DamagedError(f"it belongs to another run: {'; '.join(different)}")
        return chunk
    except DamagedError as error:
        set_aside(path, str(error))
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    return None


def valid_chunks(run: RunDir, record: dict[str, Any]) -> dict[Path, list[int]]:
    """The run's chunk files that are whole, with the samples they hold."""
    found = {}
    for _, path in run.files("msgpack"):
        if chunk := read_or_set_aside(path, record):
            found[path] = chunk.samples
    return found


def done_samples(run: RunDir, chunks: dict[Path, list[int]]) -> set[int]:
    """Samples held by a chunk, or by an unaltered CIF whose chunk is gone."""
    done = {sample for samples in chunks.values() for sample in samples}
    for sample in sorted(run.cif_samples() - done):
        if keep_if_whole(run.cif(sample)):
            done.add(sample)
    return done


def keep_if_whole(cif: Path) -> bool:
    """True if a CIF is as it was written; otherwise it is set aside."""
    try:
        read_cif(cif)
        return True
    except DamagedError as error:
        set_aside(cif, str(error))
        return False
