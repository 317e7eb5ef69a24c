"""The text of a task file as plain values, and in a sentence what is wrong with it where it fails.

Scalars of YAML stay as they were typed: text, but for null and true and false.
"""

import json
import re
from collections.abc import Hashable
from typing import Any

import yaml

from pxtools.errors import InputError, shown


def parse(source: str, text: str) -> Any:
    """The values of a JSON or YAML text. Raises InputError, naming line and usual cause."""
    try:
        if text.lstrip()[:1] in ("{", "["):
            return json.loads(text, object_pairs_hook=lambda pairs: _once(pairs, text))
        if source.lower().endswith(".json") and text.strip():
            raise InputError(
                f"{source}: it ends in .json but does not begin with [ or {{: "
                "name a YAML task file .yaml"
            )
        return yaml.load(text, Loader=_Loader)
    except Repeated as error:
        raise InputError(f"{source}: {error}") from None
    except json.JSONDecodeError as error:
        raise InputError(f"{source}, line {error.lineno}: {_json_cause(error)}") from None
    except yaml.MarkedYAMLError as error:
        line, cause = _yaml_cause(error, text.splitlines())
        raise InputError(f"{source}, line {line}: {cause}") from None
    except yaml.YAMLError as error:  # a character that YAML does not allow
        raise InputError(f"{source}: not readable as YAML: {shown(_one_line(error))}") from None
    except RecursionError:
        raise InputError(f"{source}: its brackets are nested too deeply") from None
    except ValueError as error:
        raise InputError(f"{source}: not readable as JSON: {shown(_one_line(error))}") from None


class Repeated(Exception):
    """A field that is given twice: one of the two would be lost."""


def _once(pairs: list[tuple[str, Any]], text: str) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        lines = text.splitlines()
        at = [n for n, line in enumerate(lines, 1) if f"{json.dumps(twice)}:" in line]
        where = f" (lines {at[0]} and {at[1]})" if len(at) == 2 else ""
        raise Repeated(f'"{shown(twice)}" is given twice{where}: keep one')
    return fields


def _json_cause(error: json.JSONDecodeError) -> str:
    text, at = error.doc, error.pos
    rest = text[at:].lstrip()
    before = text[:at].rstrip()
    if rest[:1] in ("]", "}") and before.endswith(","):
        return f"a comma too many before {rest[0]}"
    if rest[:1] == "," and before.endswith(","):
        return "a comma too many"
    if error.msg.startswith("Illegal trailing comma"):
        return f"a comma too many before {text[at + 1 :].lstrip()[:1]}"
    if rest.startswith(("//", "/*", "#")):
        return "JSON has no comments: take it out, or write the task as YAML, where # begins one"
    if rest[:1] in ("'", "‘", "“", "”"):
        return f'JSON wants straight double quotes: "...", found {shown(rest.split()[0], 30)}'
    if error.msg.startswith(("Unterminated string", "Invalid control character")):
        return 'the closing " of a text is missing'
    if not rest:
        return "the file ends early: a closing ] or } is missing"
    if error.msg.startswith("Expecting ',' delimiter"):
        return f"a comma or a closing bracket is missing before {_word(rest)}"
    if error.msg.startswith("Expecting ':' delimiter"):
        return f"a colon is missing before {_word(rest)}"
    if error.msg.startswith("Extra data"):
        return f"more after the end of the tasks: {_word(rest)}; several tasks go into one [ ]"
    if "property name" in error.msg:
        return f'names stand in double quotes: "{_word(rest).partition(":")[0]}"'
    return f'expected a "text", a number, [ or {{, true, false or null, found {_word(rest)}'


def _word(text: str) -> str:
    return shown(re.split(r"[\s,\]}]", text, maxsplit=1)[0] or text[:1], 30)


class Once(yaml.SafeLoader):
    """YAML in which no field is given twice. Raises Repeated."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        lines: dict[str, int] = {}
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.tag != "tag:yaml.org,2002:merge":
                line = key.start_mark.line + 1
                if key.value in lines:
                    first = lines[key.value]
                    where = f"lines {first} and {line}" if first < line else f"line {line}"
                    raise Repeated(f"{shown(key.value)} is given twice ({where}): keep one")
                lines[key.value] = line
        return super().construct_mapping(node, deep)


class _Loader(Once):
    """YAML without the guesses that change what was typed: 10:40, 010, no, 1e3, 2024-01-05."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012


for _tag, _pattern, _first in (
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("bool", r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    ("merge", r"<<", ["<"]),
):
    _Loader.add_implicit_resolver(
        f"tag:yaml.org,2002:{_tag}", re.compile(rf"(?:{_pattern})\Z"), _first
    )


def _yaml_cause(error: yaml.MarkedYAMLError, lines: list[str]) -> tuple[int, str]:
    mark = error.problem_mark or error.context_mark
    number = mark.line + 1 if mark else 1
    line = lines[number - 1] if number <= len(lines) else ""
    problem, context = error.problem or "", error.context or ""
    if tab := next(
        (n for n in (number, number - 1) if 0 < n <= len(lines) and _is_tabbed(lines[n - 1])), None
    ):
        return tab, "a tab: YAML wants spaces"
    if "could not find expected ':'" in problem:
        missing = error.context_mark.line + 1 if error.context_mark else number
        return missing, f'a colon and a space are missing after "{shown(lines[missing - 1], 40)}"'
    if "mapping values are not allowed here" in problem:
        return _colon_cause(number, line, lines)
    if "while scanning a quoted scalar" in context:
        began = error.context_mark.line + 1 if error.context_mark else number
        return began, "the closing quote of a text is missing"
    if "found '<stream end>'" in problem:
        return number, "the file ends early: a closing ] or } is missing"
    if bracket := re.match(r"expected ',' or '(.)'", problem):
        began = error.context_mark.line + 1 if error.context_mark else number
        return began, f"a comma or the closing {bracket[1]} is missing"
    if "double-quoted scalar" in context:
        return number, f"a \\ in double quotes: use single ones: {shown(line.strip(), 60)}"
    if "expected <block end>" in problem:
        return number, f'"{shown(line.strip(), 40)}" is indented unlike the lines above it'
    if "cannot start any token" in problem:
        return number, f'put the text that begins with {problem.split()[2]} in quotes: "..."'
    if "expected a single document" in context + problem:
        return number, "a second document (---): a file holds one; several tasks go into one list"
    if "undefined alias" in problem:
        return number, f'put the text that begins with * in quotes: "{shown(line.strip(), 40)}"'
    return number, f"not readable as YAML: {shown(_one_line(f'{context} {problem}'))}"


def _colon_cause(number: int, line: str, lines: list[str]) -> tuple[int, str]:
    """A colon where a text goes on: the line above lacks one, or this one has one too many."""
    above = next((n for n in range(number - 1, 0, -1) if lines[n - 1].strip()), 0)
    before = lines[above - 1].split(" #")[0].strip() if above else ""
    if glued := re.fullmatch(r"(\w+):(\S+)", before):
        spaced = shown(f"{glued[1]}: {glued[2]}", 40)
        return above, f'a space is missing after the colon: "{spaced}"'
    if (
        above
        and ": " not in before
        and not before.endswith(":")
        and line.split("{")[0].count(": ") < 2
    ):
        return above, f'a colon is missing after "{shown(before, 40)}"'
    if line.count(":") > 1:
        return number, f'two colons in "{shown(line.strip(), 40)}": put the text in quotes'
    return number, f'"{shown(line.strip(), 40)}" is indented unlike the lines above it'


def _is_tabbed(line: str) -> bool:
    return re.match(r"\s*\t|[^#]*:\s*\t", line) is not None


def _one_line(error: object) -> str:
    return " ".join(str(error).split())
