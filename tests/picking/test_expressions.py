"""Expressions: what they say is what is chosen, and nothing else can be said."""

import warnings
from contextlib import suppress
from dataclasses import dataclass

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pxtools.errors import InputError
from pxtools.picking.expressions import condition, quantity
from pxtools.runs.tables import column, columns_of


@dataclass(frozen=True, kw_only=True)
class Row:
    name: str = column("its name")
    failed: str = column("checks")
    contacts: int = column("of them")
    strand: float | None = column("of it", empty="sometimes")


ROW = Row(name="a_1", failed="rg hotspots", contacts=12, strand=0.25)
EMPTY = Row(name="a_2", failed="", contacts=0)
COLUMNS = columns_of(Row)


def holds(text: str, row: Row = ROW) -> bool:
    return bool(condition("--where", text, COLUMNS).of(row))


def value(text: str, row: Row = ROW) -> float | None:
    result: float | None = quantity("--by", text, COLUMNS).of(row)
    return result


@pytest.mark.parametrize(
    "text",
    [
        "strand > 0.1 and failed != ''",
        "not (contacts < 12) or contacts == 0",
        "10 <= contacts <= 12",
        "'rg' in failed and 'target' not in failed",
        "name == 'a_1'",
        "-contacts + 2 * 6 == 0",
        "abs(contacts - 20) == 8 and min(contacts, 3) == 3 and max(1, 2, contacts) == 12",
        "contacts / 5 > 2.3",
        "strand != ''",
    ],
)
def test_what_holds(text: str) -> None:
    assert holds(text)
    assert not holds(f"not ({text})")


def test_an_empty_cell_fulfils_no_comparison_but_with_nothing() -> None:
    for text in ("strand > 0", "strand <= 0", "strand == 0", "strand != 1", "1 / strand > 0"):
        assert not holds(text, EMPTY)
    assert holds("strand == ''", EMPTY) and not holds("strand == ''")
    assert holds("strand == '' or strand > 1", EMPTY) and holds("failed == ''", EMPTY)
    assert value("contacts * strand", EMPTY) is None


def test_a_division_by_zero_is_an_empty_value() -> None:
    assert value("1 / contacts", EMPTY) is None and not holds("1 / contacts > 0", EMPTY)


@given(st.integers(-5, 20), st.integers(-5, 20), st.floats(0, 1))
def test_arithmetic_is_pythons(a: int, b: int, strand: float) -> None:
    row = Row(name="", failed="", contacts=b, strand=strand)
    assert value(f"contacts * {a} - (strand + {b}) / 2", row) == b * a - (strand + b) / 2
    assert holds(f"contacts < {a} or strand >= 0.5", row) == (b < a or strand >= 0.5)


@pytest.mark.parametrize(
    "text, words",
    [
        ("contact > 3", "did you mean contacts?"),
        ("__import__('os').system('true') == 0", "abs(x)"),
        ("name.upper() == 'A'", "abs(x)"),
        ("name[0] == 'a'", "columns, numbers"),
        ("(lambda: 1)() == 1", "abs(x)"),
        ("[x for x in name] == 1", "columns, numbers"),
        ("contacts ** 9999 > 1", "+ - * or /"),
        ("name * 99 == ''", "a number in place of a text"),
        ("contacts > 'a'", "two of one kind"),
        ("contacts in 3", "two of one kind"),
        ("name and contacts > 1", "a comparison in place of a text"),
        ("contacts", "a comparison such as"),
        ("contacts = 3", "an expression such as"),
        ("contacts is 3", "a comparison of two values"),
        ("True", "a number or a text"),
        ("abs(1, 2) > 0", "abs(x)"),
        ("min(1) > 0", "abs(x)"),
        ("", "an expression such as"),
        ("(" * 300 + "1" + ")" * 300, "expression"),
        ("-" * 200 + "contacts > 1", "too many"),
        ("1 > " * 1000 + "1", "at most"),
        ("rg" + ".a" * 900, "a simpler expression"),
        ("~" * 1900 + "1", "expression"),
    ],
)
def test_what_cannot_be_said_is_refused_in_a_line(text: str, words: str) -> None:
    with pytest.raises(InputError) as error:
        condition("--where", text, COLUMNS)
    assert words in str(error.value) and "\n" not in str(error.value)


@example("1or contacts")
@given(st.text(alphabet="contacts strand failed'\"()<>=!+-*/.,0123456789[]{}:\\\n", max_size=40))
def test_any_text_is_an_expression_or_refused(text: str) -> None:
    with warnings.catch_warnings(record=True, action="always") as heard, suppress(InputError):
        holds(text)
    assert heard == []  # Python has something to say about 1or, in words of its own
