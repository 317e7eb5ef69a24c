"""run.json: what a run was started with."""

import hashlib
import json
from typing import Any

from pxtools.errors import DamagedError, InputError, shown
from pxtools.runs.folder import MAX_SAMPLES, RunDir

RUN_FORMAT = 1
IDENTIFYING = ("task.name", "task.target_digest", "model.digest", "schedule.N_step", "seed")
FIRST_DEFAULTS = {"model.dtype": "float32"}  # of the first versions, which wrote no such setting
INFORMATIVE = ("format", "task.structure", "model.name", "N_sample", "digest")


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
