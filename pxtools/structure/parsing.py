"""Structure files as people have them: the text of an mmCIF or PDB file as a gemmi structure."""

import re
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import gemmi

from pxtools.console import warn
from pxtools.errors import InputError, shown
from pxtools.structure.residues import AMINO_ACIDS, PROTONATED, RESTYPE, parent_of, residue_types

MAX_STRUCTURE_BYTES = 1_000_000_000  # decompressed; the largest PDB entries are near 300 MB
PIECE = 1 << 20  # bytes
NO_LETTER = "_"  # the chain whose letter is blank
PEPTIDE_BOND = 2.0  # Å, C to N at most
PACKED = {
    **{b"PK": "a zip archive", b"BZ": "a bzip2 file", b"\xfd7": "an xz file"},
    b"\x1f\x9d": "a file of compress",
}
BINARY = {"bcif": "BinaryCIF (take the .cif)", "mmtf": "MMTF (take the .cif)"}
# what gemmi insists on, and the column that says it where it is absent
NEEDED = {
    "label_asym_id": "auth_asym_id",
    "auth_asym_id": "label_asym_id",
    "auth_seq_id": "label_seq_id",
    "label_alt_id": None,
    "type_symbol": None,
}
IDS = ("label_asym_id", "label_seq_id", "auth_asym_id", "auth_seq_id")
OTHER_NAMES = {
    **PROTONATED,
    "xpb": "GLY",
    "XPB": "GLY",
    **dict.fromkeys(("SOL", "TIP", "TP3", "T3P", "SPC", "OPC"), "HOH"),
}
FORCE_FIELD_ATOMS = {"CD": "CD1", "OT1": "O", "OT2": "OXT", "O1": "O", "O2": "OXT"}
PDB_RECORDS = re.compile(rb"(?:ATOM[ \d]|HETATM|TER(?:\s|\d|$)|SEQRES|MODRES)", re.IGNORECASE)
FOUR_LETTERS = {
    **dict.fromkeys((b"TIP3", b"TIP4", b"TIP5", b"SPCE"), b"HOH"),
    **{name.encode(): parent.encode() for name, parent in PROTONATED.items() if len(name) == 4},
    **{f"{end}{name}".encode(): name.encode() for end in "NC" for name in AMINO_ACIDS},
}
COORDINATES = re.compile(rb"[ \d.+-]{0,24}")
MODEL_ENDS = re.compile(rb"(?:MODEL(?:\s|\d|$)|END(?:MDL)?\s*$)", re.IGNORECASE)


@dataclass(frozen=True)
class StructureFile:
    """A parsed file; `by_label`: chains and residues go by label ids, else by the author's."""

    structure: gemmi.Structure
    by_label: bool


def read_structure(path: Path) -> StructureFile:
    """Parse an mmCIF or PDB file (also .gz). Raises InputError."""
    return parse_structure(path, structure_text(path))


def structure_text(path: Path) -> bytes:
    """A structure file's text, decompressed in pieces. Raises InputError."""
    try:
        with path.open("rb") as file:
            pieces = iter(lambda: file.read(PIECE), b"")
            head = next(pieces, b"")
            plain = _unzipped(head, pieces) if head[:2] == b"\x1f\x8b" else _chained(head, pieces)
            text = bytearray()
            for piece in plain:
                text += piece
                if len(text) > MAX_STRUCTURE_BYTES:
                    raise ValueError(f"larger than {MAX_STRUCTURE_BYTES:,} bytes")
    except OSError as error:
        raise _unreadable(path, error.strerror or "unreadable") from None
    except (EOFError, ValueError, zlib.error) as error:
        raise _unreadable(path, error) from None
    return bytes(text)


def _chained(head: bytes, rest: Iterable[bytes]) -> Iterator[bytes]:
    yield head
    yield from rest


def _unzipped(head: bytes, rest: Iterable[bytes]) -> Iterator[bytes]:
    """The content of gzip members, one after the other."""
    unzip = zlib.decompressobj(wbits=31)
    for piece in _chained(head, rest):
        data = piece
        while data:
            if unzip.eof:  # another member
                unzip = zlib.decompressobj(wbits=31)
            yield unzip.decompress(data, PIECE)
            while unzip.unconsumed_tail:
                yield unzip.decompress(unzip.unconsumed_tail, PIECE)
            data = unzip.unused_data.lstrip(b"\0")
    if not unzip.eof:
        raise EOFError("the .gz file is cut off")


def parse_structure(source: Path, text: bytes) -> StructureFile:
    """The structure in the text of an mmCIF or PDB file; `source` is named in messages."""
    text = text.removeprefix(b"\xef\xbb\xbf")
    if b"\0" in text[:4096] or text[:2] in PACKED:
        held = BINARY.get(source.name.removesuffix(".gz").rpartition(".")[2].lower(), "binary data")
        raise _unreadable(source, f"it holds {PACKED.get(text[:2], held)}")
    is_cif = _looks_like_mmcif(text)
    try:
        structure, by_label = _mmcif(source, text) if is_cif else (_pdb(source, text), False)
    except (ValueError, RuntimeError, IndexError) as error:
        raise _unreadable(source, error) from None
    if not len(structure) or not structure[0].count_atom_sites():
        begins = shown(text[:200].decode("utf-8", "replace").strip().partition("\n")[0], 40)
        raise InputError.of(
            source, "structure", "an mmCIF or PDB file with atoms", f"none; it begins with {begins}"
        )
    return StructureFile(structure, by_label)


def _unreadable(path: Path, error: Exception | str) -> InputError:
    reason = re.sub(r"string:(\d+):\d+\(\d+\)", r"line \1", " ".join(str(error).split()))
    reason = re.sub(r"^Problem in line \d+: ", "", reason)[:160] or type(error).__name__
    return InputError(f"{path}: cannot read it as mmCIF or PDB: {reason}")


def _looks_like_mmcif(text: bytes) -> bool:
    lines = (line.strip() for line in text[:100_000].splitlines())
    first = next((line for line in lines if line and not line.startswith(b"#")), b"")
    return first.lower().startswith(b"data_")


def _pdb(source: Path, text: bytes) -> gemmi.Structure:
    structure = gemmi.read_pdb_string(_first_model(source, text))
    if not len(structure):
        return structure
    _name_blank_chains(structure[0])
    with_ter = {c.name for c in structure[0] if _ends(c)}
    structure.add_entity_types()
    for chain in structure[0]:
        _use_standard_names(chain)
        if (goes_on := _whole_polymer(chain)) and chain.name in with_ter:
            warn(f"{source}: chain {chain.name} goes on after a TER, with residue {goes_on}")
    structure.setup_entities()
    structure.assign_label_seq_id()
    return structure


def _name_blank_chains(model: gemmi.Model) -> None:
    """Chains without a letter are called as their segments, where there are several, else _."""
    blank = [chain.clone() for chain in model if not chain.name.strip()]
    for name in {chain.name for chain in blank}:
        model.remove_chain(name)
    residues = [residue for chain in blank for residue in chain]
    segments = list(dict.fromkeys(residue.segment for residue in residues))
    for segment in segments:
        name = segment.strip() if len(segments) > 1 else ""
        part = gemmi.Chain(name or NO_LETTER)
        part.append_residues([r for r in residues if r.segment == segment])
        model.add_chain(part)


def _first_model(source: Path, text: bytes) -> bytes:
    """The records of coordinates and sequence, without what programs write beside them."""
    kept: list[bytes] = []
    has_atoms = False
    lines = iter(text.splitlines())
    for raw in lines:
        if has_atoms and MODEL_ENDS.match(raw):
            _say_what_follows(source, kept, lines)
            break
        if PDB_RECORDS.match(raw):
            line = raw if raw.isascii() else re.sub(rb"[^\x20-\x7e]", b"?", raw)
            is_atom = line[:4].upper() in (b"ATOM", b"HETA")
            has_atoms |= is_atom
            kept.append(_atom_record(line) if is_atom else line)
    return b"\n".join([*_three_letters(kept), b""])


def _say_what_follows(source: Path, kept: Iterable[bytes], after: Iterable[bytes]) -> None:
    def chains(lines: Iterable[bytes]) -> set[str]:
        atoms = (line for line in lines if line[:4].upper() in (b"ATOM", b"HETA"))
        return {line[21:22].decode("ascii", "replace").strip() or NO_LETTER for line in atoms}

    if later := chains(after):
        more = ", ".join(sorted(later - chains(kept)))
        which = f", with chain {more}" if more else ""
        warn(f"{source}: the first model is read; more atoms follow its end{which}")


def _atom_record(line: bytes) -> bytes:
    """The record up to its element (columns 77-78), where old files number their lines."""
    if not COORDINATES.fullmatch(line[30:54]):
        raise ValueError(f"no coordinates in columns 31-54 of {shown(line.decode())}")
    return line[:78] if line[76:78].strip().isalpha() else line[:76]


def _three_letters(lines: list[bytes]) -> list[bytes]:
    """Residue names of force fields that reach into column 21: HISE, NALA.

    In a file whose chains have names of two letters other residues have one there too.
    """
    long = [i for i, line in enumerate(lines) if line[20:21] != b" " and line[0] in b"AHah"]
    if any(
        lines[i][17:20].decode() in RESTYPE and lines[i][17:21] not in FOUR_LETTERS for i in long
    ):
        return lines
    for i in long:
        line = lines[i]
        lines[i] = line[:17] + FOUR_LETTERS.get(line[17:21], line[17:20]) + b" " + line[21:]
    return lines


def _ends(chain: gemmi.Chain) -> bool:
    """Whether its polymer has an end: at a TER."""
    return any(residue.entity_type == gemmi.EntityType.Polymer for residue in chain)


def _whole_polymer(chain: gemmi.Chain) -> str:
    """Count to a chain's polymer what goes on after its end; the first such residue's number.

    gemmi ends it at a TER, which programs write at every break, and at a standard amino acid in
    a HETATM record. Amino acids in ATOM records go on with the chain, so do residues that are
    bonded to it; others are ligands.
    """
    linkable = [r for r in chain if {"N", "CA", "C"} <= {atom.name for atom in r}]
    later = [r for r in linkable if r.entity_type != gemmi.EntityType.Polymer]
    for residue in later:
        if residue.het_flag == "A" and parent_of(residue.name):
            residue.entity_type = gemmi.EntityType.Polymer
    for order in (linkable, linkable[::-1]):
        for one, other in pairwise(order):
            if one.entity_type == gemmi.EntityType.Polymer and bonded(one, other):
                other.entity_type = gemmi.EntityType.Polymer
    return next((str(r.seqid) for r in later if r.entity_type == gemmi.EntityType.Polymer), "")


def bonded(a: gemmi.Residue, b: gemmi.Residue) -> bool:
    """By a peptide bond, whichever comes first."""
    ends = [(x["C"][0], y["N"][0]) for x, y in ((a, b), (b, a)) if "C" in x and "N" in y]
    return any(c.pos.dist(n.pos) < PEPTIDE_BOND for c, n in ends)


def _mmcif(source: Path, text: bytes) -> tuple[gemmi.Structure, bool]:
    # strings go to gemmi whole: a file that ends in the middle of a loop is an error
    document = gemmi.cif.read_string(text.decode("utf-8", "replace"))
    with_atoms = [b for b in document if b.find_mmcif_category("_atom_site.").width()]
    if not with_atoms:
        return gemmi.Structure(), False
    if len(with_atoms) > 1:
        names = ", ".join(block.name for block in with_atoms[1:])
        warn(f"{source}: the first data block is read, {with_atoms[0].name}; not {shown(names)}")
    block = with_atoms[0]
    has_labels = _completed(block)
    structure = gemmi.make_structure_from_block(block)
    if not len(structure):
        return structure, False
    if len(structure) > 1:
        warn(f"{source}: the first of {len(structure)} models is read")
    _name_blank_chains(structure[0])
    for chain in structure[0]:
        _use_standard_names(chain)
    if not has_labels or not structure.entities:
        structure.entities.clear()
        structure.add_entity_types(overwrite=True)
        for chain in structure[0]:
            _whole_polymer(chain)
    if not has_labels:
        structure.assign_subchains(force=True)
    structure.setup_entities()
    return structure, has_labels and _labels_are_ids(structure)


def _completed(block: gemmi.cif.Block) -> bool:
    """Add the columns of atoms that gemmi needs; whether the file has label ids of its own."""
    tags = [tag.partition(".")[2] for tag in block.find_mmcif_category("_atom_site.").tags]
    ids = {tag: _says_something(block, f"_atom_site.{tag}") for tag in tags if tag in IDS}
    lacking = [name for name in NEEDED if name not in tags or ids.get(name) is False]
    if lacking:
        atoms = block.get_mmcif_category("_atom_site.", raw=True)
        unknown = ["?"] * max(map(len, atoms.values()))
        for name in lacking:
            atoms[name] = atoms.get(NEEDED[name] or "", unknown)
        block.set_mmcif_category("_atom_site.", atoms, raw=True)
    return ids.get("label_asym_id", False) and ids.get("label_seq_id", False)


def _says_something(block: gemmi.cif.Block, tag: str) -> bool:
    return any(value not in (".", "?") for value in block.find_values(tag))


def _labels_are_ids(structure: gemmi.Structure) -> bool:
    """Whether label ids number residues of the sequence: one for each, and none made by gemmi.

    Programs that know no label ids copy the author's without insertion codes, or name chains Axp.
    """
    made_by_gemmi = True
    for chain in structure[0]:
        for span in chain.subchains():
            residues = [r for r in span if r.entity_type == gemmi.EntityType.Polymer]
            labels = {r.label_seq for r in residues}
            if None in labels or len(labels) < len({str(r.seqid) for r in residues}):
                return False
            made_by_gemmi &= not residues or span.subchain_id() == f"{chain.name}xp"
    return not made_by_gemmi


def _use_standard_names(chain: gemmi.Chain) -> None:
    """Rename residues of other protonation states, and atoms as force fields call them."""
    known = residue_types()
    for residue in chain:
        residue.name = OTHER_NAMES.get(residue.name, residue.name)
        if residue.is_water():
            residue.entity_type = gemmi.EntityType.Water
        own = known[residue.name].atoms if residue.name in known else ()
        for name, standard in FORCE_FIELD_ATOMS.items():
            if standard in own and name in residue and standard not in residue:
                for atom in residue[name]:
                    atom.name = standard
