"""The chains of a structure file: their residues, numbers, full sequence, resolved atoms."""

from collections.abc import Iterable
from itertools import groupby
from pathlib import Path

import gemmi

from pxtools.errors import InputError
from pxtools.structure.parsing import StructureFile
from pxtools.structure.residue_number import ResidueNumber
from pxtools.structure.residues import parent_of

CONFORMER_REACH = 5.0  # Å between two CA atoms of a residue at most
PEPTIDES = (gemmi.PolymerType.PeptideL, gemmi.PolymerType.PeptideD)


def protein_chains(path: Path, file: StructureFile) -> dict[str, "Polymer"]:
    """Every polymer of the first model by the name the task uses for it. Raises InputError."""
    polymers: dict[str, Polymer] = {}
    for chain in file.structure[0]:
        for span in chain.subchains():
            entity = file.structure.get_entity_of(span)
            if entity is None or entity.entity_type != gemmi.EntityType.Polymer:
                continue
            name = span.subchain_id() if file.by_label else chain.name
            residues = [r for r in span if _may_be_linked(r)]
            if not residues and entity.polymer_type in PEPTIDES:
                continue  # an atom or two of a cap
            if name in polymers:  # a chain given in several pieces
                residues = polymers[name].residues + residues
            polymers[name] = Polymer(entity, residues, file.by_label, chain.name)
    if not any(polymer.is_protein for polymer in polymers.values()):
        held = ", ".join(f"{n} ({p.kind})" for n, p in polymers.items()) or "no polymer"
        raise InputError.of(path, "structure", "at least one protein chain", held)
    for name, polymer in polymers.items():
        if polymer.is_protein and (twice := polymer.given_twice()):
            raise InputError.of(
                path,
                f"chain {name}",
                "one chain of that letter",
                f"residue {twice} in two places: give each chain a letter of its own",
            )
    return polymers


def _may_be_linked(residue: gemmi.Residue) -> bool:
    """Whether a residue is no water or ion; programs give them the chain of the protein."""
    is_ion = len(residue) == 1 and parent_of(residue.name) is None and not residue.get_ca()
    return residue.entity_type == gemmi.EntityType.Polymer and not residue.is_water() and not is_ion


class Polymer:
    """A chain of the file: its resolved residues (sites), their numbers, its full sequence."""

    def __init__(
        self,
        entity: gemmi.Entity,
        residues: list[gemmi.Residue],
        by_label: bool,
        author_chain: str,
    ):
        self.residues = residues
        self.author_chain = author_chain
        self.is_protein = entity.polymer_type in PEPTIDES
        self.kind = str(entity.polymer_type).split(".")[-1]
        self.by_label = by_label
        groups = [list(group) for _, group in groupby(residues, key=self.number)]
        self._groups = groups
        # microheterogeneity and alternative residues: the conformer of the highest occupancy
        self.sites = [max(g, key=_occupancy) if len(g) > 1 else g[0] for g in groups]
        self.sequence = [gemmi.Entity.first_mon(name) for name in entity.full_sequence]
        self.has_full_sequence = bool(self.sequence)  # else it is of the resolved residues
        positions = [site.label_seq for site in self.sites]
        known = [p for p in positions if p is not None]
        if len(known) < len(positions) or not known or max(known) > len(self.sequence):
            self.sequence = [site.name for site in self.sites]
            positions = list(range(1, len(self.sites) + 1))
        self.label_seq: list[int] = [p for p in positions if p is not None]

    def given_twice(self) -> ResidueNumber | None:
        """A residue that is in two places: two chains have one letter."""
        seen: set[ResidueNumber] = set()
        for group in self._groups:
            number = self.number(group[0])
            places: dict[str, list[gemmi.Position]] = {}
            for atom in (a for residue in group if "CA" in residue for a in residue["CA"]):
                places.setdefault(atom.altloc, []).append(atom.pos)
            if number in seen or any(
                p[0].dist(q) > CONFORMER_REACH for p in places.values() for q in p
            ):
                return number
            seen.add(number)
        return None

    def number(self, residue: gemmi.Residue) -> ResidueNumber:
        """The residue's number as tasks use it: label_seq_id where there is one, else its own."""
        if self.by_label and residue.label_seq is not None:
            return ResidueNumber(residue.label_seq)
        return author_number(residue)

    @property
    def last(self) -> int:
        """The highest number a crop of it may end with."""
        highest = max(self.number(site).number for site in self.sites)
        return max(highest, len(self.sequence)) if self.by_label else highest

    def labels_of(self, authors: Iterable[ResidueNumber]) -> str:
        """What numbers that may be the author's would be here: `99 -> 79`; empty if nothing."""
        label = {author_number(site): self.number(site).number for site in self.sites}
        known = [a for a in authors if label.get(a, a.number) != a.number]
        return ", ".join(f"{a} -> {label[a]}" for a in known) if self.by_label else ""


def author_number(residue: gemmi.Residue) -> ResidueNumber:
    return ResidueNumber(residue.seqid.num or 0, residue.seqid.icode.strip())


def _occupancy(residue: gemmi.Residue) -> float:
    return sum(atom.occ for atom in residue) / max(1, len(residue))


def heavy_atoms(site: gemmi.Residue) -> list[gemmi.Atom]:
    """The atoms of a residue's best conformer that are no hydrogens."""
    return [atom for atom in best_conformer(site) if not atom.is_hydrogen()]


def best_conformer(site: gemmi.Residue) -> list[gemmi.Atom]:
    """Atoms without a conformer label and those of the label with the highest occupancy.

    Of atoms that are there twice without labels, the one of higher occupancy, the first of equals.
    """
    totals: dict[str, float] = {}
    for atom in site:
        if atom.altloc != "\0":
            totals[atom.altloc] = totals.get(atom.altloc, 0.0) + atom.occ
    if not totals and not atoms_twice(site):
        return list(site)
    best = max(totals, key=lambda label: totals[label], default="\0")  # the first of equals
    chosen = [atom for atom in site if atom.altloc in ("\0", best)]
    if atoms_twice(site):
        chosen.sort(key=lambda atom: -atom.occ)  # equals keep their order
        chosen = list({atom.name: atom for atom in reversed(chosen)}.values())
    names = {atom.name for atom in chosen}
    # an atom modelled in another conformer only is still a resolved atom
    return chosen + [atom for atom in reversed(list(site)) if atom.name not in names]


def atoms_twice(site: gemmi.Residue) -> bool:
    """Whether an atom has two places without conformer labels that tell them apart."""
    return len({(atom.name, atom.altloc) for atom in site}) < len(site)
