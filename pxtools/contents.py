"""Which samples a run's directory really holds: files checked, damaged ones set aside."""

from pathlib import Path
from typing import Any

from pxtools.chunk import Chunk, DamagedError, read_chunk
from pxtools.cif import check_cif
from pxtools.run import RunDir, differences
from pxtools.words import InputError, warn


def set_aside(path: Path, reason: str) -> None:
    """Rename a damaged file to *.corrupt, never over an earlier one, and say so."""
    aside = path.with_name(path.name + ".corrupt")
    number = 1
    while aside.exists() or aside.is_symlink():
        aside = path.with_name(f"{path.name}.corrupt{number}")
        number += 1
    try:
        path.rename(aside)
    except OSError as error:
        raise InputError(f"{path}: damaged ({reason}), cannot rename: {error.strerror}") from None
    warn(f"{path}: {reason}; set aside as {aside.name} and made again")


def read_or_set_aside(path: Path, record: dict[str, Any]) -> Chunk | None:
    """A valid chunk of this run; a damaged one is set aside and counts as not there."""
    try:
        chunk = read_chunk(path)
        if different := differences(chunk.run, record):
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
        check_cif(cif)
        return True
    except DamagedError as error:
        set_aside(cif, str(error))
        return False
