"""Append-only tables: rows come back as they were, whatever a killed process left."""

import resource
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from conftest import DATA
from hypothesis import given
from hypothesis import strategies as st

from pxtools.errors import InputError
from pxtools.runs.tables import Table, as_csv, as_markdown, column, columns_of, unfilled
from pxtools.scoring.columns import Scores


@dataclass(frozen=True, kw_only=True)
class Old:
    name: str = column("a name")
    count: int = column("of things", "pieces")
    size: float | None = column("of it", "Å", empty="without one")


@dataclass(frozen=True, kw_only=True)
class New(Old):
    area: float | None = column("covered", "Å²", later=True)
    depth: float | None = column("below it", "Å", empty="at the top", later=True)


def table(path: Path, row_type: Any = Old) -> Table[Any, str]:
    return Table(path, row_type, lambda row: row.name)


def test_a_row_that_has_no_room_is_an_error(tmp_path: Path) -> None:
    rows = table(tmp_path / "t.csv")
    rows.write([Old(name="a", count=1)])
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (rows.path.stat().st_size + 5, limits[1]))
    try:
        with pytest.raises(InputError, match="cannot write: File too large"):
            rows.append(Old(name="b" * 50, count=2))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert rows.read(lambda row: True) == {"a": Old(name="a", count=1)}


ROWS = st.lists(
    st.builds(
        Old,
        name=st.text(st.characters(codec="utf-8", exclude_characters="\r\n\0")),
        count=st.integers(),
        size=st.none() | st.floats(allow_nan=False, allow_infinity=False),
    ),
    unique_by=lambda row: row.name,
)


@given(ROWS, st.integers(0, 400))
def test_rows_come_back_and_a_cut_off_line_takes_no_other_row_with_it(
    rows: list[Old], cut: int
) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "x.csv"
        table(path).write([])
        for row in rows:
            table(path).append(row)
        assert list(table(path).read().values()) == rows
        data = path.read_bytes()
        path.write_bytes(data[: len(data) - cut])
        kept = data[: len(data) - cut].count(b"\n") - 1
        assert list(table(path).read().values()) == rows[: max(kept, 0)]


def test_of_rows_with_the_same_key_the_last_counts(tmp_path: Path) -> None:
    rows = [Old(name="a", count=1), Old(name="b", count=2), Old(name="a", count=3)]
    table(tmp_path / "x").write(rows)
    assert table(tmp_path / "x").read() == {"a": rows[2], "b": rows[1]}
    assert table(tmp_path / "x").read(lambda row: row.count < 3)["a"] == rows[0]


def test_rows_of_an_older_table_are_kept_and_filled_in(tmp_path: Path) -> None:
    old = Old(name="a", count=1, size=0.1)
    table(tmp_path / "x").write([old])
    (row,) = table(tmp_path / "x", New).read().values()
    assert row == New(**vars(old)) and unfilled(row) == ["area"]
    assert unfilled(replace(row, area=0.0)) == []


@pytest.mark.parametrize("line", ["a,1", "a,1,2,3", "a,x,", "a,,", "a,1,nan", "a,1,inf", '"a,1,'])
def test_a_damaged_line_is_no_row(tmp_path: Path, line: str) -> None:
    (tmp_path / "x").write_text(f"name,count,size\n{line}\nb,2,\n")
    assert table(tmp_path / "x").read() == {"b": Old(name="b", count=2)}


def test_columns_that_are_not_known_are_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "x").write_text("name,mine,count,size\na,9,1,\n")
    rows = table(tmp_path / "x").read()
    assert rows == {"a": Old(name="a", count=1)}
    table(tmp_path / "x").write(rows.values())
    assert "the columns mine are not known and are left out" in capsys.readouterr().err


def test_text_with_a_line_break_stays_one_row() -> None:
    text = as_csv(Old, [Old(name="a\nb", count=1)])
    assert text == "name,count,size\na b,1,\n"


def test_a_table_that_cannot_be_written_is_an_input_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot write"):
        table(tmp_path / "no" / "x").append(Old(name="a", count=1))


def test_columns_tell_type_unit_and_meaning() -> None:
    assert [(c.name, c.type, c.unit) for c in columns_of(Old)] == [
        ("name", str, ""),
        ("count", int, "pieces"),
        ("size", float, "Å"),
    ]
    assert "| `size` | Å | of it; empty without one |" in as_markdown(Old)


def test_the_first_summary_tables_are_still_read() -> None:
    rows = table(DATA / "scores" / "first_columns.csv", Scores)
    rows.key = lambda row: row.design
    found = list(rows.read().values())
    assert [row.design for row in found] == [f"bpti_sample_{i}" for i in range(3)]
    assert found[0].rank == 2 and found[1].failed == "hotspots" and found[2].run == "5e7c67d6e307"
