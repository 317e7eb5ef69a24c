"""checks.yaml: the limits that designs are judged by."""

import difflib
from collections.abc import Mapping
from dataclasses import fields, replace
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from pxtools.errors import InputError, shown
from pxtools.runs.tables import Check, columns_of
from pxtools.scoring.columns import Scores

Checks = Mapping[str, Check]
PACKAGE = Path(__file__).parent.parent
LIMITS = ("low", "high", "above")


@cache
def standard_checks() -> Checks:
    """Those of presets/checks.yaml, beside the package in a checkout, inside it when installed."""
    inside = PACKAGE / "presets"
    folder = inside if inside.is_dir() else PACKAGE.parent / "presets"
    return read_checks(folder / "checks.yaml")


def read_checks(path: Path) -> Checks:
    """Raises InputError, naming file and field."""
    try:
        held = yaml.safe_load(path.read_text())
    except OSError as error:
        raise InputError(f"{path}: cannot read: {error.strerror}") from None
    except (UnicodeDecodeError, yaml.YAMLError, RecursionError, ValueError) as error:
        raise InputError(
            f"{path}: not readable YAML: {shown(' '.join(str(error).split()))}"
        ) from None
    checks = held.get("checks") if isinstance(held, dict) else None
    if not isinstance(checks, dict):
        raise InputError.of(path, "checks", "limits by name, as in presets/checks.yaml", checks)
    return {str(name): _check(path, str(name), limits) for name, limits in checks.items()}


def _check(path: Path, name: str, held: Any) -> Check:
    where = f"checks.{name}"
    if not name.isidentifier():  # `failed` lists names with spaces between them
        raise InputError.of(path, "checks", "names of letters, digits and _", name)
    if not isinstance(held, dict) or "of" not in held:
        raise InputError.of(path, where, "{of: COLUMN, high: NUMBER}", held)
    if unknown := sorted(map(str, set(held) - {f.name for f in fields(Check)})):
        raise InputError.of(path, where, "of, over, low, high, above", unknown[0])
    of = held["of"] if isinstance(held["of"], list) else [held["of"]]
    over = held.get("over")
    for column in [*of, *([] if over is None else [over])]:
        _known(path, where, column)
    limits = {limit: held[limit] for limit in LIMITS if held.get(limit) is not None}
    for limit, value in limits.items():
        if type(value) not in (int, float) or value != value:
            raise InputError.of(path, f"{where}.{limit}", "a number", value)
    if not limits or not of:
        raise InputError.of(path, where, "a column and at least one of low, high, above", held)
    return Check(of=tuple(of), over=over, **limits)


def _known(path: Path, where: str, column: Any) -> None:
    names = [c.name for c in columns_of(Scores) if c.type is not str]
    if column not in names:
        nearest = difflib.get_close_matches(str(column), names, 1)
        wanted = f"a column with numbers{f', such as {nearest[0]}' if nearest else ''}"
        raise InputError.of(path, where, wanted, column)


def judged(row: Scores, checks: Checks) -> Scores:
    """The row with the checks that it fails; its rank goes if that changes."""
    failed = " ".join(name for name, check in checks.items() if not check.passes(row))
    return row if failed == row.failed else replace(row, failed=failed, rank=None)


def as_markdown(checks: Checks) -> str:
    """The checks as a table for docs/."""
    lines = ["| name | passes with |", "|---|---|"]
    lines += [f"| {name} | {_in_words(check)} |" for name, check in checks.items()]
    return "\n".join(lines) + "\n"


def _in_words(check: Check) -> str:
    value = " + ".join(check.of)
    if check.over:
        value = f"({value}) / {check.over}" if len(check.of) > 1 else f"{value} / {check.over}"
    limits = (("at least", check.low), ("at most", check.high), ("more than", check.above))
    return f"`{value}` " + ", ".join(f"{words} {x}" for words, x in limits if x is not None)
