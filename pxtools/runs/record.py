"""What a run was started with: run.json, and the same in every chunk and state."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from pxtools.errors import DamagedError, InputError, shown
from pxtools.runs.files import read_bytes, write_atomically, write_first
from pxtools.runs.folder import MAX_SAMPLES, RunDir
from pxtools.runs.schedule import Schedule
from pxtools.structure.residue_number import ResidueNumber, read_hotspots, write_hotspots

RUN_FORMAT = 1
INFORMATIVE = ("format", "task.structure", "model.name")  # what two runs may differ in


@dataclass(frozen=True)
class ChainRecord:
    """A target chain as its task picks it."""

    crop: str  # all, or ranges such as 1-50,80-100
    hotspots: tuple[ResidueNumber, ...]

    @classmethod
    def from_dict(cls, held: Mapping[str, Any]) -> ChainRecord:
        return cls(_text(held["crop"]), read_hotspots(_text(held["hotspots"])))

    def to_dict(self) -> dict[str, str]:
        return {"crop": self.crop, "hotspots": write_hotspots(self.hotspots)}


@dataclass(frozen=True)
class TaskRecord:
    """A task; `target_digest` is over all features that decide its designs."""

    name: str
    binder_lengths: str  # 80, 60-100 or 60,80,100
    chains: dict[str, ChainRecord]
    structure: str  # its file's name
    target_digest: str

    @classmethod
    def from_dict(cls, held: Mapping[str, Any]) -> TaskRecord:
        return cls(
            _text(held["name"]),
            _lengths(held["binder_length"]),
            {_text(name): ChainRecord.from_dict(c) for name, c in held["chains"].items()},
            _text(held["structure"]),
            _text(held["target_digest"]),
        )

    def to_dict(self) -> dict[str, Any]:
        lengths = self.binder_lengths
        return {
            "name": self.name,
            "binder_length": int(lengths) if lengths.isdecimal() else lengths,
            "chains": {name: c.to_dict() for name, c in self.chains.items()},
            "structure": self.structure,
            "target_digest": self.target_digest,
        }


@dataclass(frozen=True)
class ModelRecord:
    """A model, by the SHA-256 of its file, and the precision of its products."""

    name: str
    digest: str
    dtype: str = "float32"  # the first versions wrote none

    @classmethod
    def from_dict(cls, held: Mapping[str, Any]) -> ModelRecord:
        known = {f.name: _text(held[f.name]) for f in fields(cls) if f.name in held}
        return cls(**known)


@dataclass(frozen=True)
class RunRecord:
    """All that decides the designs of a run."""

    task: TaskRecord
    model: ModelRecord
    schedule: Schedule
    seed: int

    @classmethod
    def from_dict(cls, held: Mapping[str, Any]) -> RunRecord:
        """Raises KeyError, TypeError, ValueError or AttributeError for anything but a record."""
        try:
            schedule = Schedule(**{f.name: held["schedule"][f.name] for f in fields(Schedule)})
        except InputError as error:
            raise ValueError(str(error)) from None
        return cls(
            TaskRecord.from_dict(held["task"]),
            ModelRecord.from_dict(held["model"]),
            schedule,
            _whole(held["seed"]),
        )

    def to_dict(self) -> dict[str, Any]:
        """What `from_dict` reads, in the order in which files have it."""
        return {
            "format": RUN_FORMAT,
            "task": self.task.to_dict(),
            "model": asdict(self.model),
            "schedule": asdict(self.schedule),
            "seed": self.seed,
        }

    def differences(self, now: RunRecord) -> list[str]:
        """What another record differs in, of what decides the designs."""
        a, b = self._deciding(), now._deciding()
        return [
            f"{key} (was {shown(a.get(key, ''), 60)}, now {shown(b.get(key, ''), 60)})"
            for key in {**a, **b}
            if a.get(key) != b.get(key)
        ]

    @property
    def identity(self) -> str:
        """12 hexadecimal digits; rows of summary.csv carry them."""
        return hashlib.sha256(repr(sorted(self._deciding().items())).encode()).hexdigest()[:12]

    def _deciding(self) -> dict[str, Any]:
        flat = _flattened(self.to_dict())
        return {key: value for key, value in flat.items() if key not in INFORMATIVE}


@dataclass(frozen=True)
class RunJson:
    """run.json: a run's record, the samples asked for, and what it was begun with."""

    record: RunRecord
    n_sample: int
    versions: dict[str, str] = field(default_factory=dict)

    @classmethod
    def read(cls, run: RunDir) -> RunJson:
        """Raises DamagedError, or InputError for a file of a newer format or a renamed folder."""
        data = read_bytes(run.run_json)
        try:
            held = json.loads(data)
            digest = held.pop("digest", None)  # the first versions wrote none
            if digest is not None and digest != _digest(held):
                raise ValueError("its content does not match its digest")
            if held.get("format", 0) > RUN_FORMAT:
                raise InputError(
                    f"{run.run_json}: format {shown(held['format'])}, expected {RUN_FORMAT} or "
                    "older: use a newer px-tools"
                )
            n_sample = _whole(held["N_sample"])
            if not 1 <= n_sample <= MAX_SAMPLES:
                raise ValueError(f"N_sample is {n_sample}")
            versions = {_text(k): _text(v) for k, v in held.get("versions", {}).items()}
            record = RunRecord.from_dict(held)
            if record.task.name != run.name:
                raise InputError(
                    f"{run.path}: its run.json is of the task {shown(record.task.name)}: give the "
                    "folder above it that name again"
                )
            return cls(record, n_sample, versions)
        except KeyError as error:
            raise DamagedError(f"not a readable run.json: it lacks {error}") from None
        except (ValueError, TypeError, AttributeError, RecursionError) as error:
            raise DamagedError(f"not a readable run.json: {shown(str(error))}") from None

    @classmethod
    def begun(cls, run: RunDir) -> RunJson:
        """As `read`, of a run whose designs are asked for. Raises InputError."""
        try:
            return cls.read(run)
        except DamagedError as error:
            raise InputError(
                f"{run.run_json}: {error}; px-sample makes it again from the chunks"
            ) from None

    def write(self, run: RunDir) -> None:
        write_atomically(run.run_json, self.to_bytes())

    def write_first(self, run: RunDir) -> None:
        """Write it unless another process has."""
        write_first(run.run_json, self.to_bytes())

    def to_bytes(self) -> bytes:
        """Its text, with a digest of the other fields at the end."""
        held = {**self.record.to_dict(), "N_sample": self.n_sample, "versions": self.versions}
        return (json.dumps({**held, "digest": _digest(held)}, indent=2) + "\n").encode()


def _digest(held: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(held, sort_keys=True).encode()).hexdigest()


def _flattened(held: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in held.items():
        if isinstance(value, dict):
            flat |= _flattened(value, f"{prefix}{key}.")
        else:
            flat[prefix + key] = value
    return flat


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"expected text, found {shown(value)}")
    return value


def _whole(value: Any) -> int:
    if type(value) is not int:
        raise TypeError(f"expected a whole number, found {shown(value)}")
    return value


def _lengths(value: Any) -> str:
    """One length is kept as a number, several as text."""
    return value if isinstance(value, str) else str(_whole(value))
