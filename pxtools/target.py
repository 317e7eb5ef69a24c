"""The target: the picked protein residues of a structure file, with their resolved heavy atoms."""

import gzip
import re
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import gemmi
import numpy as np

from pxtools.residues import BACKBONE, parent_of, residue_types
from pxtools.task import ChainPick, Number, Task, number_text
from pxtools.words import InputError, warn

MAX_STRUCTURE_BYTES = 1_000_000_000  # decompressed; the largest PDB entries are near 300 MB
PEPTIDES = (gemmi.PolymerType.PeptideL, gemmi.PolymerType.PeptideD)


@dataclass(frozen=True)
class TargetResidue:
    """A residue with at least one resolved heavy atom.

    `xyz` is (heavy atoms of the type in CCD order, 3) in Å, NaN where unresolved.
    """

    name: str
    number: Number
    label_seq: int  # position in the chain's full sequence, from 1
    xyz: np.ndarray
    is_hotspot: bool


@dataclass(frozen=True)
class TargetChain:
    """A target chain: its name in the file, its full sequence, and the residues kept."""

    name: str
    sequence: tuple[str, ...]
    residues: tuple[TargetResidue, ...]


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


def read_structure(path: Path) -> gemmi.Structure:
    """Parse an mmCIF or PDB file (also .gz), entities and label numbers set up."""
    return parse_structure(path, structure_text(path))


def parse_structure(source: Path, text: bytes) -> gemmi.Structure:
    """The structure in the text of an mmCIF or PDB file; `source` is named in messages."""
    try:
        if b"\0" in text[:4096]:
            raise ValueError("it holds binary data")
        is_cif = _looks_like_mmcif(text)
        if is_cif:
            # strings go to gemmi whole: a file that ends in the middle of a loop is an error
            structure = gemmi.make_structure_from_block(
                gemmi.cif.read_string(text.decode("utf-8", "replace")).sole_block()
            )
        else:
            structure = gemmi.read_pdb_string(re.sub(rb"[^\x00-\x7f]", b"?", text).decode())
    except (ValueError, RuntimeError) as error:
        raise _unreadable(source, error) from None
    if not len(structure) or not structure[0].count_atom_sites():
        raise InputError.of(source, "structure", "an mmCIF or PDB file with atoms", "none")
    structure.input_format = gemmi.CoorFormat.Mmcif if is_cif else gemmi.CoorFormat.Pdb
    structure.setup_entities()
    if not is_cif:
        structure.assign_label_seq_id()
    return structure


def _unreadable(path: Path, error: Exception) -> InputError:
    reason = " ".join(str(error).split())[:160] or type(error).__name__
    return InputError(f"{path}: cannot read it as mmCIF or PDB: {reason}")


def structure_text(path: Path) -> bytes:
    """A structure file's text, decompressed."""
    try:
        with path.open("rb") as raw:
            zipped = raw.read(2) == b"\x1f\x8b"
        with gzip.open(path) if zipped else path.open("rb") as file:
            text = file.read(MAX_STRUCTURE_BYTES + 1)
    except (OSError, EOFError, ValueError, zlib.error) as error:
        raise _unreadable(path, error) from None
    if len(text) > MAX_STRUCTURE_BYTES:
        raise _unreadable(path, ValueError(f"larger than {MAX_STRUCTURE_BYTES:,} bytes"))
    return text


def _looks_like_mmcif(text: bytes) -> bool:
    lines = (line.strip() for line in text[:100_000].splitlines())
    first = next((line for line in lines if line and not line.startswith(b"#")), b"")
    return first.lower().startswith(b"data_")


def protein_chains(path: Path, structure: gemmi.Structure) -> dict[str, "Polymer"]:
    """Every polymer of the first model by the name the task uses for it."""
    is_cif = structure.input_format == gemmi.CoorFormat.Mmcif
    polymers: dict[str, Polymer] = {}
    for chain in structure[0]:
        for span in chain.subchains():
            entity = structure.get_entity_of(span)
            if entity is None or entity.entity_type != gemmi.EntityType.Polymer:
                continue
            name = span.subchain_id() if is_cif else chain.name
            residues = list(span)
            if name in polymers:  # a chain given in several pieces
                residues = polymers[name].residues + residues
            polymers[name] = Polymer(entity, residues, is_cif, chain.name)
    if not any(polymer.is_protein for polymer in polymers.values()):
        held = ", ".join(f"{n} ({p.kind})" for n, p in polymers.items()) or "no polymer"
        raise InputError.of(path, "structure", "at least one protein chain", held)
    return polymers


class Polymer:
    """A chain of the file: its resolved residues (sites), their numbers, its full sequence."""

    def __init__(
        self,
        entity: gemmi.Entity,
        residues: list[gemmi.Residue],
        is_cif: bool,
        author_chain: str,
    ):
        self.residues = residues
        self.author_chain = author_chain
        self.is_protein = entity.polymer_type in PEPTIDES
        self.kind = str(entity.polymer_type).split(".")[-1]
        self.is_cif = is_cif
        groups = [list(group) for _, group in groupby(residues, key=self.number)]
        # microheterogeneity and alternative residues: the conformer of the highest occupancy
        self.sites = [max(g, key=_occupancy) if len(g) > 1 else g[0] for g in groups]
        self.sequence = [gemmi.Entity.first_mon(name) for name in entity.full_sequence]
        positions = [site.label_seq for site in self.sites]
        known = [p for p in positions if p is not None]
        if len(known) < len(positions) or not known or max(known) > len(self.sequence):
            self.sequence = [site.name for site in self.sites]
            positions = list(range(1, len(self.sites) + 1))
        self.label_seq: list[int] = [p for p in positions if p is not None]

    def number(self, residue: gemmi.Residue) -> Number:
        """The residue's number as tasks use it: label_seq_id in mmCIF, the file's own in PDB."""
        if self.is_cif and residue.label_seq is not None:
            return (residue.label_seq, "")
        return author_number(residue)

    def labels_of(self, authors: Iterable[Number]) -> str:
        """What numbers that may be the author's would be here: `99 -> 79`; empty if nothing."""
        label = {author_number(site): self.number(site)[0] for site in self.sites}
        known = [a for a in authors if label.get(a, a[0]) != a[0]]
        return ", ".join(f"{number_text(a)} -> {label[a]}" for a in known) if self.is_cif else ""


def author_number(residue: gemmi.Residue) -> Number:
    return (residue.seqid.num or 0, residue.seqid.icode.strip())


def _occupancy(residue: gemmi.Residue) -> float:
    return sum(atom.occ for atom in residue) / max(1, len(residue))


def _pick(task: Task, pick: ChainPick, polymers: dict[str, Polymer]) -> TargetChain:
    where = f"task {task.name}, chain {pick.chain}"
    polymer = polymers.get(pick.chain)
    if polymer is None:
        held = ", ".join(
            name if p.author_chain == name else f"{name}, which authors call {p.author_chain}"
            for name, p in polymers.items()
            if p.is_protein
        )
        raise InputError.of(
            task.source, where, f"a protein chain of {task.structure} ({held})", pick.chain
        )
    if not polymer.is_protein:
        raise InputError.of(task.source, where, "a protein chain", f"{polymer.kind}")
    inside = [
        (site, seq)
        for site, seq in zip(polymer.sites, polymer.label_seq, strict=True)
        if pick.keeps(polymer.number(site)[0])
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
    have = [polymer.number(site)[0] for site in polymer.sites]
    span = f"numbers {min(have)} to {max(have)}"
    if not residues:
        crop = ",".join(f"{a}-{b}" for a, b in pick.crop or ())
        ends = polymer.labels_of((n, "") for pair in pick.crop or () for n in pair)
        raise InputError.of(
            task.source,
            f"{where}, crop",
            f"residues of the chain ({span}{_if_authors(ends)})",
            crop or "none",
        )
    kept = {residue.number for residue in residues}
    for number in pick.hotspots:
        if number not in kept:
            labels = _if_authors(polymer.labels_of([number]))
            raise InputError.of(
                task.source,
                f"{where}, hotspot",
                f"residues of the crop that are resolved (the chain has {span}{labels})",
                number_text(number),
            )


def _if_authors(labels: str) -> str:
    """Numbers of an mmCIF file are label_seq_id; people often have the author's in mind."""
    return f"; from author numbers to these: {labels}" if labels else ""


def _parent_name(task: Task, where: str, site: gemmi.Residue, number: Number) -> str:
    parent = parent_of(site.name)
    label = f"{site.name} {number_text(number)}"
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


def heavy_atoms(site: gemmi.Residue) -> list[gemmi.Atom]:
    """The atoms of a residue's best conformer that are no hydrogens."""
    return [atom for atom in best_conformer(site) if not atom.is_hydrogen()]


def best_conformer(site: gemmi.Residue) -> list[gemmi.Atom]:
    """Atoms without a conformer label and those of the label with the highest occupancy."""
    totals: dict[str, float] = {}
    for atom in site:
        if atom.altloc != "\0":
            totals[atom.altloc] = totals.get(atom.altloc, 0.0) + atom.occ
    if not totals:
        return list(site)
    best = max(totals, key=lambda label: totals[label])  # the first of equals
    chosen = [atom for atom in site if atom.altloc in ("\0", best)]
    names = {atom.name for atom in chosen}
    # an atom modelled in another conformer only is still a resolved atom
    return chosen + [atom for atom in reversed(list(site)) if atom.name not in names]
