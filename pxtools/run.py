"""A run's directory: what it was started with, which samples it holds, who is working on what.

    DUMP_DIR/global_run_0/NAME/seed_SEED/
        run.json   chunks/*.msgpack   predictions/NAME_sample_0.cif ...   SUCCESS_FILE

Every file is written under a temporary name, flushed to disk and renamed.
"""

import fcntl
import json
import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pxtools.words import InputError, shown

RUN_FORMAT = 1
MAX_SAMPLES = 1_000_000
GLOBAL_RUN = "global_run_0"
STALE_SECONDS = 3600
INFORMATIVE = ("format", "task.structure", "model.name", "N_sample")


@dataclass(frozen=True)
class RunDir:
    """The directory of one (task, seed)."""

    path: Path
    name: str  # the task's

    @classmethod
    def of(cls, dump_dir: str, name: str, seed: int) -> "RunDir":
        return cls(Path(dump_dir) / GLOBAL_RUN / name / f"seed_{seed}", name)

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


def seeds_of(dump_dir: str, name: str) -> list[int]:
    """The seeds whose directories this task already has."""
    folder = Path(dump_dir) / GLOBAL_RUN / name
    matches = (re.fullmatch(r"seed_(\d{1,18})", p.name) for p in folder.glob("seed_*"))
    return sorted(int(m[1]) for m in matches if m)


def write_atomically(path: Path, data: bytes) -> None:
    """Write under a temporary name, flush to disk, rename: a name that exists is whole."""
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
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def open_run(run: RunDir, identity: dict[str, Any], n_sample: int) -> int:
    """Create the directory, or check that it is of the same run; returns its number of samples.

    Raises InputError, touching nothing, if anything that changes the designs differs.
    """
    try:
        refuse_links(run)
        if not run.run_json.exists():
            _refuse_foreign(run)
            run.chunks.mkdir(parents=True, exist_ok=True)
            run.predictions.mkdir(exist_ok=True)
        else:
            _check_same(run, read_run(run), identity)
            run.chunks.mkdir(exist_ok=True)
            run.predictions.mkdir(exist_ok=True)
    except OSError as error:
        raise InputError(f"{run.path}: cannot write there: {error.strerror}") from None
    with Lock(run).run_json():
        known = read_run(run) if run.run_json.exists() else None
        if known:
            _check_same(run, known, identity)
        wanted = max(n_sample, known["N_sample"] if known else 0)
        if known is None or wanted > known["N_sample"]:
            versions = known["versions"] if known else _versions()
            record = {**identity, "N_sample": wanted, "versions": versions}
            write_atomically(run.run_json, (json.dumps(record, indent=2) + "\n").encode())
            run.success.unlink(missing_ok=True)  # it spoke of fewer samples
    _sweep(run)
    return wanted


def refuse_links(run: RunDir) -> None:
    """Nothing of a run may be a link: writing through one could leave the results folder."""
    for path in (run.path, run.chunks, run.predictions, run.run_json, run.success):
        if path.is_symlink():
            raise InputError(f"{path}: expected a plain file or folder, found a link")


def _refuse_foreign(run: RunDir) -> None:
    if run.cif_samples() or run.files("msgpack"):
        raise InputError(
            f"{run.path}: it holds designs but no run.json that says what they were made from; "
            "use another --dump_dir"
        )


def read_run(run: RunDir) -> dict[str, Any]:
    """run.json, checked. Raises InputError if it is unreadable."""
    try:
        record = json.loads(run.run_json.read_bytes())
        if not isinstance(record, dict) or not isinstance(record.get("task"), dict):
            raise ValueError("it is not a run's record")
        n_sample = record["N_sample"]
        if type(n_sample) is not int or not 1 <= n_sample <= MAX_SAMPLES:
            raise ValueError(f"N_sample is {n_sample!r}")
    except OSError as error:
        raise InputError(f"{run.run_json}: cannot read: {error.strerror}") from None
    except (ValueError, KeyError, RecursionError) as error:
        raise InputError(f"{run.run_json}: not a readable run.json: {shown(str(error))}") from None
    if record.get("format", 0) > RUN_FORMAT:
        raise InputError(
            f"{run.run_json}: format {record['format']}, expected {RUN_FORMAT} or older: "
            "use a newer px-tools"
        )
    return record


def _check_same(run: RunDir, known: dict[str, Any], identity: dict[str, Any]) -> None:
    if different := differences(known, identity):
        raise InputError(
            f"{run.path}: started with other input: {'; '.join(different)}; "
            "use another --dump_dir or the input it was started with"
        )


def differences(before: dict[str, Any], now: dict[str, Any]) -> list[str]:
    """What two records of a run disagree on, of what decides the designs."""
    a, b = _flat(before), _flat(now)
    return [
        f"{key} (was {shown(a[key], 60)}, now {shown(b[key], 60)})"
        for key in b
        if key in a and a[key] != b[key] and key not in INFORMATIVE
    ]


def _flat(record: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    out: dict[str, Any] = {}
    for key, value in record.items():
        if isinstance(value, dict):
            out |= _flat(value, f"{prefix}{key}.")
        else:
            out[prefix + key] = value
    return out


def _versions() -> dict[str, str]:
    from importlib.metadata import version

    return {name: version(name) for name in ("px-tools", "mlx", "numpy", "gemmi")}


def _sweep(run: RunDir) -> None:
    """Remove what processes killed in the middle of a write have left."""
    for folder in (run.path, run.chunks, run.predictions):
        for path in folder.glob(".*.tmp"):
            if not path.is_symlink() and time.time() - path.lstat().st_mtime > STALE_SECONDS:
                path.unlink(missing_ok=True)


class Lock:
    """Claims on the samples of a run: one locked byte a sample, gone with the process."""

    def __init__(self, run: RunDir):
        self.file = (run.chunks / ".lock").open("ab")

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
