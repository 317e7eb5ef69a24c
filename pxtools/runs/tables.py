"""Append-only CSV tables whose rows are values of a dataclass: a field a column.

    @dataclass(frozen=True, kw_only=True)
    class Row:
        design: str = column("the CIF's name")
        contacts: int = column("of CB atoms under 8 Å", "pairs")
        area: float | None = column("buried", "Å²", later=True)

Columns may be added: rows of an older table are kept, the new cells are empty until filled in.
"""

import csv
import io
import math
from collections.abc import Callable, Hashable, Iterable
from dataclasses import MISSING, Field, dataclass, field, fields
from pathlib import Path
from typing import Any, Generic, TypeVar, get_args, get_type_hints

from pxtools.console import warn
from pxtools.errors import InputError
from pxtools.interrupt import uninterrupted
from pxtools.runs.files import write_atomically

Value = str | int | float | None
Row = TypeVar("Row")
Key = TypeVar("Key", bound=Hashable)


@dataclass(frozen=True)
class Column:
    """What a table says of a field of its rows."""

    name: str
    type: type[str] | type[int] | type[float]
    unit: str
    meaning: str
    optional: bool  # may be empty
    later: bool  # added since the first tables: empty until it is filled in


def column(meaning: str, unit: str = "", *, empty: str = "", later: bool = False) -> Any:
    """A field of a row: what it is, its unit, and when it is empty (`float | None` then).

    `later` marks columns that older tables lack; without `empty` they are always there once
    filled in.
    """
    notes = {"meaning": f"{meaning}; empty {empty}" if empty else meaning, "unit": unit}
    default = None if empty or later else MISSING
    return field(default=default, metadata={**notes, "later": later and not empty})


@dataclass(frozen=True, kw_only=True)
class Check:
    """Limits that the sum of the columns `of`, over the column `over`, must keep to be sound."""

    of: tuple[str, ...]
    over: str | None = None
    low: float | None = None  # passes
    high: float | None = None  # passes
    above: float | None = None  # does not
    below: float | None = None  # does not

    def passes(self, row: Any) -> bool:
        """Whether a row keeps them; one with an empty cell does."""
        values = [getattr(row, name) for name in self.of]
        if None in values:
            return True
        over = getattr(row, self.over) if self.over else 1
        if not over:
            return over is None
        value = sum(values) / over
        return (
            (self.low is None or value >= self.low)
            and (self.high is None or value <= self.high)
            and (self.above is None or value > self.above)
            and (self.below is None or value < self.below)
        )


_known: dict[type, tuple[Column, ...]] = {}


def columns_of(row_type: type) -> tuple[Column, ...]:
    """The columns of a row type, in order."""
    if row_type not in _known:
        types = get_type_hints(row_type)
        _known[row_type] = tuple(_column_of(f, types[f.name]) for f in fields(row_type))
    return _known[row_type]


def _column_of(f: Field[Any], annotation: Any) -> Column:
    (kind,) = {*(get_args(annotation) or (annotation,))} - {type(None)}
    about = f.metadata
    return Column(f.name, kind, about["unit"], about["meaning"], f.default is None, about["later"])


def unfilled(row: Any) -> list[str]:
    """The columns added since the row was written, still without a value."""
    return [c.name for c in columns_of(type(row)) if c.later and getattr(row, c.name) is None]


class Table(Generic[Row, Key]):
    """A CSV file of rows with one `key` each; of rows with the same key the last one counts."""

    def __init__(self, path: Path, row_type: type[Row], key: Callable[[Row], Key]):
        self.path = path
        self.row_type = row_type
        self.key = key

    def read(self, belongs: Callable[[Row], bool] = lambda row: True) -> dict[Key, Row]:
        """The rows that are whole (a killed process may leave half a line) and belong, by key."""
        rows = self._parsed(self._lines())
        return {self.key(row): row for row in rows if row is not None and belongs(row)}

    def _lines(self) -> list[str]:
        try:
            text = self.path.read_bytes().decode(errors="replace")
        except FileNotFoundError:
            return []
        except OSError as error:
            raise InputError(f"{self.path}: cannot read: {error.strerror}") from None
        return text.replace("\r\n", "\n").split("\n")[:-1]

    def _parsed(self, lines: list[str]) -> list[Row | None]:
        if not lines:
            return []
        names = _cells(lines[0])
        return [self._row(names, line) for line in lines[1:]]

    def _row(self, names: list[str], line: str) -> Row | None:
        """None where a cell that every row has is missing or not of its column's type."""
        try:
            cells = dict(zip(names, _cells(line), strict=True))
            values = {c.name: _value(c, cells.get(c.name)) for c in columns_of(self.row_type)}
            return self.row_type(**values)
        except ValueError:
            return None

    def write(self, rows: Iterable[Row]) -> None:
        """Replace the whole file: what is read of an older or cut-off table, before appending."""
        known = {c.name for c in columns_of(self.row_type)}
        if strangers := [n for n in _cells("".join(self._lines()[:1])) if n not in known]:
            warn(f"{self.path}: the columns {', '.join(strangers)} are not known and are left out")
        write_atomically(self.path, as_csv(self.row_type, rows).encode())

    def append(self, row: Row) -> None:
        """Add a line to a table that `write` made or `read` found with these columns."""
        try:
            with uninterrupted(), self.path.open("ab") as file:
                file.write(_line(row).encode())
        except OSError as error:
            raise InputError(f"{self.path}: cannot write: {error.strerror}") from None


def as_csv(row_type: type[Row], rows: Iterable[Row]) -> str:
    """The rows as CSV text, header first."""
    header = ",".join(c.name for c in columns_of(row_type))
    return header + "\n" + "".join(map(_line, rows))


def as_markdown(row_type: type) -> str:
    """The columns, their units and meanings, as a table for docs/."""
    lines = ["| column | unit | what |", "|---|---|---|"]
    lines += [f"| `{c.name}` | {c.unit or '-'} | {c.meaning} |" for c in columns_of(row_type)]
    return "\n".join(lines) + "\n"


def _line(row: Any) -> str:
    out = io.StringIO()
    values = [getattr(row, c.name) for c in columns_of(type(row))]
    csv.writer(out, lineterminator="").writerow(["" if v is None else v for v in values])
    return out.getvalue().replace("\n", " ") + "\n"  # a row is a line


def _cells(line: str) -> list[str]:
    try:
        return next(csv.reader([line]), [])
    except csv.Error:
        return []


def _value(column: Column, text: str | None) -> Value:
    if column.optional and not text:
        return None
    if text is None or (text == "" and column.type is not str):
        raise ValueError(column.name)
    value = column.type(text)
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(column.name)
    return value
