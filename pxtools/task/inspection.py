"""A task before its run: what the model will see of the target, and what a designer should know."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import gemmi
import numpy as np

from pxtools.console import in_columns
from pxtools.network.weights import ModelFile
from pxtools.runs.folder import consecutive
from pxtools.structure.atoms import chain_name
from pxtools.structure.backbone import expected_radius
from pxtools.structure.geometry import distances, exposed_area
from pxtools.structure.reading import Polymer, author_number, heavy_atoms
from pxtools.structure.residue_number import ResidueNumber
from pxtools.structure.residues import vdw_radius
from pxtools.structure.target import TargetResidue
from pxtools.task.design import Design, prepare
from pxtools.task.target import pick_target, read_polymers
from pxtools.task.types import ChainPick, Task

BURIED = 0.10  # of the surface that the residue would have alone
CUT_REACH = 10.0  # Å
FEW = 10  # residues that are named one by one
COLUMNS = ("CHAIN", "NEW", "LENGTH", "KEPT", "CROP", "UNRESOLVED", "MODIFIED", "HOTSPOTS", "AVOID")


@dataclass(frozen=True)
class Check:
    """A valid task: what a run would work on, and the whole chains it is cut from."""

    design: Design
    polymers: dict[str, Polymer]


def check(task: Task, model: ModelFile) -> Check:
    """Read a task as a run would. Raises InputError."""
    polymers = read_polymers(task)
    return Check(prepare(task, pick_target(task, polymers), model), polymers)


def report(c: Check) -> str:
    """What the model will see, for people."""
    by_label = next(iter(c.polymers.values())).by_label
    numbering = "mmCIF: label ids" if by_label else "the file's own chains and numbers"
    f, model, task = c.design.features, c.design.model, c.design.task
    rows = [COLUMNS, *(_row(c, i) for i in range(len(c.design.target)))]
    rows.append(("binder", chain_name(len(c.design.target)), str(task.binder_lengths), *"------"))
    if not any(pick.avoid for pick in task.chains):
        rows = [row[:-1] for row in rows]
    lines = [
        f"task       {task.name} ({task.source})",
        f"structure  {task.structure} ({numbering})",
        f"model      {model.name} (sees {model.config.target_atoms} atoms of the target)",
        f"size       {f.n_tokens} tokens, {len(f.atoms)} atoms, "
        f"about {model.memory(f.n_tokens):.1f} GB of memory on a CPU",
        "",
        *in_columns(rows),
    ]
    return "\n".join(lines)


def _row(c: Check, i: int) -> tuple[str, ...]:
    pick, chain = c.design.task.chains[i], c.design.target[i]
    polymer = c.polymers[pick.chain]
    name = pick.chain
    if polymer.author_chain != name:
        name += f" (author {polymer.author_chain})"
    sites = {polymer.number(site): site for site in polymer.sites}
    kept = [sites[residue.number] for residue in chain.residues]
    changed = [
        f"{site.name} {r.number} -> {r.name}"
        for site, r in zip(kept, chain.residues, strict=True)
        if site.name != r.name
    ]
    hotspots = [_label(sites[r.number], r.number, r.name) for r in chain.residues if r.is_hotspot]
    return (
        name,
        chain_name(i),
        str(len(polymer.sequence)),
        str(len(chain.residues)),
        pick.crop_text,
        _unresolved(polymer, pick),
        ", ".join(changed) or "-",
        ", ".join(hotspots) or "-",
        _avoided(pick, sites),
    )


def _avoided(pick: ChainPick, sites: dict[ResidueNumber, gemmi.Residue]) -> str:
    """By name and number; many by number alone."""
    if len(pick.avoid) > FEW:
        return ranges({n.number for n in pick.avoid})
    return ", ".join(_label(sites[n], n, sites[n].name) for n in pick.avoid) or "-"


def _label(site: gemmi.Residue, number: ResidueNumber, name: str) -> str:
    author = author_number(site)
    other = f" (author {author})" if author != number else ""
    return f"{name} {number}{other}"


def _unresolved(polymer: Polymer, pick: ChainPick) -> str:
    """Residues of the sequence that the crop asks for and the file has no coordinates of."""
    resolved = set(polymer.label_seq)
    absent = [n for n in range(1, len(polymer.sequence) + 1) if n not in resolved]
    if polymer.by_label:
        return ranges(n for n in absent if pick.keeps(n)) or "-"
    kept = [
        seq
        for site, seq in zip(polymer.sites, polymer.label_seq, strict=True)
        if pick.keeps(polymer.number(site).number)
    ]
    between = [n for n in absent if pick.crop is None or kept[0] < n < kept[-1]]
    return f"{len(between)} of SEQRES" if between else "-"


def ranges(numbers: Iterable[int]) -> str:
    """1, 2, 3, 7 -> 1-3, 7."""
    spans = [(run[0], run[-1]) for run in consecutive(sorted(numbers))]
    return ", ".join(f"{a}-{b}" if a < b else str(a) for a, b in spans)


@dataclass(frozen=True)
class Hotspot:
    """A hotspot by its name in messages, with its atoms in Å."""

    label: str
    xyz: np.ndarray
    center: np.ndarray  # CB, or CA


def warnings(c: Check) -> Iterator[str]:
    """What designers get wrong, one line each."""
    hotspots = [
        _hotspot(pick.chain, r)
        for pick, chain in zip(c.design.task.chains, c.design.target, strict=True)
        for r in chain.residues
        if r.is_hotspot
    ]
    if not hotspots:
        yield "no hotspots: the binder may sit anywhere on the target"
    whole = [(pick, site) for pick in c.design.task.chains for site in c.polymers[pick.chain].sites]
    yield from _author_numbers(c)
    yield from _avoided_in_vain(c)
    yield from _buried(hotspots, whole)
    yield from _far_apart(hotspots, c.design.task.binder_lengths.longest)
    yield from _cut_close(hotspots, whole, c.polymers)


def _hotspot(chain: str, r: TargetResidue) -> Hotspot:
    xyz = r.xyz[np.isfinite(r.xyz).all(1)]
    names = ("N", "CA", "C", "O", "CB")[: len(r.xyz)]
    places = [r.xyz[names.index(n)] for n in ("CB", "CA") if n in names]
    center = next((p for p in places if np.isfinite(p).all()), xyz[0])
    return Hotspot(f"{chain} {r.name} {r.number}", xyz, center)


def _author_numbers(c: Check) -> Iterator[str]:
    for pick in c.design.task.chains:
        for what, numbers in (("hotspots", pick.hotspots), ("residues to avoid", pick.avoid)):
            if labels := c.polymers[pick.chain].labels_of(numbers):
                yield (
                    f"chain {pick.chain}: {what} are read as label_seq_id; if the author's "
                    f"numbers were meant, write these instead: {labels}"
                )


def _avoided_in_vain(c: Check) -> Iterator[str]:
    for pick in c.design.task.chains:
        if cut := [str(n) for n in pick.avoid if not pick.keeps(n.number)]:
            yield (
                f"chain {pick.chain}, avoid: not in the crop, so that px-score finds no contacts "
                f"with it: {', '.join(cut)}"
            )


def _buried(hotspots: list[Hotspot], whole: list[tuple[ChainPick, gemmi.Residue]]) -> Iterator[str]:
    heavy = [atom for _, site in whole for atom in heavy_atoms(site)]
    xyz = np.array([atom.pos.tolist() for atom in heavy])
    radii = np.array([vdw_radius(atom.element.name) for atom in heavy])
    for spot in hotspots:
        own = np.array([np.abs(xyz - p).sum(1).argmin() for p in spot.xyz])
        alone = exposed_area(xyz[own], radii[own], np.arange(len(own)))
        share = exposed_area(xyz, radii, own) / alone
        if share < BURIED:
            yield (
                f"hotspot {spot.label} is buried: {100 * share:.0f} % of its surface is exposed; "
                "a binder can hardly touch it"
            )


def _far_apart(hotspots: list[Hotspot], length: int) -> Iterator[str]:
    diameter = 2 * (5 / 3) ** 0.5 * expected_radius(length)  # of a ball of that gyration radius
    pairs = [
        (float(np.linalg.norm(a.center - b.center)), a.label, b.label)
        for a, b in combinations(hotspots, 2)
    ]
    if pairs and max(pairs)[0] > diameter:
        distance, a, b = max(pairs)
        yield (
            f"hotspots {a} and {b} are {distance:.0f} Å apart; a globular binder of {length} "
            f"residues is about {diameter:.0f} Å wide"
        )


def _cut_close(
    hotspots: list[Hotspot],
    whole: list[tuple[ChainPick, gemmi.Residue]],
    polymers: dict[str, Polymer],
) -> Iterator[str]:
    if not hotspots:
        return
    spots = np.concatenate([spot.xyz for spot in hotspots])
    cut: dict[str, list[int]] = {}
    for pick, site in whole:
        number = polymers[pick.chain].number(site).number
        if pick.keeps(number):
            continue
        lost = np.array([atom.pos.tolist() for atom in heavy_atoms(site)]).reshape(-1, 3)
        if (distances(lost, spots) < CUT_REACH).any():
            cut.setdefault(pick.chain, []).append(number)
    for chain, numbers in cut.items():
        yield (
            f"the crop cuts within {CUT_REACH:.0f} Å of a hotspot: chain {chain} loses "
            f"{ranges(set(numbers))}, where the binder may then be put"
        )


def pymol_script(c: Check, cif: Path) -> str:
    """Loads structure and cropped target; crop in blue, hotspots in orange, avoid in red."""
    files = {"structure": c.design.task.structure, "target": cif}
    lines = [
        f'cmd.load({json.dumps(str(path.resolve()))}, "{name}")' for name, path in files.items()
    ]
    lines += [
        "hide everything",
        "show cartoon, structure or target",
        "color grey80, structure",
        "set cartoon_transparency, 0.6, structure",
        "color marine, target",
    ]
    marks = (
        ("hotspots", "orange", [pick.hotspots for pick in c.design.task.chains]),
        ("avoid", "red", [pick.avoid for pick in c.design.task.chains]),
    )
    for name, colour, numbers in marks:
        residues = [
            f"(chain {chain_name(i)} and resi {str(n).replace('-', chr(92) + '-')})"
            for i, of_chain in enumerate(numbers)
            for n in of_chain
        ]
        if residues:
            lines += [f"select {name}, target and ({' or '.join(residues)})"]
            lines += [f"show sticks, {name}", f"color {colour}, {name}", "deselect"]
    return "\n".join([*lines, "zoom target", ""])
