"""checks.yaml: the limits that designs are judged by."""

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from pxtools.errors import InputError, shown
from pxtools.runs.files import write_atomically
from pxtools.runs.tables import Check, columns_of
from pxtools.scoring.columns import Scores
from pxtools.scoring.predictions import Prediction
from pxtools.shipped import PRESETS
from pxtools.task.parsing import Once, Repeated

Checks = Mapping[str, Check]
LIMITS = ("low", "high", "above", "below")


@dataclass(frozen=True)
class Filter:
    """Limits that a prediction by one of the predictors must keep, all of them."""

    predictors: tuple[str, ...]
    limits: tuple[Check, ...]

    def passes(self, prediction: Prediction) -> bool:
        """A prediction that lacks a value does not."""
        return prediction.predictor in self.predictors and all(
            limit.passes(prediction) and getattr(prediction, name) is not None
            for limit in self.limits
            for name in limit.of
        )


Filters = Mapping[str, Filter]


@dataclass(frozen=True)
class Limits:
    """What designs are judged by, and what structure predictors say of them."""

    checks: Checks
    filters: Filters
    text: bytes  # of their file


def limits_of(folder: Path, given: Limits | None = None) -> Limits:
    """Those that the run in a folder is judged by: `given`, else the last that were, or standard.

    They are kept in its checks.yaml; the standard ones need none. Raises InputError.
    """
    own = folder / "checks.yaml"
    if given is None:
        return read_limits(own) if own.is_file() else standard_limits()
    if given == standard_limits():
        own.unlink(missing_ok=True)
    elif not own.is_file() or own.read_bytes() != given.text:
        write_atomically(own, given.text)
    return given


@cache
def standard_limits() -> Limits:
    return read_limits(PRESETS / "checks.yaml")


def read_limits(path: Path) -> Limits:
    """Raises InputError, naming file and field. Without filters they are the standard ones."""
    try:
        text = path.read_bytes()
        held = yaml.load(text.decode(), Loader=Once)
    except OSError as error:
        raise InputError(f"{path}: cannot read: {error.strerror}") from None
    except Repeated as error:
        raise InputError(f"{path}: {error}") from None
    except (UnicodeDecodeError, yaml.YAMLError, RecursionError, ValueError) as error:
        raise InputError(
            f"{path}: not readable YAML: {shown(' '.join(str(error).split()))}"
        ) from None
    if not isinstance(held, dict):
        raise InputError.of(path, "checks", "limits by name, as in presets/checks.yaml", held)
    filters = held.get("filters")
    read = standard_limits().filters if filters is None else _filters(path, filters)
    return Limits(_checks(path, held.get("checks")), read, text)


def _checks(path: Path, checks: Any) -> Checks:
    if not isinstance(checks, dict):
        raise InputError.of(path, "checks", "limits by name, as in presets/checks.yaml", checks)
    names = [c.name for c in columns_of(Scores) if c.type is not str]
    return {
        str(name): _check(path, "checks", str(name), limits, names)
        for name, limits in checks.items()
    }


def _filters(path: Path, filters: Any) -> Filters:
    example = "{predictors: [boltz], limits: [{of: iptm, above: 0.8}]}"
    if not isinstance(filters, dict):
        raise InputError.of(path, "filters", "filters by name, as in presets/checks.yaml", filters)
    names = [c.name for c in columns_of(Prediction) if c.type is float]
    found = {}
    for name, held in filters.items():
        if not isinstance(held, dict) or set(held) != {"predictors", "limits"}:
            raise InputError.of(path, f"filters.{name}", example, held)
        predictors, limits = held["predictors"], held["limits"]
        if not isinstance(predictors, list) or not isinstance(limits, list) or not limits:
            raise InputError.of(path, f"filters.{name}", example, held)
        checks = (_check(path, f"filters.{name}", str(name), limit, names) for limit in limits)
        found[str(name)] = Filter(tuple(map(str, predictors)), tuple(checks))
    return found


def _check(path: Path, within: str, name: str, held: Any, names: list[str]) -> Check:
    where = f"checks.{name}" if within == "checks" else within
    if not name.isidentifier():  # `failed` lists names with spaces between them
        raise InputError.of(path, within, "names of letters, digits and _", name)
    if not isinstance(held, dict) or "of" not in held:
        raise InputError.of(path, where, "{of: COLUMN, high: NUMBER}", held)
    if unknown := sorted(map(str, set(held) - {f.name for f in fields(Check)})):
        raise InputError.of(path, where, "of, over, low, high, above, below", unknown[0])
    of = held["of"] if isinstance(held["of"], list) else [held["of"]]
    over = held.get("over")
    for column in [*of, *([] if over is None else [over])]:
        _known(path, where, column, names)
    limits = {limit: held[limit] for limit in LIMITS if held.get(limit) is not None}
    for limit, value in limits.items():
        if type(value) not in (int, float) or value != value:
            raise InputError.of(path, f"{where}.{limit}", "a number", value)
    if not limits or not of:
        raise InputError.of(
            path, where, "a column and at least one of low, high, above, below", held
        )
    return Check(of=tuple(of), over=over, **limits)


def _known(path: Path, where: str, column: Any, names: list[str]) -> None:
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
    limits = (
        ("at least", check.low),
        ("at most", check.high),
        ("more than", check.above),
        ("less than", check.below),
    )
    return f"`{value}` " + ", ".join(f"{words} {x}" for words, x in limits if x is not None)


def passed(predictions: Iterable[Prediction], filters: Filters) -> dict[str, set[str]]:
    """Of each design the filters that one of its predictions passes."""
    found: dict[str, set[str]] = {}
    for prediction in predictions:
        names = {name for name, one in filters.items() if one.passes(prediction)}
        found.setdefault(prediction.design, set()).update(names)
    return found


def bucket(names: set[str]) -> int:
    """Of the published ranking: 1 to 8 by what AF2-IG and Protenix say together, 9 for neither."""
    strict, easy = "af2" in names, "af2_easy" in names
    protenix, basic = "protenix" in names, "protenix_basic" in names
    order = (
        strict and protenix,
        strict and basic,
        easy and protenix,
        easy and basic,
        protenix,
        basic,
        strict,
        easy,
        True,
    )
    return order.index(True) + 1


def filters_as_markdown(filters: Filters) -> str:
    """The filters as a table for docs/."""
    lines = ["| filter | predictors | passes with |", "|---|---|---|"]
    for name, one in filters.items():
        limits = "; ".join(map(_in_words, one.limits))
        lines.append(f"| {name} | {', '.join(one.predictors)} | {limits} |")
    return "\n".join(lines) + "\n"
