"""A run's directory: what it was started with, which samples it holds, who is working on what.

    DUMP_DIR/global_run_0/NAME/seed_SEED/
        run.json   chunks/*.msgpack   predictions/NAME_sample_0.cif ...   SUCCESS_FILE

Every file is written under a temporary name, flushed to disk and renamed.
"""

import fcntl
import hashlib
import json
import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pxtools.words import DamagedError, InputError, shown, warn

RUN_FORMAT = 1
MAX_SAMPLES = 1_000_000
GLOBAL_RUN = "global_run_0"
STALE_SECONDS = 3600
IDENTIFYING = ("task.name", "task.target_digest", "model.digest", "schedule.N_step", "seed")
FIRST_DEFAULTS = {"model.dtype": "float32"}  # of the first versions, which wrote no such setting
INFORMATIVE = ("format", "task.structure", "model.name", "N_sample", "digest")


@dataclass(frozen=True)
class RunDir:
    """The directory of one (task, seed)."""

    path: Path
    name: str  # the task's

    @classmethod
    def of(cls, dump_dir: str, name: str, seed: int) -> "RunDir":
        return cls(Path(dump_dir) / GLOBAL_RUN / name / f"seed_{seed}", name)

    @classmethod
    def around(cls, file: Path) -> "RunDir | None":
        """The run that a file of chunks/ or predictions/ belongs to."""
        folder = file.absolute().parent.parent
        return cls(folder, folder.parent.name) if (folder / "run.json").is_file() else None

    @property
    def run_json(self) -> Path:
        return self.path / "run.json"

    @property
    def chunks(self) -> Path:
        return self.path / "chunks"

    @property
    def predictions(self) -> Path:
        return self.path / "predictions"

    @property
    def success(self) -> Path:
        return self.path / "SUCCESS_FILE"

    def cif(self, sample: int) -> Path:
        return self.predictions / f"{self.name}_sample_{sample}.cif"

    def chunk(self, samples: list[int]) -> Path:
        return self.chunks / f"samples_{samples[0]}-{samples[-1]}.msgpack"

    def state(self, samples: list[int]) -> Path:
        return self.chunks / f"samples_{samples[0]}-{samples[-1]}.state"

    def cif_samples(self) -> set[int]:
        """The samples whose CIF is there, by name."""
        pattern = re.compile(re.escape(self.name) + r"_sample_(0|[1-9]\d{0,8})\.cif")
        try:
            names = os.listdir(self.predictions)  # noqa: PTH208  (no Path for each of 10,000)
        except FileNotFoundError:
            return set()
        return {int(m[1]) for name in names if (m := pattern.fullmatch(name))}

    def files(self, suffix: str) -> list[tuple[list[int], Path]]:
        """The files samples_A-B.SUFFIX of chunks/ in order, with the samples their names tell."""
        found = []
        for path in self.chunks.glob(f"samples_*.{suffix}"):
            if m := re.fullmatch(r"samples_(\d{1,9})-(\d{1,9})", path.stem):
                first, last = int(m[1]), int(m[2])
                if first <= last < first + MAX_SAMPLES:
                    found.append((list(range(first, last + 1)), path))
        return sorted(found, key=lambda item: item[0][0])


def find_runs(folder: Path) -> list[RunDir]:
    """The runs below a results folder, by name and seed; an empty folder has none."""
    if not folder.is_dir():
        found = "a file" if folder.exists() else "nothing of that name"
        raise InputError.of(folder, "folder", "a results folder of px-sample", found)
    places = [folder, *folder.glob("seed_*"), *folder.glob("*/seed_*")]
    places += folder.glob(f"{GLOBAL_RUN}/*/seed_*")
    runs = [p.absolute() for p in places if (p / "run.json").is_file()]
    if not runs and any(folder.iterdir()) and not (folder / GLOBAL_RUN).is_dir():
        expected = f"a results folder of px-sample, with {GLOBAL_RUN}/ in it"
        raise InputError.of(folder, "folder", expected, "other files")
    by_seed = sorted(runs, key=lambda p: (p.parent.name, len(p.name), p.name))
    return [RunDir(path, path.parent.name) for path in dict.fromkeys(by_seed)]


def seeds_of(dump_dir: str, name: str) -> list[int]:
    """The seeds whose directories this task already has."""
    folder = Path(dump_dir) / GLOBAL_RUN / name
    matches = (re.fullmatch(r"seed_(\d{1,18})", p.name) for p in folder.glob("seed_*"))
    return sorted(int(m[1]) for m in matches if m)


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


def seal_record(record: dict[str, Any]) -> bytes:
    """run.json's text, with a digest of its other fields."""
    fields = {key: value for key, value in record.items() if key != "digest"}
    return (json.dumps({**fields, "digest": _digest(fields)}, indent=2) + "\n").encode()


def _digest(fields: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(fields, sort_keys=True).encode()).hexdigest()


def read_run(run: RunDir) -> dict[str, Any]:
    """run.json, checked. Raises DamagedError, or InputError for one of a newer format."""
    try:
        record = json.loads(run.run_json.read_bytes())
        digest = record.pop("digest", None)  # the first versions wrote none
        if digest is not None and digest != _digest(record):
            raise ValueError("its content does not match its digest")
        if record.get("format", 0) > RUN_FORMAT:
            raise InputError(
                f"{run.run_json}: format {shown(record['format'])}, expected {RUN_FORMAT} or "
                "older: use a newer px-tools"
            )
        if missing := {*IDENTIFYING, "model.name", "N_sample"} - set(flattened(record)):
            raise ValueError(f"it lacks {', '.join(sorted(missing))}")
        n_sample = record["N_sample"]
        if type(n_sample) is not int or not 1 <= n_sample <= MAX_SAMPLES:
            raise ValueError(f"N_sample is {n_sample!r}")
    except OSError as error:
        raise DamagedError(error.strerror or "unreadable") from None
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise DamagedError(f"not a readable run.json: {shown(str(error))}") from None
    return record


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


def differences(before: dict[str, Any], now: dict[str, Any], all_of: bool = False) -> list[str]:
    """What two records of a run disagree on, of what decides the designs.

    A setting that `before`, of an older version, does not mention is no difference; with
    `all_of` the fields that every version has must be there.
    """
    a, b = {**FIRST_DEFAULTS, **flattened(before)}, {**FIRST_DEFAULTS, **flattened(now)}
    different = [
        f"{key} (was {shown(a[key], 60)}, now {shown(b[key], 60)})"
        for key in b
        if key in a and a[key] != b[key] and key not in INFORMATIVE
    ]
    absent = [key for key in IDENTIFYING if all_of and key not in a]
    return different + [f"{key} (not given)" for key in absent]


def flattened(record: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    out: dict[str, Any] = {}
    for key, value in record.items():
        if isinstance(value, dict):
            out |= flattened(value, f"{prefix}{key}.")
        else:
            out[prefix + key] = value
    return out


class Lock:
    """Claims on the samples of a run: one locked byte a sample, gone with the process."""

    def __init__(self, run: RunDir):
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        self.file = os.fdopen(os.open(run.chunks / ".lock", flags, 0o666), "rb+")

    def claim(self, samples: list[int]) -> bool:
        """Claim samples for this process; False if another process has any of them."""
        if not self._try(samples):
            time.sleep(0.05)  # it may have been px-status, which only looks
            return self._try(samples)
        return True

    def is_claimed(self, samples: list[int]) -> bool:
        """True if another process is at work on any of these samples."""
        if not self._try(samples):
            return True
        self.release(samples)
        return False

    def _try(self, samples: list[int]) -> bool:
        first, count = samples[0] + 1, samples[-1] - samples[0] + 1
        try:
            fcntl.lockf(self.file, fcntl.LOCK_EX | fcntl.LOCK_NB, count, first)
        except (BlockingIOError, PermissionError):
            return False
        return True

    def release(self, samples: list[int]) -> None:
        fcntl.lockf(self.file, fcntl.LOCK_UN, samples[-1] - samples[0] + 1, samples[0] + 1)

    @contextmanager
    def run_json(self) -> Iterator[None]:
        fcntl.lockf(self.file, fcntl.LOCK_EX, 1, 0)
        try:
            yield
        finally:
            self.file.close()
