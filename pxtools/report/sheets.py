"""CSV tables that others may have written or changed: what is in them, not what should be."""

import csv
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from pxtools.console import warn
from pxtools.errors import InputError, shown
from pxtools.runs.tables import Column, Value

Cells = Mapping[str, Value]
MAX_BYTES = 1_000_000_000


def read_sheet(path: Path, columns: Sequence[Column]) -> list[Cells]:
    """The rows of a table of px-score, by column; numbers that are none are left out.

    Columns that are not known are numbers where all their cells are. Raises InputError.
    """
    texts = _read(path)
    if "design" not in (texts[0] if texts else {}):
        held = ", ".join(texts[0]) if texts else "no rows"
        raise InputError.of(path, "table", "a CSV of px-score, with a column design", held)
    known = {column.name: column.type for column in columns}
    names = [name for name in texts[0] if name]
    types = {name: known.get(name) or _type([row[name] for row in texts]) for name in names}
    rows = [{name: _value(types[name], row[name]) for name in names} for row in texts]
    for name in names:
        if any(row[name] is None and text[name] for row, text in zip(rows, texts, strict=True)):
            warn(f"{path}: column {shown(name)} has cells that are no finite numbers: left empty")
    return list(rows)


def _read(path: Path) -> list[dict[str, str]]:
    try:
        with path.open(newline="", encoding="utf-8-sig", errors="replace") as file:
            text = file.read(MAX_BYTES)
        reader = csv.reader(text.splitlines())
        names = next(reader, [])
        rows = [row for row in reader if row]
        whole = [row for row in rows if len(row) == len(names)]
        if left_out := len(rows) - len(whole):
            warn(f"{path}: {left_out} rows have more or fewer cells than its first line: left out")
        return [dict(zip(names, row, strict=True)) for row in whole]
    except OSError as error:
        raise InputError(f"{path}: cannot read: {error.strerror}") from None
    except csv.Error as error:
        raise InputError(f"{path}: not a CSV table: {error}") from None


def _type(texts: Sequence[str]) -> type[str] | type[int] | type[float]:
    held = [text for text in texts if text]
    for kind in (int, float):
        if held and all(_value(kind, text) is not None for text in held):
            return kind
    return str


def _value(kind: type[str] | type[int] | type[float], text: str) -> Value:
    if kind is str:
        return text
    try:
        value = int(text) if kind is int else float(text)
    except (ValueError, OverflowError):
        return None
    return value if math.isfinite(value) and abs(value) < 1e15 else None
