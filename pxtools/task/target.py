"""What a task picks of its structure: chains, crop, hotspots."""

import gemmi
import numpy as np

from pxtools.console import warn
from pxtools.errors import InputError
from pxtools.structure.reading import Polymer, heavy_atoms, protein_chains, read_structure
from pxtools.structure.residues import BACKBONE, ResidueNumber, parent_of, residue_types
from pxtools.structure.target import TargetChain, TargetResidue
from pxtools.task.fields import nearest
from pxtools.task.types import ChainPick, Task


def read_target(task: Task) -> tuple[TargetChain, ...]:
    """The task's target chains, cropped, in the task's order.

    First model, highest-occupancy conformer; hydrogens, waters and hetero groups are left out.
    mmCIF chains and residues go by label ids, PDB ones by the file's own numbers.
    """
    return pick_target(task, read_polymers(task))


def read_polymers(task: Task) -> dict[str, "Polymer"]:
    """The chains of the task's structure by the name that the task uses for them."""
    return protein_chains(task.structure, read_structure(task.structure))


def pick_target(task: Task, polymers: dict[str, "Polymer"]) -> tuple[TargetChain, ...]:
    chains = tuple(_pick(task, pick, polymers) for pick in task.chains)
    places = [residue.xyz[BACKBONE.index("CA")] for chain in chains for residue in chain.residues]
    if not np.isfinite(places).all(1).any():  # designs are laid on the target by them
        raise InputError.of(task.structure, "target", "residues with a CA atom", "none")
    return chains


def _pick(task: Task, pick: ChainPick, polymers: dict[str, Polymer]) -> TargetChain:
    where = f"task {task.name}, chain {pick.chain}"
    polymer = polymers.get(pick.chain)
    if polymer is None:
        held = ", ".join(
            name if p.author_chain == name else f"{name}, which authors call {p.author_chain}"
            for name, p in polymers.items()
            if p.is_protein
        )
        near = nearest(pick.chain, [name for name, p in polymers.items() if p.is_protein])
        hint = f"; did you mean {near}?" if near else ""
        raise InputError.of(
            task.source, where, f"a protein chain of {task.structure} ({held}{hint})", pick.chain
        )
    if not polymer.is_protein:
        raise InputError.of(task.source, where, "a protein chain", f"{polymer.kind}")
    inside = [
        (site, seq)
        for site, seq in zip(polymer.sites, polymer.label_seq, strict=True)
        if pick.keeps(polymer.number(site).number)
    ]
    hotspots = set(pick.hotspots)
    residues = []
    for site, seq in inside:
        number = polymer.number(site)
        name = _parent_name(task, where, site, number)
        xyz = _coordinates(task, where, site, name, is_last=seq == len(polymer.sequence))
        if np.isfinite(xyz).any():
            residues.append(TargetResidue(name, number, seq, xyz, number in hotspots))
    _check_pick(task, pick, where, polymer, residues)
    return TargetChain(pick.chain, tuple(polymer.sequence), tuple(residues))


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
        if high > polymer.last:
            warn(f"{task.source}: {where}: crop {low}-{high} reaches beyond the chain ({span})")
    kept = {residue.number: residue.name for residue in residues}
    for number, name in pick.hotspot_names:
        if kept.get(number, name) != name:
            there = [str(residue.number) for residue in residues if residue.name == name]
            raise InputError.of(
                task.source,
                f"{where}, hotspot",
                f"{kept[number]}{number} ({name}: {', '.join(there[:20]) or 'none'})",
                f"{name}{number}",
            )
    for number in pick.hotspots:
        if number not in kept:
            labels = _if_authors(polymer.labels_of([number]))
            raise InputError.of(
                task.source,
                f"{where}, hotspot",
                f"residues of the crop that are resolved (the chain has {span}{labels})",
                str(number),
            )


def _if_authors(labels: str) -> str:
    """Numbers of an mmCIF file are label_seq_id; people often have the author's in mind."""
    return f"; from author numbers to these: {labels}" if labels else ""


def _parent_name(task: Task, where: str, site: gemmi.Residue, number: ResidueNumber) -> str:
    parent = parent_of(site.name)
    label = f"{site.name} {number}"
    if parent is None:
        raise InputError.of(
            task.structure, where, "amino acids, or modified ones with a known parent", label
        )
    if parent != site.name and site.name != "MSE":
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
