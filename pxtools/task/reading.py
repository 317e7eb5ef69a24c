"""Design tasks from JSON (the published pipeline's lists) or YAML (the short form)."""

import sys
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

from pxtools.console import warn
from pxtools.errors import InputError
from pxtools.runs.folder import is_structure
from pxtools.structure.residue_number import ResidueNumber
from pxtools.task import fields
from pxtools.task.fields import Field, mapping
from pxtools.task.parsing import parse
from pxtools.task.types import BinderLengths, ChainPick, Task

MAX_TASK_BYTES = 10_000_000
A_TASK = "binder_length: 80, target: {file: target.cif, chains: {A: all}}"
A_TARGET = "{file: target.cif, chains: {A: all}}"
A_CHAIN = "all, or such as {crop: 1-50, hotspots: [40, 99]}"
A_FILTER = '{"chain_id": ["A"], "crop": {"A": "1-50"}}'
A_CONDITION = '{"structure_file": "target.cif", "filter": {"chain_id": ["A"]}}'
A_BINDER = '[{"type": "protein", "length": 80}]'
A_JSON_TASK = f'{{"name": "x", "condition": {A_CONDITION}, "generation": {A_BINDER}}}'
A_SWEEP = "{hotspots: {loop: [40, 99], helix: [60]}, binder_length: [60, 80]}"


def read_tasks(path: str) -> list[Task]:
    """Read all tasks of a JSON or YAML file (`-`: standard input).

    Raises InputError, naming file and field, for anything that is not a task.
    """
    source = "<stdin>" if path == "-" else path
    data = parse(source, _read_text(path, source))
    base = Path() if path == "-" else Path(path).parent
    items = data if isinstance(data, list) else [data]
    if not items:
        raise InputError.of(source, "tasks", "at least one task", "an empty list")
    tasks: list[Task] = []
    for number, item in enumerate(items, 1):
        at = Field(source, f"task {number}" if isinstance(data, list) else "")
        tasks += _tasks(at, base, item)
    names = [task.name.lower() for task in tasks]  # file systems may ignore case
    for i, task in enumerate(tasks):
        if task.name.lower() in names[:i]:
            raise InputError.of(source, "name", "a name of its own for each task", task.name)
    return tasks


def _read_text(path: str, source: str) -> str:
    try:
        raw = sys.stdin.buffer.read(MAX_TASK_BYTES + 1) if path == "-" else _head(Path(path))
        if is_structure(path):
            raise InputError(
                f"{source}: expected a task file, found a structure: px-target {source} prints a "
                "task for it"
            )
        if len(raw) > MAX_TASK_BYTES:
            raise InputError(f"{source}: expected a task file under {MAX_TASK_BYTES:,} bytes")
        return raw.decode("utf-8-sig")
    except OSError as error:
        near = None if path == "-" else fields.file_beside(Path(path))
        hint = f"; did you mean {near}?" if near and not Path(path).exists() else ""
        raise InputError(f"{source}: cannot read the task file: {error.strerror}{hint}") from None
    except UnicodeDecodeError:
        raise InputError(
            f"{source}: expected a JSON or YAML task file, found bytes that are not text"
        ) from None


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(MAX_TASK_BYTES + 1)


def _tasks(at: Field, base: Path, item: Any) -> list[Task]:
    is_json = at.source.lower().endswith(".json")
    if not isinstance(item, dict):
        raise at.wrong(f"a task such as {A_JSON_TASK if is_json else A_TASK}", item)
    if {"target", "binder_length", "task_name", "sweep"}.isdisjoint(item) and (
        is_json or not {"name", "condition", "generation"}.isdisjoint(item)
    ):
        return [_from_json(at, base, item)]
    return _from_yaml(at, base, item)


def _from_json(at: Field, base: Path, task: dict[str, Any]) -> Task:
    known = ["name", "condition", "hotspot", "generation", "remove_unresolved_atoms"]
    mapping(at, task, A_JSON_TASK, known)
    name = fields.task_name(at / "name", task.get("name"))
    at = Field(at.source, f"task {name}")
    if task.get("condition") is None:
        raise (at / "condition").wrong(
            f"a target to bind (a free monomer cannot be made here), such as {A_CONDITION}", None
        )
    condition = mapping(
        at / "condition", task["condition"], A_CONDITION, ["structure_file", "filter", "msa"]
    )
    for ignored in ("msa", "remove_unresolved_atoms"):
        if condition.get(ignored) or task.get(ignored):
            warn(f"{at.source}: task {name}: {ignored} is ignored: the generator does not use it")
    return Task(
        at.source,
        name,
        fields.structure_file(
            at / "condition.structure_file", base, condition.get("structure_file")
        ),
        _json_chains(at, condition, task.get("hotspot") or {}),
        _generation(at / "generation", task.get("generation")),
    )


def _json_chains(at: Field, condition: dict[str, Any], hotspot: Any) -> tuple[ChainPick, ...]:
    inside = at / "condition.filter"
    picked = mapping(inside, condition.get("filter") or {}, A_FILTER, ["chain_id", "crop"])
    crops = mapping(inside / "crop", picked.get("crop") or {}, '{"A": "1-50"}')
    spots = mapping(at / "hotspot", hotspot, '{"A": [40, 99]}')
    chain_ids = picked.get("chain_id")
    chain_ids = [chain_ids] if isinstance(chain_ids, str) else chain_ids
    if not isinstance(chain_ids, list) or not chain_ids:
        raise (inside / "chain_id").wrong('a list of chains such as ["A"]', chain_ids)
    chains = [fields.chain_name(inside / "chain_id", chain) for chain in chain_ids]
    for chain in chains:
        if chains.count(chain) > 1:
            raise (inside / "chain_id").wrong("each chain once", f"{chain} twice")
    for field, given in ((inside / "crop", crops), (at / "hotspot", spots)):
        for chain in given:
            if chain not in chains:
                near = fields.nearest(chain, chains)
                hint = f"; did you mean {near}?" if near else ""
                raise field.wrong(f"chains of chain_id ({', '.join(chains)}{hint})", chain)
    return tuple(
        _pick(
            chain,
            fields.crop(inside / "crop" / chain, chain, crops.get(chain)),
            fields.hotspots(at / "hotspot" / chain, chain, spots.get(chain), chains),
        )
        for chain in chains
    )


def _pick(
    chain: str, crop: tuple[tuple[int, int], ...] | None, hotspots: fields.HotspotNames
) -> ChainPick:
    return ChainPick(chain, crop, tuple(hotspots), _named(hotspots))


def _named(numbers: fields.HotspotNames) -> tuple[tuple[ResidueNumber, str], ...]:
    """Those that are said to be a certain residue."""
    return tuple((number, name) for number, name in numbers.items() if name)


def _generation(field: Field, generation: Any) -> BinderLengths:
    items = [generation] if isinstance(generation, dict) else generation
    if not isinstance(items, list) or len(items) != 1:
        raise field.wrong(f"one binder, {A_BINDER}", generation)
    item = mapping(field, items[0], A_BINDER, ["type", "length", "count"])
    if item.get("type", "protein") != "protein":
        raise (field / "type").wrong("protein", item["type"])
    if item.get("count") not in (None, 1, "1"):
        raise (field / "count").wrong(
            "1, a binder of one chain (--N_sample is the number of designs)", item["count"]
        )
    return fields.binder_lengths(field / "length", item.get("length"))


def _from_yaml(at: Field, base: Path, task: dict[str, Any]) -> list[Task]:
    mapping(at, task, A_TASK, ["task_name", "binder_length", "target", "sweep"])
    default = "stdin" if at.source == "<stdin>" else Path(at.source).stem
    name = fields.task_name(at / "task_name", task.get("task_name", default))
    if "sweep" in task:
        return _sweep(at, base, name, task)
    length = fields.binder_lengths(at / "binder_length", task.get("binder_length"))
    return [_from_target(at / "target", base, name, task.get("target"), length)]


def _from_target(field: Field, base: Path, name: str, target: Any, lengths: BinderLengths) -> Task:
    if isinstance(target, dict) and (inner := {"hotspots", "crop"} & target.keys()):
        raise InputError(
            f"{field.source}: {(field / min(inner)).place}: it belongs to a chain, "
            f"such as chains: {{A: {{crop: 1-50, hotspots: [40, 99]}}}}"
        )
    mapping(field, target, A_TARGET, ["file", "chains"])
    picks = _yaml_chains(field / "chains", target.get("chains"))
    if any(isinstance(pick, dict) and pick.get("msa") for pick in picks.values()):
        warn(f"{field.source}: msa is ignored: the generator does not use it")
    chains = tuple(_yaml_chain(field / "chains", c, picks) for c in picks)
    structure = fields.structure_file(field / "file", base, target.get("file"))
    return Task(field.source, name, structure, chains, lengths)


def _with_hotspots(
    field: Field, chains: tuple[ChainPick, ...], given: Any
) -> tuple[ChainPick, ...]:
    """The chains with a sweep's hotspots: {A: [40, 99]}, or [40, 99] for the only chain."""
    names = [pick.chain for pick in chains]
    if not isinstance(given, dict):
        if len(names) > 1:
            raise field.wrong(f"hotspots by chain, such as {{{names[0]}: [40, 99]}}", given)
        given = {names[0]: given}
    mapping(field, given, f"{{{names[0]}: [40, 99]}}", names)
    spots = {c: fields.hotspots(field / c, c, given.get(c), names) for c in names}
    return tuple(
        replace(pick, hotspots=tuple(spots[pick.chain]), hotspot_names=_named(spots[pick.chain]))
        for pick in chains
    )


def _yaml_chains(field: Field, chains: Any) -> dict[str, Any]:
    """What is picked of each chain; a plain list or text of chains takes them whole."""
    if isinstance(chains, str):
        chains = chains.replace(",", " ").split()
    if isinstance(chains, list):
        names = [fields.chain_name(field, chain) for chain in chains]
        if len(set(names)) < len(names):
            raise field.wrong("each chain once", chains)
        chains = dict.fromkeys(names)
    if not isinstance(chains, dict) or not chains:
        raise field.wrong("at least one chain, such as {A: all}", chains)
    return {fields.chain_name(field, chain): pick for chain, pick in chains.items()}


def _yaml_chain(field: Field, chain: str, picks: dict[str, Any]) -> ChainPick:
    pick, field = picks[chain], field / chain
    if fields.is_whole(pick):
        return ChainPick(chain, None, ())
    mapping(field, pick, A_CHAIN, ["crop", "hotspots", "avoid", "msa"])
    picked = _pick(
        chain,
        fields.crop(field / "crop", chain, pick.get("crop")),
        fields.hotspots(field / "hotspots", chain, pick.get("hotspots"), picks),
    )
    avoid = fields.hotspots(field / "avoid", chain, pick.get("avoid"), picks)
    return replace(picked, avoid=tuple(avoid), avoid_names=_named(avoid))


def _sweep(at: Field, base: Path, name: str, task: dict[str, Any]) -> list[Task]:
    """A task for each target, set of hotspots and length, named NAME_TARGET_SET_LENGTH."""
    field = at / "sweep"
    sweep = mapping(field, task["sweep"], A_SWEEP, ["target", "hotspots", "binder_length"])
    for both in task.keys() & sweep.keys():
        raise (field / both).wrong(f"{both} in one place", "another one outside sweep")
    targets = _axis(field / "target", sweep, A_TARGET, {"": task.get("target")})
    spots = _axis(field / "hotspots", sweep, "[40, 99]", {"": None})
    lengths = {"": task.get("binder_length")}
    if "binder_length" in sweep:
        given = sweep["binder_length"]
        lengths = {str(value): value for value in (given if isinstance(given, list) else [given])}
    tasks = []
    for target, spot, length in product(targets, spots, lengths):
        own = fields.task_name(field, "_".join(filter(None, (name, target, spot, length))))
        where = field / "target" / target if target else at / "target"
        drawn = fields.binder_lengths((field if length else at) / "binder_length", lengths[length])
        made = _from_target(where, base, own, targets[target], drawn)
        if spot:
            if any(pick.hotspots for pick in made.chains):
                raise field.wrong("hotspots in one place", "others in target")
            chains = _with_hotspots(field / "hotspots" / spot, made.chains, spots[spot])
            made = replace(made, chains=chains)
        tasks.append(made)
    if not tasks:
        raise field.wrong(f"such as {A_SWEEP}", sweep)
    return tasks


def _axis(
    field: Field, sweep: dict[str, Any], value: str, default: dict[str, Any]
) -> dict[str, Any]:
    """The named values that a sweep goes through; `default` where it has none."""
    kind = field.name.rpartition(".")[2]
    if kind not in sweep:
        return default
    example = f"named {'targets' if kind == 'target' else 'sets'} such as {{loop: {value}}}"
    named = mapping(field, sweep[kind], example)
    if not named:
        raise field.wrong(example, named)
    return named
