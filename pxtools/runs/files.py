"""Files that are whole whenever their name exists, and what becomes of damaged ones."""

import errno
import os
import re
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from pxtools.console import warn
from pxtools.errors import DamagedError, InputError

HOST = re.sub(r"[^A-Za-z0-9-]", "-", os.uname().nodename)[:40]
STALE_SECONDS = 3600
STALE_SECONDS_OF_OTHER_HOSTS = 24 * 3600  # their clocks may be hours off
TEMPORARY = re.compile(r"\..*?(?:\.(?P<host>[A-Za-z0-9-]+)\.\d+\.[0-9a-f]{8}|\.\d+)\.tmp")
TRIES = 3


def write_atomically(path: Path, data: bytes, sync_folder: bool = True) -> None:
    """Write under a temporary name, flush to disk, rename: a name that exists is whole.

    The name itself is safe from a power cut once its folder is flushed too.
    """
    if path.exists() and not (path.is_file() or path.is_dir()):
        raise InputError(f"{path}: expected a file, found a device or a pipe")
    _write(path, data, sync_folder, lambda temporary: temporary.replace(path))


def write_first(path: Path, data: bytes) -> None:
    """Write unless the name exists: of several processes, on whatever host, one wins."""

    def link(temporary: Path) -> None:
        try:
            path.hardlink_to(temporary)
        except FileExistsError:
            pass
        except OSError:  # a file system without hard links: the last one wins
            temporary.replace(path)
        temporary.unlink(missing_ok=True)

    _write(path, data, True, link)


def _write(path: Path, data: bytes, sync_folder: bool, publish: Callable[[Path], object]) -> None:
    for tries_left in reversed(range(TRIES)):
        temporary = temporary_name(path)
        try:
            with temporary.open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            publish(temporary)
            break
        except BaseException as error:
            swept = isinstance(error, FileNotFoundError) and path.parent.is_dir()
            with suppress(OSError):
                temporary.unlink(missing_ok=True)
            if swept and tries_left:
                continue  # by a process on a host whose clock is far off
            if isinstance(error, OSError):
                raise InputError(f"{path}: cannot write: {error.strerror}") from None
            raise
    if sync_folder:
        flush_folder(path.parent)


def read_bytes(path: Path) -> bytes:
    """A file of ours. Raises DamagedError where there is none.

    Raises InputError where it cannot be read now: it may be whole when its file system is back.
    """
    try:
        return path.read_bytes()
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError) as error:
        raise DamagedError(error.strerror) from None
    except OSError as error:
        raise InputError(f"{path}: cannot read: {error.strerror}") from None


def temporary_name(path: Path) -> Path:
    """A hidden name beside a file that no other process uses, in whatever container."""
    unique = f"{HOST}.{os.getpid()}.{os.urandom(4).hex()}"
    return path.with_name(f".{path.name[:120]}.{unique}.tmp")


def sweep(folder: Path) -> None:
    """Remove what processes killed in the middle of a write have left.

    Ages are by the file system's clock. Should another host's clock mislead it, that host's
    process finds its temporary file gone and writes it again.
    """
    left = [(path, m) for path in folder.glob(".*.tmp") if (m := TEMPORARY.fullmatch(path.name))]
    if not left:
        return
    now = clock(folder)
    for path, name in left:
        is_ours = name["host"] in (None, HOST)  # the first versions named no host
        limit = STALE_SECONDS if is_ours else STALE_SECONDS_OF_OTHER_HOSTS
        with suppress(FileNotFoundError):
            if not path.is_symlink() and now - path.lstat().st_mtime > limit:
                path.unlink()


def clock(folder: Path) -> float:
    """The time that a file written there now gets; this host's where none can be written."""
    probe = temporary_name(folder / "clock")
    try:
        probe.touch(exist_ok=False)
        now = probe.stat().st_mtime
        probe.unlink()
        return now
    except OSError:
        return time.time()


def make_folder(path: Path) -> None:
    """The folder and those above it; an InputError where they cannot be made."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{path}: cannot make this folder: {error.strerror}") from None


def cannot_write(folder: Path, error: OSError) -> InputError:
    """What stands in the way of writing in a folder."""
    wanted = Path(error.filename) if isinstance(error.filename, str) else folder
    for place in (wanted, folder, *folder.parents):
        if place.is_file() and isinstance(error, NotADirectoryError | FileExistsError):
            return InputError(f"{place}: expected a folder, found a file")
    return InputError(f"{folder}: cannot write there: {error.strerror}")


def flush_folder(folder: Path) -> None:
    """Have a folder's names on the disk, where its file system can do that."""
    fd = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(fd)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.EBADF, errno.ENOTSUP):
            raise InputError(f"{folder}: cannot flush to disk: {error.strerror}") from None
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
    except FileNotFoundError:
        return  # another process has set it aside
    except OSError as error:
        raise InputError(f"{path}: damaged ({reason}), cannot rename: {error.strerror}") from None
    warn(f"{path}: {reason}; set aside as {aside.name}; what is missing is made again")
