"""What structure predictors write: Boltz, AlphaFold 3, Protenix, ColabFold, Chai.

Each names its files in a way of its own; docs/scores.md has the names that are looked for.
"""

import json
import os
import re
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pxtools.errors import DamagedError

LARGEST = 500_000_000  # bytes of a file of confidences


@dataclass(frozen=True)
class Output:
    """A predicted structure and what its predictor says of it."""

    predictor: str
    name: str  # of the complex, as it was given to the predictor
    model: str  # which of its models
    structure: Path
    confidences: Path
    errors: Path | None  # where the PAE matrix is, if it was written


@dataclass(frozen=True)
class Confidence:
    """Of the whole prediction; 0 to 1, None where it has one chain."""

    iptm: float | None
    ptm: float | None
    pae: np.ndarray | None  # (tokens, tokens) Å


@dataclass(frozen=True)
class _Layout:
    """How a predictor names a file of confidences, and by that the other files."""

    predictor: str
    confidences: re.Pattern[str]  # groups: name (else the folder's), model
    structures: tuple[str, ...]
    errors: tuple[str, ...]  # {name}, {model}; the first that exists
    pae: str  # its key


LAYOUTS = (
    _Layout(
        "boltz",
        re.compile(r"confidence_(?P<name>.+)_model_(?P<model>\d+)\.json"),
        ("{name}_model_{model}.cif", "{name}_model_{model}.pdb"),
        ("pae_{name}_model_{model}.npz",),
        "pae",
    ),
    _Layout(
        "protenix",
        re.compile(r"(?P<name>.+)_summary_confidence_sample_(?P<model>\d+)\.json"),
        ("{name}_sample_{model}.cif",),
        ("{name}_full_data_sample_{model}.json",),
        "token_pair_pae",
    ),
    _Layout(  # of the server
        "af3",
        re.compile(r"(?P<name>.+)_summary_confidences_(?P<model>\d+)\.json"),
        ("{name}_model_{model}.cif",),
        ("{name}_full_data_{model}.json",),
        "pae",
    ),
    _Layout(
        "af3",
        re.compile(r"(?P<name>.+?)(?:_(?P<model>seed-\d+_sample-\d+))?_summary_confidences\.json"),
        ("{name}_{model}_model.cif", "{name}_model.cif", "model.cif"),
        ("{name}_{model}_confidences.json", "{name}_confidences.json", "confidences.json"),
        "pae",
    ),
    _Layout(
        "colabfold",
        re.compile(r"(?P<name>.+)_scores_(?P<model>rank_\d+_.+)\.json"),
        ("{name}_relaxed_{model}.pdb", "{name}_unrelaxed_{model}.pdb"),
        ("{name}_scores_{model}.json",),
        "pae",
    ),
    _Layout(  # its first versions
        "colabfold",
        re.compile(r"(?P<name>.+)_unrelaxed_(?P<model>rank_\d+_model_\d+)_scores\.json"),
        ("{name}_relaxed_{model}.pdb", "{name}_unrelaxed_{model}.pdb"),
        ("{name}_unrelaxed_{model}_scores.json",),
        "pae",
    ),
    _Layout(
        "chai",
        re.compile(r"scores\.model_idx_(?P<model>\d+)\.npz"),
        ("pred.model_idx_{model}.cif",),
        ("pae.model_idx_{model}.npy",),
        "pae",
    ),
)


def outputs_in(folder: Path) -> Iterator[Output]:
    """All predictions below a folder, in the order of their paths. Raises OSError."""

    def fail(error: OSError) -> None:
        raise error

    below = os.walk(folder, onerror=fail)  # Path.rglob passes over what it cannot list
    for path in sorted(Path(base, name) for base, _, names in below for name in names):
        is_told = path.suffix in (".json", ".npz") and path.is_file()
        if is_told and (output := recognised(path)):
            yield output


def recognised(confidences: Path) -> Output | None:
    """The prediction that a file of confidences belongs to; None for any other file."""
    told = confidences.name
    if told == "summary_confidences.json":  # AF3's first version left the rest to the folders
        told = "_".join([*confidences.absolute().parts[-3:-1], told])
    for layout in LAYOUTS:
        if match := layout.confidences.fullmatch(told):
            found = match.groupdict()
            name = found.get("name") or confidences.parent.name
            words = {"name": name, "model": found["model"] or ""}
            structure = _first(confidences.parent, layout.structures, words)
            if structure:
                errors = _first(confidences.parent, layout.errors, words)
                model = found["model"] or "best"
                return Output(layout.predictor, name, model, structure, confidences, errors)
    return None


def _first(folder: Path, patterns: tuple[str, ...], words: dict[str, str]) -> Path | None:
    paths = (folder / pattern.format(**words) for pattern in patterns)
    return next((path for path in paths if path.is_file()), None)


def read_confidence(output: Output) -> Confidence:
    """Raises DamagedError."""
    held = _by_name(output.confidences, _read(output.confidences))
    pae = None
    if output.errors:
        keys = {layout.pae for layout in LAYOUTS if layout.predictor == output.predictor}
        errors = held if output.errors == output.confidences else _read(output.errors)
        if not isinstance(errors, np.ndarray):
            named = _by_name(output.errors, errors)
            errors = next((named[key] for key in sorted(keys) if key in named), None)
        pae = None if errors is None else _matrix(output.errors, errors)
    iptm, ptm = (_share(output.confidences, held, name) for name in ("iptm", "ptm"))
    return Confidence(iptm, ptm, pae)


def _by_name(path: Path, held: Any) -> dict[str, Any]:
    if not isinstance(held, dict):
        raise DamagedError(f"{path}: it holds no confidences by name")
    return held


def _read(path: Path) -> Any:
    try:
        if path.stat().st_size > LARGEST:
            raise DamagedError(f"{path}: larger than {LARGEST:,} bytes")
        if path.suffix == ".json":
            return json.loads(path.read_bytes())
        with path.open("rb") as file:
            loaded = np.load(file, allow_pickle=False)
            return loaded if isinstance(loaded, np.ndarray) else {k: loaded[k] for k in loaded}
    except OSError as error:
        raise DamagedError(f"{path}: {error.strerror or 'unreadable'}") from None
    except (ValueError, EOFError, KeyError, RecursionError, zipfile.BadZipFile) as error:
        raise DamagedError(f"{path}: not readable: {' '.join(str(error).split())[:100]}") from None


def _share(path: Path, held: dict[str, Any], name: str) -> float | None:
    """A number from 0 to 1, also alone in an array; None where there is none."""
    value = held.get(name)
    if value is None:
        return None
    try:
        number = float(np.asarray(value, float).reshape(-1)[0])
    except (TypeError, ValueError, IndexError, OverflowError):
        raise DamagedError(f"{path}: {name} is no number") from None
    if not 0 <= number <= 1:
        raise DamagedError(f"{path}: {name} is {number}, not 0 to 1")
    return number


def _matrix(path: Path, held: Any) -> np.ndarray:
    try:
        pae = np.asarray(held, np.float32)
    except (TypeError, ValueError):
        raise DamagedError(f"{path}: its PAE is no matrix of numbers") from None
    pae = pae[0] if pae.ndim == 3 else pae
    if pae.ndim != 2 or pae.shape[0] != pae.shape[1] or not np.isfinite(pae).all():
        raise DamagedError(f"{path}: its PAE is no square matrix of numbers")
    return pae
