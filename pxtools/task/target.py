"""What a task picks of its structure: chains, crop, hotspots."""

from collections.abc import Iterable
from itertools import groupby, pairwise

import gemmi
import numpy as np

from pxtools.console import warn
from pxtools.errors import InputError
from pxtools.structure.parsing import NO_LETTER, bonded, read_structure
from pxtools.structure.reading import Polymer, atoms_twice, heavy_atoms, protein_chains
from pxtools.structure.residue_number import ResidueNumber
from pxtools.structure.residues import BACKBONE, CAPS, PROTONATED, parent_of, residue_types
from pxtools.structure.target import TargetChain, TargetResidue
from pxtools.task.fields import nearest
from pxtools.task.types import ChainPick, Task

FEW = 20  # residues that are named one by one


def read_target(task: Task) -> tuple[TargetChain, ...]:
    """The task's target chains, cropped, in the task's order.

    First model, highest-occupancy conformer; hydrogens, waters and hetero groups are left out.
    mmCIF chains and residues go by label ids, PDB ones by the file's own numbers.
    """
    return pick_target(task, read_polymers(task))


def read_polymers(task: Task) -> dict[str, Polymer]:
    """The chains of the task's structure by the name that the task uses for them."""
    return protein_chains(task.structure, read_structure(task.structure))


def pick_target(task: Task, polymers: dict[str, Polymer]) -> tuple[TargetChain, ...]:
    return tuple(_pick(task, pick, polymers) for pick in task.chains)


def _pick(task: Task, pick: ChainPick, polymers: dict[str, Polymer]) -> TargetChain:
    where = f"task {task.name}, chain {pick.chain}"
    polymer = _polymer(task, pick, where, polymers)
    inside = [
        (site, seq)
        for site, seq in zip(polymer.sites, polymer.label_seq, strict=True)
        if pick.keeps(polymer.number(site).number)
    ]
    caps = [site for site, _ in inside if site.name in CAPS]
    if caps:
        warn(f"{task.structure}: {where}: {_named(polymer, caps)}: capping groups are left out")
    inside = [(site, seq) for site, seq in inside if site.name not in CAPS]
    _refuse_unknown(task, where, polymer, [site for site, _ in inside])
    if twice := [site for site, _ in inside if atoms_twice(site)]:
        warn(
            f"{task.structure}: {where}: atoms with two places and no conformer letters, of which "
            f"the one of higher occupancy is taken: {_named(polymer, twice[:FEW])}"
        )
    _say_gaps(task, pick, where, polymer, [site for site, _ in inside])
    sequence = _sequence(task, where, polymer, inside)
    hotspots = set(pick.hotspots)
    residues = []
    for site, seq in inside:
        number = polymer.number(site)
        name = _parent_name(task, where, site, number)
        xyz = _coordinates(task, where, site, name, is_last=seq == len(polymer.sequence))
        if np.isfinite(xyz).any():
            residues.append(TargetResidue(name, number, seq, xyz, number in hotspots))
    _check_pick(task, pick, where, polymer, residues)
    _check_backbones(task, where, residues)
    return TargetChain(pick.chain, sequence, tuple(residues))


def _say_gaps(
    task: Task, pick: ChainPick, where: str, polymer: Polymer, sites: list[gemmi.Residue]
) -> None:
    """Without SEQRES nothing says what is missing: sequences have it neither."""
    if polymer.has_full_sequence:
        return
    gaps = []
    for before, after in pairwise(sites):
        first, last = (polymer.number(before).number + 1, polymer.number(after).number - 1)
        if first <= last and pick.keeps(first) and pick.keeps(last) and not bonded(before, after):
            gaps.append(f"{first}-{last}" if first < last else str(first))
    if gaps:
        warn(
            f"{task.structure}: {where}: {', '.join(gaps)} are missing, in the chain's sequence, "
            "too: the file does not say what they are"
        )


def _sequence(
    task: Task, where: str, polymer: Polymer, inside: list[tuple[gemmi.Residue, int]]
) -> tuple[str, ...]:
    """The chain's in full; where coordinates are of another amino acid, that one."""
    sequence = list(polymer.sequence)
    differ = []
    for site, seq in inside:
        if parent_of(site.name) != parent_of(sequence[seq - 1]):
            differ.append(f"{site.name} {polymer.number(site)} ({sequence[seq - 1]})")
            sequence[seq - 1] = site.name
    if differ:
        warn(
            f"{task.structure}: {where}: taken from the coordinates, other than in the sequence: "
            f"{_few(differ)}"
        )
    return tuple(sequence)


def _few(labels: list[str]) -> str:
    """The first of them, and how many more there are."""
    more = f" and {len(labels) - FEW} more" if len(labels) > FEW else ""
    return ", ".join(labels[:FEW]) + more


def _polymer(task: Task, pick: ChainPick, where: str, polymers: dict[str, Polymer]) -> Polymer:
    proteins = {name: p for name, p in polymers.items() if p.is_protein}
    if pick.chain in proteins:
        return proteins[pick.chain]
    held = ", ".join(_chain_named(name, p) for name, p in proteins.items())
    near = nearest(pick.chain, proteins)
    hint = f"; did you mean {near}?" if near else ""
    found = pick.chain
    if pick.chain in polymers:
        found += f", which is {polymers[pick.chain].kind}"
    raise InputError.of(
        task.source, where, f"a protein chain of {task.structure} ({held}{hint})", found
    )


def _chain_named(name: str, polymer: Polymer) -> str:
    if polymer.author_chain != name:
        return f"{name}, which authors call {polymer.author_chain}"
    return "_, which has no letter in the file" if name == NO_LETTER else name


def _refuse_unknown(task: Task, where: str, polymer: Polymer, sites: list[gemmi.Residue]) -> None:
    """Name all residues that are no amino acid or derive from none, and the crop without them."""
    unknown = [site for site in sites if parent_of(site.name) is None]
    if not unknown:
        return
    known = groupby(sites, key=lambda site: parent_of(site.name) is not None)
    runs = [[polymer.number(s).number for s in run] for is_known, run in known if is_known]
    crop = ",".join(f"{run[0]}-{run[-1]}" for run in runs)
    instead = f' (crop: "{crop}" leaves out what is none)' if crop else ""
    raise InputError.of(
        task.structure,
        where,
        f"amino acids, or modified ones with a known parent{instead}",
        _named(polymer, unknown),
    )


def _named(polymer: Polymer, sites: list[gemmi.Residue]) -> str:
    return ", ".join(f"{site.name} {polymer.number(site)}" for site in sites)


def _check_backbones(task: Task, where: str, residues: list[TargetResidue]) -> None:
    """The model sees backbones: a trace of CA atoms is not enough, a few gaps are."""
    bare = [r for r in residues if not np.isfinite(r.xyz[: len(BACKBONE)]).all()]
    if 2 * len(bare) > len(residues):
        lost = [
            atom
            for i, atom in enumerate(BACKBONE)
            if sum(not np.isfinite(r.xyz[i]).all() for r in bare) > len(bare) / 2
        ]
        raise InputError.of(
            task.structure,
            where,
            "residues with backbones (N, CA, C, O)",
            f"{len(bare)} of {len(residues)} without, most lack {', '.join(lost) or 'some'}",
        )
    if bare:
        names = _few([f"{r.name} {r.number}" for r in bare])
        warn(f"{task.structure}: {where}: backbone atoms are not resolved in {names}")


def _check_pick(
    task: Task, pick: ChainPick, where: str, polymer: Polymer, residues: list[TargetResidue]
) -> None:
    have = [polymer.number(site).number for site in polymer.sites]
    span = f"numbers {min(have)} to {max(have)}"
    if not residues:
        crop = ",".join(f"{a}-{b}" for a, b in pick.crop or ())
        ends = polymer.labels_of(ResidueNumber(n) for pair in pick.crop or () for n in pair)
        raise InputError.of(
            task.source,
            f"{where}, crop",
            f"residues of the chain ({span}{_if_authors(ends)})",
            crop or "none",
        )
    for low, high in pick.crop or ():
        if high > polymer.last or (low < min(have) and low < 1):
            warn(f"{task.source}: {where}: crop {low}-{high} reaches beyond the chain ({span})")
        elif not any(low <= residue.number.number <= high for residue in residues):
            warn(f"{task.source}: {where}: crop {low}-{high} has no residue with coordinates")
    _check_names(task, f"{where}, hotspot", polymer, pick.hotspot_names)
    _check_names(task, f"{where}, avoid", polymer, pick.avoid_names)
    _check_avoided(task, pick, where, polymer, span)
    _say_inserted(task, f"{where}, hotspot", polymer, set(pick.hotspots))
    _say_inserted(task, f"{where}, avoid", polymer, set(pick.avoid))
    _check_hotspots(task, pick, where, polymer, residues, span)


def _check_names(
    task: Task, where: str, polymer: Polymer, named: Iterable[tuple[ResidueNumber, str]]
) -> None:
    there = {polymer.number(s): parent_of(s.name) or s.name for s in polymer.sites}
    for number, name in named:
        if there.get(number, name) != name:
            others = [str(n) for n, other in there.items() if other == name]
            raise InputError.of(
                task.source,
                where,
                f"{there[number]}{number} ({name}: {', '.join(others[:FEW]) or 'none'})",
                f"{name}{number}",
            )


def _say_inserted(task: Task, where: str, polymer: Polymer, chosen: set[ResidueNumber]) -> None:
    """Residues with insertion codes in the middle of a range, which is of whole numbers."""
    left_out = [
        str(number)
        for number in map(polymer.number, polymer.sites)
        if number.insertion and number not in chosen
        if {ResidueNumber(number.number), ResidueNumber(number.number + 1)} <= chosen
    ]
    if left_out:
        warn(f"{task.source}: {where}: {', '.join(left_out)} are not among them unless named")


def _check_avoided(task: Task, pick: ChainPick, where: str, polymer: Polymer, span: str) -> None:
    for expected, wrong in (
        (
            f"residues of the chain ({span})",
            set(pick.avoid) - set(map(polymer.number, polymer.sites)),
        ),
        ("residues that are no hotspots", set(pick.avoid).intersection(pick.hotspots)),
    ):
        if wrong:
            found = ", ".join(map(str, sorted(wrong)))
            raise InputError.of(task.source, f"{where}, avoid", expected, found)


def _check_hotspots(
    task: Task,
    pick: ChainPick,
    where: str,
    polymer: Polymer,
    residues: list[TargetResidue],
    span: str,
) -> None:
    kept = {residue.number: residue.name for residue in residues}
    present = {polymer.number(site) for site in polymer.sites}
    for number in pick.hotspots:
        if number not in kept:
            labels = _if_authors(polymer.labels_of([number]))
            near = min(kept, key=lambda other: abs(other.number - number.number))
            is_cut = number in present and not pick.keeps(number.number)
            raise InputError.of(
                task.source,
                f"{where}, hotspot",
                f"residues of the crop that are resolved (the chain has {span}, the nearest is "
                f"{kept[near]} {near}{labels})",
                f"{number}{', which the crop leaves out' if is_cut else ''}",
            )


def _if_authors(labels: str) -> str:
    """Numbers of an mmCIF file are label_seq_id; people often have the author's in mind."""
    return f"; from author numbers to these: {labels}" if labels else ""


def _parent_name(task: Task, where: str, site: gemmi.Residue, number: ResidueNumber) -> str:
    parent = parent_of(site.name)
    assert parent
    if parent != site.name and site.name != "MSE" and site.name not in PROTONATED:
        label = f"{site.name} {number}"
        warn(f"{task.structure}: {where}: modified residue {label} is taken as {parent}")
    return parent


def _coordinates(
    task: Task, where: str, site: gemmi.Residue, name: str, is_last: bool
) -> np.ndarray:
    """Coordinates of the type's heavy atoms, NaN where unresolved; OXT only on the last one."""
    atoms = [a for a in residue_types()[name].atoms if a != "OXT" or is_last]
    found = {a.name: a for a in heavy_atoms(site)}
    if site.name == "MSE" and "SE" in found:
        found["SD"] = found["SE"]
    xyz = np.array([found[a].pos.tolist() if a in found else [np.nan] * 3 for a in atoms])
    for atom, point in zip(atoms, xyz, strict=True):
        if atom in found and not (np.isfinite(point) & (np.abs(point) < 1e5)).all():
            label = f"{site.name} {site.seqid} atom {atom}"
            raise InputError.of(
                task.structure, f"{where}, {label}", "finite coordinates in Å", point.tolist()
            )
    return xyz
