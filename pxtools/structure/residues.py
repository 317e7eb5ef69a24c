"""The amino acids the network knows: heavy atoms in CCD order, charges, ideal coordinates."""

import json
from dataclasses import dataclass
from functools import cache

import gemmi
import numpy as np

from pxtools.shipped import DATA

# AF3's residue classes: 20 amino acids, UNK, 5 RNA, 5 DNA, gap; PXDesign adds 32-35 for design.
AMINO_ACIDS = tuple(
    "ALA ARG ASN ASP CYS GLN GLU GLY HIS ILE LEU LYS MET PHE PRO SER THR TRP TYR VAL".split()  # noqa: SIM905
)
RESTYPE = {name: i for i, name in enumerate(AMINO_ACIDS)}
DESIGN_RESTYPE = 32
N_RESTYPES = 36
BACKBONE = ("N", "CA", "C", "O")
RADII = {"C": 1.70, "N": 1.55, "O": 1.52, "S": 1.80}  # Å, van der Waals; Bondi 1964
# the same residue in another protonation state or disulfide, as force fields call it
PROTONATED = {
    **dict.fromkeys(("HID", "HIE", "HIP", "HSD", "HSE", "HSP", "HISD", "HISE", "HISH"), "HIS"),
    **dict.fromkeys(("CYX", "CYM", "CYS2", "CYSH"), "CYS"),
    **dict.fromkeys(("ASH", "ASPH"), "ASP"),
    **dict.fromkeys(("GLH", "GLUH"), "GLU"),
    **dict.fromkeys(("LYN", "LYSH"), "LYS"),
    **dict.fromkeys(("ARN", "ARGN"), "ARG"),
    "TYM": "TYR",
}
CAPS = frozenset({"ACE", "FOR", "NH2", "NME", "NMA", "NHE"})
_ONE_LETTER = dict(zip("ARNDCQEGHILKMFPSTWYV", AMINO_ACIDS, strict=True))

_LETTER = {name: letter for letter, name in _ONE_LETTER.items()}


@dataclass(frozen=True)
class ResidueType:
    """One amino acid; `ideal` holds the CCD's ideal coordinates in Å, (atoms, 3)."""

    atoms: tuple[str, ...]
    elements: tuple[str, ...]
    charges: tuple[int, ...]
    ideal: np.ndarray


@cache
def residue_types() -> dict[str, ResidueType]:
    """The 20 amino acids by three-letter name, from the Chemical Component Dictionary."""
    table = json.loads((DATA / "residues.json").read_text("utf-8"))
    return {
        name: ResidueType(
            tuple(t["atoms"]), tuple(t["elements"]), tuple(t["charges"]), np.array(t["ideal"])
        )
        for name, t in table.items()
    }


def parent_of(name: str) -> str | None:
    """The amino acid a modified residue derives from (CSO -> CYS), None where it is not known."""
    if name in RESTYPE:
        return name
    if name in PROTONATED:
        return PROTONATED[name]
    tabulated = gemmi.find_tabulated_residue(name)
    return three_letters(tabulated.one_letter_code) if tabulated.is_amino_acid() else None


def three_letters(letter: str) -> str | None:
    """K -> LYS; None for what is none of the 20."""
    return _ONE_LETTER.get(letter.upper())


def letter_of(name: str) -> str:
    """One-letter code of a residue, that of its parent if it is modified, X if there is none."""
    return _LETTER.get(parent_of(name) or "", "X")


def name_of(letter: str) -> str:
    """Three-letter name of an amino acid, UNK for X."""
    return _ONE_LETTER.get(letter, "UNK")


def vdw_radius(element: str) -> float:
    """Å; elements that proteins hardly have count as carbon."""
    return RADII.get(element, RADII["C"])


def element_index(element: str) -> int:
    """Atomic number - 1, the class of the element one-hot."""
    return gemmi.Element(element).atomic_number - 1
