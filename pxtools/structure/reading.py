"""The target: the picked protein residues of a structure file, with their resolved heavy atoms."""

import gzip
import re
import zlib
from collections.abc import Iterable
from itertools import groupby
from pathlib import Path

import gemmi

from pxtools.errors import InputError
from pxtools.structure.residues import ResidueNumber

MAX_STRUCTURE_BYTES = 1_000_000_000  # decompressed; the largest PDB entries are near 300 MB
PEPTIDES = (gemmi.PolymerType.PeptideL, gemmi.PolymerType.PeptideD)


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

    def number(self, residue: gemmi.Residue) -> ResidueNumber:
        """The residue's number as tasks use it: label_seq_id in mmCIF, the file's own in PDB."""
        if self.is_cif and residue.label_seq is not None:
            return ResidueNumber(residue.label_seq)
        return author_number(residue)

    @property
    def last(self) -> int:
        """The highest number a crop of it may end with."""
        highest = max(self.number(site).number for site in self.sites)
        return max(highest, len(self.sequence)) if self.is_cif else highest

    def labels_of(self, authors: Iterable[ResidueNumber]) -> str:
        """What numbers that may be the author's would be here: `99 -> 79`; empty if nothing."""
        label = {author_number(site): self.number(site).number for site in self.sites}
        known = [a for a in authors if label.get(a, a.number) != a.number]
        return ", ".join(f"{a} -> {label[a]}" for a in known) if self.is_cif else ""


def author_number(residue: gemmi.Residue) -> ResidueNumber:
    return ResidueNumber(residue.seqid.num or 0, residue.seqid.icode.strip())


def _occupancy(residue: gemmi.Residue) -> float:
    return sum(atom.occ for atom in residue) / max(1, len(residue))


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
