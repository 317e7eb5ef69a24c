"""Structure files as people have them, made from three of the PDB: a name, a file, what is in it.

`python tests/variants.py FOLDER` writes them all there.
"""

import gzip
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import gemmi

STRUCTURES = Path(__file__).parent / "data" / "structures"


@dataclass(frozen=True)
class Variant:
    """A file; `chains` of it hold `residues`, or it is refused with `refused` in the message."""

    name: str
    data: bytes
    residues: int = 0
    refused: str = ""
    chains: tuple[str, ...] = ("A",)
    said: str = ""  # on stderr
    fewer: bool = False  # some of the atoms are gone


def lines_of(name: str) -> list[str]:
    return gzip.decompress((STRUCTURES / name).read_bytes()).decode().splitlines()


def text(lines: list[str]) -> bytes:
    return ("\n".join(lines) + "\n").encode()


HIV = lines_of("1HVR.pdb.gz")
BPTI = gzip.decompress((STRUCTURES / "5PTI.cif.gz").read_bytes()).decode()


def is_atom(line: str) -> bool:
    return line.startswith(("ATOM", "HETATM"))


def chain(letter: str, first: int = 1, last: int = 99) -> list[str]:
    """Residues of a chain of the HIV protease (CSO 67 and 95 are HETATM records), no waters."""
    return [
        line
        for line in HIV
        if is_atom(line) and line[21] == letter and first <= int(line[22:26]) <= last
        if line.startswith("ATOM") or line[17:20] == "CSO"
    ]


A, B = chain("A"), chain("B")


def put(lines: list[str], at: int, what: str) -> list[str]:
    """`what` in the columns from `at` (counted from 0) of every line."""
    return [line[:at] + what + line[at + len(what) :] for line in lines]


def shifted(lines: list[str], by: int) -> list[str]:
    """With other numbers."""
    return [f"{line[:22]}{int(line[22:26]) + by:4d}{line[26:]}" for line in lines]


def renamed(lines: list[str], names: dict[str, str]) -> list[str]:
    return [line[:17] + names.get(line[17:20], line[17:20]).ljust(4) + line[21:] for line in lines]


def residue(lines: list[str], number: int) -> list[str]:
    return [line for line in lines if int(line[22:26]) == number]


def as_residue(lines: list[str], number: int, name: str, new: int, names: str) -> list[str]:
    """A copy of some atoms of a residue under another name and number."""
    kept = [line for line in residue(lines, number) if line[12:16].strip() in names.split()]
    return [line[:17] + name.rjust(3) + line[20:22] + f"{new:4d}" + line[26:] for line in kept]


def model(number: str, lines: list[str]) -> list[str]:
    return [f"MODEL{number}", *lines, "ENDMDL"]


ROSETTA = """TER
# All scores below are weighted scores, not raw scores.
#BEGIN_POSE_ENERGIES_TABLE x.pdb
label fa_atr fa_rep total
weights 1 0.55 NA
pose -631.4 80.2 -240
PRO:NtermProteinFull_1 -2.9 0.4 -1
ATOM_pair_constraint 0
TERM 0
MODEL_x 0
ENDMDL_x 0
#END_POSE_ENERGIES_TABLE x.pdb""".splitlines()


def cif(change: Callable[[dict[str, list[str]]], object] = lambda atoms: None) -> bytes:
    """5PTI with the columns of its atoms changed."""
    document = gemmi.cif.read_string(BPTI)
    block = document.sole_block()
    atoms = block.get_mmcif_category("_atom_site.", raw=True)
    change(atoms)
    block.set_mmcif_category("_atom_site.", atoms, raw=True)
    return document.as_string().encode()


def without(*columns: str) -> bytes:
    return cif(lambda atoms: [atoms.pop(name) for name in columns])


def copied(atoms: dict[str, list[str]]) -> None:
    """Author ids in place of label ids, as Biopython and PyMOL write them."""
    atoms["label_asym_id"] = list(atoms["auth_asym_id"])
    atoms["label_seq_id"] = list(atoms["auth_seq_id"])


def hetatm(atoms: dict[str, list[str]]) -> None:
    for i, number in enumerate(atoms["label_seq_id"]):
        if number in ("20", "58"):
            atoms["group_PDB"][i] = "HETATM"


def by_gemmi(lines: list[str]) -> bytes:
    structure = gemmi.read_pdb_string("\n".join(lines))
    structure.setup_entities()
    structure.assign_label_seq_id()
    return structure.make_mmcif_document().as_string().encode()


def atoms_only(change: Callable[[dict[str, list[str]]], object]) -> bytes:
    """5PTI as simple programs write it: its atoms and nothing else."""
    document = gemmi.cif.read_string(cif(change).decode())
    atoms = document.sole_block().get_mmcif_category("_atom_site.", raw=True)
    new = gemmi.cif.Document()
    new.add_new_block("x").set_mmcif_category("_atom_site.", atoms, raw=True)
    return new.as_string().encode()


def unknown_labels(atoms: dict[str, list[str]]) -> None:
    atoms |= {f"label_{name}_id": ["?"] * len(atoms["id"]) for name in ("asym", "seq", "entity")}


PROTONATED = {"HIS": "HIE", "CYS": "CYM", "ASP": "ASH", "GLU": "GLH", "LYS": "LYN"}
CAPPED = [
    *as_residue(A, 1, "ACE", 0, "N CA C"),
    *A,
    *as_residue(A, 99, "NME", 100, "N CA"),
]
UNKNOWN = [line[:17] + "QQQ" + line[20:] if int(line[22:26]) in (10, 50) else line for line in A]
INSERTED = [
    line[:22] + "  20" + "ABC"[int(line[22:26]) - 21] + line[27:]
    if 21 <= int(line[22:26]) <= 23
    else line
    for line in A
]
HETATM = ["HETATM" + line[6:] if int(line[22:26]) in (1, 50, 99) else line for line in A]
FREE = [
    f"HETATM{line[6:30]}{float(line[30:38]) + 60:8.3f}{line[38:]}"
    for line in as_residue(A, 40, "GLY", 900, "N CA C O")
]
MET_46 = residue(A, 46)
WATER = [
    f"HETATM 9{i:03d}  O   HOH A {200 + i:3d}      {i:6.3f}   0.000   0.000  1.00 20.00".ljust(77)
    + "O"
    for i in range(1, 30)
]
IONS = [
    *(line.replace("HETATM", "ATOM  ").replace("HOH", "SOL") for line in WATER),
    *(line.replace("HETATM", "ATOM  ").replace("O   HOH", "NA  NA+")[:76] for line in WATER),
]
PDB = [
    Variant("as it comes", text(HIV), 99),
    Variant("no TER at all", text(A), 99),
    Variant(
        "TER at a chain break, none at the end",
        text([*chain("A", 1, 39), "TER", *chain("A", 46)]),
        93,
        said="goes on after a TER, with residue 46",
    ),
    Variant(
        "TER at two breaks, one of them before CSO, and at the end",
        text([*chain("A", 1, 20), "TER", *chain("A", 25, 60), "TER", *chain("A", 67), "TER"]),
        89,
    ),
    Variant(
        "two chains of one letter, TER between",
        text([*A, "TER", *put(B, 21, "A"), "TER"]),
        refused="residue 1 in two places: give each chain a letter of its own",
    ),
    Variant(
        "two chains of one letter", text([*A, *put(B, 21, "A")]), refused="residue 1 in two places"
    ),
    Variant(
        "a peptide of the same letter",
        text([*A, "TER", *put(renamed(chain("B", 1, 9), {"PRO": "SER"}), 21, "A"), "TER"]),
        refused="in two places",
    ),
    Variant(
        "a letter for each of two chains", text([*A, "TER", *B, "TER"]), 198, chains=("A", "B")
    ),
    Variant(
        "CA atoms only",
        text([line for line in A if line[12:16].strip() == "CA"]),
        refused="99 of 99 without, most lack N, C, O",
    ),
    Variant(
        "no N atoms",
        text([line for line in A if line[12:16].strip() != "N"]),
        refused="99 of 99 without, most lack N",
    ),
    Variant(
        "backbone only",
        text([line for line in A if line[12:16].strip() in ("N", "CA", "C", "O")]),
        99,
        fewer=True,
    ),
    Variant(
        "one residue without N",
        text([line for line in A if line[12:16].strip() != "N" or int(line[22:26]) != 40]),
        99,
        said="backbone atoms are not resolved in GLY 40",
        fewer=True,
    ),
    *(
        Variant(f"{new} for {old}", text(renamed(A, {old: new})), 99)
        for old, new in [*PROTONATED.items(), ("HIS", "HID"), ("HIS", "HIP"), ("HIS", "HSD")]
    ),
    Variant("HSE for HIS", text(renamed(A, {"HIS": "HSE"})), 99),
    Variant("HSP for HIS", text(renamed(A, {"HIS": "HSP"})), 99),
    Variant("CYX for CYS", text(renamed(A, {"CYS": "CYX"})), 99),
    Variant("HISE for HIS, four letters", text(renamed(A, {"HIS": "HISE"})), 99),
    Variant("the last residue is HIE", text([*chain("A", 1, 69), "TER"]), 69),
    Variant(
        "CD of isoleucine, OT1 and OT2",
        text(
            [
                line.replace(" CD1 ILE", " CD  ILE").replace(" OXT", " OT2")
                if int(line[22:26]) < 99
                else line.replace(" OXT", " OT2").replace(" O   PHE", " OT1 PHE")
                for line in A
            ]
        ),
        99,
    ),
    Variant(
        "ACE and NME caps",
        text([*CAPPED, "TER"]),
        99,
        said="ACE 0, NME 100: capping groups",
        fewer=True,
    ),
    Variant(
        "ACE and NME caps, no TER",
        text(CAPPED),
        99,
        said="ACE 0, NME 100: capping groups",
        fewer=True,
    ),
    Variant(
        "two residues nobody knows",
        text([*UNKNOWN, "TER"]),
        refused='(crop: "1-9,11-49,51-99" leaves out what is none), found QQQ 10, QQQ 50',
    ),
    Variant(
        "a gap and no SEQRES",
        text([*chain("A", 1, 39), *chain("A", 46)]),
        93,
        said="chain A: 40-45 are missing, in the chain's sequence, too",
    ),
    Variant(
        "numbers that jump where residues are bonded",
        text([*chain("A", 1, 39), *shifted(chain("A", 40), 7)]),
        99,
    ),
    Variant(
        "another residue than in SEQRES",
        text([line[:17] + "SER" + line[20:] if line in MET_46 else line for line in HIV]),
        99,
        said="taken from the coordinates, other than in the sequence: SER 46 (MET)",
        fewer=True,
    ),
    *(
        Variant(f"standard amino acids in HETATM records{end}", text([*HETATM, *ter]), 99)
        for end, ter in ((", no TER", []), ("", ["TER"]))
    ),
    Variant(
        "a standard amino acid in HETATM records after a gap, no TER",
        text([*chain("A", 1, 39), *put(chain("A", 46, 46), 0, "HETATM"), *chain("A", 47)]),
        93,
    ),
    Variant(
        "selenocysteine in HETATM records, no TER",
        text(
            [
                line[:17] + "SEC" + line[20:] if line in residue(HETATM, 50) else line
                for line in HETATM
            ]
        ),
        refused="found SEC 50",
    ),
    Variant(
        "a chain of one atom of a cap",
        text([*A, "TER", *put(as_residue(A, 1, "ACE", 1, "CA"), 21, "B")]),
        99,
    ),
    Variant("free glycine in HETATM records", text([*A, *FREE]), 99),
    Variant("free glycine in HETATM records after TER", text([*A, "TER", *FREE]), 99),
    Variant(
        "a residue of its CA atom alone that nobody knows",
        text(
            [line for line in UNKNOWN if line not in residue(UNKNOWN, 50) or line[12:16] == " CA "]
        ),
        refused="found QQQ 10, QQQ 50",
    ),
    Variant("Rosetta's scores at the end", text([*A, *ROSETTA]), 99),
    *(
        Variant(
            f"two models, MODEL{number!r}",
            text([*model(number, A), *model(number, B)]),
            99,
            said=", with chain B",
        )
        for number in (" 1", "        1", "", "        0", "     A", " 1 of 2")
    ),
    Variant("models without ENDMDL", text(["MODEL        1", *A, "MODEL        2", *A, "END"]), 99),
    Variant(
        "END between two copies",
        text([*A, "END", *A, "END"]),
        99,
        said="the first model is read; more atoms follow its end\n",
    ),
    Variant("an empty first model", text(["MODEL        1", "ENDMDL", *model("        2", A)]), 99),
    Variant(
        "lines numbered in columns 73-80",
        text([f"{line[:72]}1HVR{i:4d}" for i, line in enumerate(A)]),
        99,
    ),
    Variant("no columns after 66", text([line[:66] for line in A]), 99),
    Variant("no occupancy and B factor", text([line[:54] for line in A]), 99),
    Variant("element left-justified", text([line[:76] + line[76:78].strip() for line in A]), 99),
    Variant("charges such as +1", text(put(A, 78, "+1")), 99),
    Variant("segment ids", text(put(A, 72, "PROA")), 99),
    Variant("blank chain letter", text(put(A, 21, " ")), 99, chains=("_",)),
    Variant(
        "blank chain letter, A asked for",
        text(put(A, 21, " ")),
        refused="(_, which has no letter in the file), found A",
    ),
    Variant("chain letter in lower case", text(put(A, 21, "a")), refused="did you mean a?"),
    Variant("chain called 1", text(put(A, 21, "1")), 99, chains=("1",)),
    Variant("insertion codes", text(INSERTED), 99),
    Variant("numbers from -5", text(shifted(A, -6)), 99),
    Variant("lines of Windows", text(A).replace(b"\n", b"\r\n"), 99),
    Variant("lines of old Macs", text(A).replace(b"\n", b"\r"), 99),
    Variant("BOM", b"\xef\xbb\xbf" + text(HIV), 99),
    Variant("remarks in Latin-1", "REMARK   1 Müller\n".encode("latin-1") + text(A), 99),
    Variant("blank lines first", b"\n\n" + text(A), 99),
    Variant("water in the same chain, no TER", text([*A, *WATER]), 99),
    Variant("ions and waters of simulations", text([*A, *IONS]), 99),
    Variant(
        "CHARMM segments in place of letters",
        text([*put(put(A, 21, " "), 72, "PROA"), *put(put(B, 21, " "), 72, "PROB")]),
        99,
        chains=("PROA",),
    ),
    Variant(
        "hex serial numbers",
        text([f"{a[:6]}{i + 99990:05x}{a[11:]}" for i, a in enumerate(A)]),
        99,
    ),
    Variant("serial numbers ***** ", text(put(A, 6, "*****")), 99),
    Variant("a line cut short", text(A)[:-50], refused="too short"),
    Variant(
        "coordinates that overflow",
        text([A[0][:30] + "********" + A[0][38:], *A[1:]]),
        refused="cannot read",
    ),
    Variant("no atoms", b"HEADER    nothing\nEND\n", refused="begins with HEADER    nothing"),
    Variant(
        "a web page", b"<!DOCTYPE html><html><body>404</body></html>", refused="<!DOCTYPE html>"
    ),
    Variant("a zip archive", b"PK\x03\x04 what is in it", refused="it holds a zip archive"),
    Variant("gzip, named .pdb", gzip.compress(text(HIV)), 99),
    Variant("two gzip members", gzip.compress(text(A[:100])) + gzip.compress(text(A[100:])), 99),
    Variant("gzip, cut off", gzip.compress(text(HIV))[:20_000], refused="the .gz file is cut off"),
]
CIF = [
    Variant("CIF as it comes", BPTI.encode(), 58),
    Variant("CIF, no label_asym_id", without("label_asym_id"), 58),
    Variant("CIF, no label_seq_id", without("label_seq_id"), 58),
    Variant("CIF, no label ids", without("label_asym_id", "label_seq_id", "label_entity_id"), 58),
    Variant("CIF, label ids unknown", cif(unknown_labels), 58),
    Variant("CIF, no author ids", without("auth_asym_id", "auth_seq_id"), 58),
    Variant(
        "CIF, no altlocs and elements",
        without("label_alt_id", "type_symbol"),
        58,
        said="no conformer letters, of which the one of higher occupancy is taken: GLU 7, MET 52",
    ),
    Variant("CIF, atoms only, author ids copied", atoms_only(copied), 58),
    Variant("CIF, atoms only, standard amino acids in HETATM records", atoms_only(hetatm), 58),
    Variant("CIF, by gemmi from a PDB file", by_gemmi(A), 99),
    Variant("CIF, by gemmi, insertion codes", by_gemmi(INSERTED), 99),
    Variant("CIF, BOM", b"\xef\xbb\xbf" + BPTI.encode(), 58),
    Variant("CIF, a comment first", b"# made by hand\n\n" + BPTI.encode(), 58),
    Variant("CIF, lines of Windows", BPTI.replace("\n", "\r\n").encode(), 58),
    Variant(
        "CIF, restraints in a second block",
        BPTI.encode() + b"data_comp_LIG\n_chem_comp.id LIG\n",
        58,
    ),
    Variant(
        "CIF, two blocks of atoms",
        BPTI.encode() + BPTI.replace("data_5PTI", "data_other").encode(),
        58,
        said="the first data block is read, 5PTI; not other",
    ),
    Variant("CIF, HIE for HIS", BPTI.replace(" CYS ", " CYX ").encode(), 58),
    Variant(
        "CIF, cut off",
        BPTI.encode()[: len(BPTI) // 2],
        refused="line 1688: Wrong number of values in loop",
    ),
    Variant("CIF, no coordinates", b"data_x\n_entry.id x\n", refused="none; it begins with data_x"),
    Variant(
        "CIF, atoms without names", without("label_atom_id", "auth_atom_id"), refused="atom_id"
    ),
]
VARIANTS = [*PDB, *CIF]


def file_name(variant: Variant) -> str:
    suffix = ".cif" if variant.name.startswith("CIF") else ".pdb"
    return re.sub(r"\W+", "_", variant.name).strip("_") + suffix


def main() -> None:
    folder = Path(sys.argv[1])
    folder.mkdir(exist_ok=True)
    for variant in VARIANTS:
        (folder / file_name(variant)).write_bytes(variant.data)


if __name__ == "__main__":
    main()
