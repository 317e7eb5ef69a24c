"""Design tasks from JSON (the published pipeline's lists) or YAML (the short form)."""

import json
import re
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

from pxtools.console import warn
from pxtools.errors import InputError
from pxtools.structure.residues import ResidueNumber
from pxtools.task.types import ChainPick, Task

MAX_TASK_BYTES = 10_000_000


def read_tasks(path: str) -> list[Task]:
    """Read all tasks of a JSON or YAML file (`-`: standard input).

    Raises InputError, naming file and field, for anything that is not a task.
    """
    source = "<stdin>" if path == "-" else path
    data = _parse(source, _read_text(path, source))
    base = Path() if path == "-" else Path(path).parent
    if isinstance(data, dict) and ("target" in data or "binder_length" in data):
        return [_from_yaml(source, base, data)]
    items = data if isinstance(data, list) else [data]
    if not items:
        raise InputError.of(source, "tasks", "at least one task", "an empty list")
    tasks = [_from_json(source, base, item, f"task {i + 1}") for i, item in enumerate(items)]
    names = [task.name.lower() for task in tasks]  # file systems may ignore case
    for i, task in enumerate(tasks):
        if task.name.lower() in names[:i]:
            raise InputError.of(source, "name", "a name of its own for each task", task.name)
    return tasks


def _read_text(path: str, source: str) -> str:
    try:
        raw = sys.stdin.buffer.read(MAX_TASK_BYTES + 1) if path == "-" else _head(Path(path))
        if len(raw) > MAX_TASK_BYTES:
            raise InputError(f"{source}: expected a task file under {MAX_TASK_BYTES:,} bytes")
        return raw.decode("utf-8-sig")
    except OSError as error:
        raise InputError(f"{source}: cannot read the task file: {error.strerror}") from None
    except UnicodeDecodeError:
        raise InputError(
            f"{source}: expected a JSON or YAML task file, found bytes that are not text"
        ) from None


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(MAX_TASK_BYTES + 1)


def _parse(source: str, text: str) -> Any:
    try:
        if source.lower().endswith(".json") or text.lstrip()[:1] in ("{", "["):
            return json.loads(text)
        return yaml.safe_load(text)
    except (ValueError, yaml.YAMLError, RecursionError) as error:
        where = str(error).replace("\n", " ")[:160]
        raise InputError(f"{source}: not a readable JSON or YAML task file: {where}") from None


def _from_json(source: str, base: Path, item: Any, where: str) -> Task:
    task = _mapping(source, where, item)
    name = _name(source, f"{where}, name", task.get("name"))
    at = f"task {name}"
    condition = _mapping(source, f"{at}, condition", task.get("condition"))
    pick = _mapping(source, f"{at}, condition.filter", condition.get("filter") or {})
    crop = _mapping(source, f"{at}, condition.filter.crop", pick.get("crop") or {})
    hotspot = _mapping(source, f"{at}, hotspot", task.get("hotspot") or {})
    _unknown(source, at, task, {"name", "condition", "hotspot", "generation"})
    _unknown(source, f"{at}, condition", condition, {"structure_file", "filter", "msa"})
    _unknown(source, f"{at}, condition.filter", pick, {"chain_id", "crop"})
    if condition.get("msa"):
        warn(f"{source}: {at}: msa is ignored: the generator does not use it")
    chain_ids = pick.get("chain_id")
    chain_ids = [chain_ids] if isinstance(chain_ids, str) else chain_ids
    if not isinstance(chain_ids, list) or not chain_ids:
        raise InputError.of(
            source, f"{at}, condition.filter.chain_id", "a list of chains", chain_ids
        )
    for field, given in (("condition.filter.crop", crop), ("hotspot", hotspot)):
        for chain in given:
            if chain not in chain_ids:
                raise InputError.of(
                    source, f"{at}, {field}", f"chains of chain_id ({_listed(chain_ids)})", chain
                )
    chains = tuple(
        ChainPick(
            _chain(source, f"{at}, condition.filter.chain_id", c, chain_ids),
            _crop(source, f"{at}, condition.filter.crop.{c}", crop.get(c)),
            _hotspots(source, f"{at}, hotspot.{c}", hotspot.get(c)),
        )
        for c in chain_ids
    )
    structure = _structure(source, f"{at}, condition.structure_file", base, condition)
    return Task(source, name, structure, chains, _generation(source, at, task.get("generation")))


def _generation(source: str, at: str, generation: Any) -> int:
    field = f"{at}, generation"
    items = [generation] if isinstance(generation, dict) else generation
    if not isinstance(items, list) or len(items) != 1:
        raise InputError.of(
            source, field, 'one binder, [{"type": "protein", "length": 80}]', generation
        )
    item = _mapping(source, field, items[0])
    _unknown(source, field, item, {"type", "length", "count"})
    if item.get("type", "protein") != "protein":
        raise InputError.of(source, f"{field}.type", "protein", item["type"])
    if item.get("count", 1) != 1:
        raise InputError.of(source, f"{field}.count", "1", item["count"])
    return _length(source, f"{field}.length", item.get("length"))


def _from_yaml(source: str, base: Path, task: dict) -> Task:
    name = task.get("task_name", "stdin" if source == "<stdin>" else Path(source).stem)
    name = _name(source, "task_name", name)
    target = _mapping(source, "target", task.get("target"))
    _unknown(source, "task", task, {"task_name", "binder_length", "target"})
    _unknown(source, "target", target, {"file", "chains"})
    picks = _mapping(source, "target.chains", target.get("chains"))
    if not picks:
        raise InputError.of(source, "target.chains", "at least one chain", "none")
    chains = tuple(_yaml_chain(source, f"target.chains.{c}", c, picks) for c in picks)
    if any(isinstance(pick, dict) and pick.get("msa") for pick in picks.values()):
        warn(f"{source}: msa is ignored: the generator does not use it")
    structure = _structure(source, "target.file", base, {"structure_file": target.get("file")})
    length = _length(source, "binder_length", task.get("binder_length"))
    return Task(source, name, structure, chains, length)


def _yaml_chain(source: str, field: str, chain: Any, picks: dict) -> ChainPick:
    chain_name = _chain(source, field, chain, [])
    pick = picks[chain]
    if pick is None or pick == "all":
        return ChainPick(chain_name, None, ())
    pick = _mapping(source, field, pick)
    _unknown(source, field, pick, {"crop", "hotspots", "msa"})
    return ChainPick(
        chain_name,
        _crop(source, f"{field}.crop", pick.get("crop")),
        _hotspots(source, f"{field}.hotspots", pick.get("hotspots")),
    )


def _mapping(source: str, field: str, value: Any) -> dict:
    if not isinstance(value, dict):
        raise InputError.of(source, field, "a mapping of fields", value)
    return value


def _unknown(source: str, field: str, value: dict, known: set[str]) -> None:
    for key in value:
        if key not in known:
            warn(
                f"{source}: {field}: unknown field {key!r} is ignored "
                f"(known: {_listed(sorted(known))})"
            )


def _listed(values: Iterable[Any]) -> str:
    return ", ".join(map(str, values))


def _name(source: str, field: str, name: Any) -> str:
    """A task name becomes a folder and file names, so it must be a plain, portable one."""
    plain = r"[A-Za-z0-9_+=@,()-][A-Za-z0-9_.+=@,() -]{0,127}"
    if not isinstance(name, str) or not re.fullmatch(plain, name) or name[-1] in ". ":
        expected = "a plain file name (letters, digits, _ - . and no slash, at most 128)"
        raise InputError.of(source, field, expected, name)
    return name


def _chain(source: str, field: str, chain: Any, all_chains: list) -> str:
    if isinstance(chain, int) and not isinstance(chain, bool):
        chain = str(chain)  # YAML reads a chain called 1 as a number
    if not isinstance(chain, str) or not chain.strip() or len(chain) > 16:
        raise InputError.of(source, field, "a chain name", chain)
    if all_chains.count(chain) > 1:
        raise InputError.of(source, field, "each chain once", f"{chain} twice")
    return chain


def _structure(source: str, field: str, base: Path, condition: dict) -> Path:
    """A relative path is tried beside the task file first, then in the working directory."""
    text = condition.get("structure_file")
    if not isinstance(text, str) or not text.strip() or "\0" in text:
        raise InputError.of(source, field, "the path of an mmCIF or PDB file", text)
    path = Path(text).expanduser()
    tried = [path] if path.is_absolute() else [base / path, path]
    for candidate in tried:
        if candidate.is_file():
            return candidate
    places = " or ".join(dict.fromkeys(map(str, tried)))
    raise InputError.of(source, field, "an existing mmCIF or PDB file", f"no file at {places}")


def _length(source: str, field: str, length: Any) -> int:
    if not isinstance(length, int) or isinstance(length, bool) or length < 1:
        raise InputError.of(source, field, "a number of residues, 1 or more", length)
    return length


def _crop(source: str, field: str, crop: Any) -> tuple[tuple[int, int], ...] | None:
    """`all`/None, "1-50,80-100", or a list of such; a single number is a range of one."""
    if crop is None or crop == "all" or crop == []:
        return None
    parts = crop if isinstance(crop, list) else [crop]
    ranges: list[tuple[int, int]] = []
    for part in (p for text in parts for p in str(text).split(",")):
        match = re.fullmatch(r"\s*(-?\d{1,6})(?:\s*-\s*(-?\d{1,6}))?\s*", part)
        if not match:
            raise InputError.of(source, field, "residue ranges such as 1-50,80-100", part)
        low, high = int(match[1]), int(match[2] or match[1])
        if low > high:
            raise InputError.of(source, field, "a range from low to high", part.strip())
        ranges.append((low, high))
    return tuple(ranges)


def _hotspots(source: str, field: str, hotspots: Any) -> tuple[ResidueNumber, ...]:
    values = [] if hotspots is None else hotspots if isinstance(hotspots, list) else [hotspots]
    numbers: list[ResidueNumber] = []
    for text in (p for value in values for p in str(value).split(",")):
        try:
            numbers.append(ResidueNumber.read(text))
        except ValueError:
            raise InputError.of(source, field, "residue numbers such as 40, 99", text) from None
    return tuple(dict.fromkeys(numbers))
