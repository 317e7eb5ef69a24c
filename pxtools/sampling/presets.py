"""What a run is asked for: a preset's numbers, overridden by the command line."""

import re
from dataclasses import dataclass, fields
from typing import Any

import yaml

from pxtools.errors import InputError, shown
from pxtools.runs.folder import MAX_SAMPLES
from pxtools.runs.schedule import Schedule
from pxtools.shipped import PRESETS

DEFAULT_PRESET = "quick"
DEFAULT_SEED = 12345


@dataclass(frozen=True)
class Settings:
    """How many samples, in chunks of how many, on which schedule."""

    N_sample: int
    sample_diffusion_chunk_size: int
    schedule: Schedule


def settings(preset: str | None, **given: Any) -> Settings:
    """The preset's values, those given (not None) winning. Raises InputError."""
    values = _read_preset(preset or DEFAULT_PRESET)
    values |= {key: value for key, value in given.items() if value is not None}
    if named := re.fullmatch(r"const_(\d+\.?\d*)", str(values.get("eta_type"))):
        values |= {"eta_type": "const", "eta_min": float(named[1]), "eta_max": float(named[1])}
    n_sample, chunk_size = values.pop("N_sample"), values.pop("sample_diffusion_chunk_size")
    _check("--N_sample", n_sample)
    _check("--sample_diffusion_chunk_size", chunk_size)
    return Settings(n_sample, chunk_size, Schedule(**values))


def _check(option: str, value: Any) -> None:
    if type(value) is not int or not 1 <= value <= MAX_SAMPLES:
        raise InputError.of_option(option, f"1 to {MAX_SAMPLES:,}", value)


def _read_preset(name: str) -> dict[str, Any]:
    names = sorted(p.stem for p in PRESETS.glob("*.yaml") if p.stem != "checks")
    if name not in names:
        raise InputError.of_option("--preset", ", ".join(names), name)
    values = yaml.safe_load((PRESETS / f"{name}.yaml").read_text("utf-8"))
    known = {"N_sample", "sample_diffusion_chunk_size", *(f.name for f in fields(Schedule))}
    if not isinstance(values, dict) or not {"N_sample", "sample_diffusion_chunk_size"} <= set(
        values
    ):
        raise InputError(f"preset {name}: N_sample or sample_diffusion_chunk_size is missing")
    if unknown := set(values) - known:
        raise InputError(f"preset {name}: unknown settings {shown(', '.join(sorted(unknown)))}")
    return values
