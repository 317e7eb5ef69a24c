"""Files that are whole whenever their name exists, and what becomes of damaged ones."""

import os
from pathlib import Path

from pxtools.console import warn
from pxtools.errors import InputError

STALE_SECONDS = 3600


def write_atomically(path: Path, data: bytes, sync_folder: bool = True) -> None:
    """Write under a temporary name, flush to disk, rename: a name that exists is whole.

    The name itself is safe from a power cut once its folder is flushed too.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException as error:
        temporary.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise InputError(f"{path}: cannot write: {error.strerror}") from None
        raise
    if sync_folder:
        flush_folder(path.parent)


def flush_folder(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


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
    warn(f"{path}: {reason}; set aside as {aside.name}; what is missing is made again")
