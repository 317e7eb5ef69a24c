"""mmCIF files of designs with the letters of a sequence in them."""

from pathlib import Path

import gemmi

from pxtools.sequences.making import Made
from pxtools.structure.residues import BACKBONE, name_of

MADE_FROM = "_pxtools_sequence.made_from"


def lettered_cif(made: Made, made_from: str) -> bytes:
    """The design with its binder's residues named; their B-factors are the letters' probabilities.

    Of the binder only N, CA, C and O are kept: its side chains in the file were other residues'.
    """
    structure = made.design.structure.clone()
    structure.name = f"{made.design.name}_seq_{made.number}"
    sites = made.design.binder.sites
    subchain = sites[0].subchain
    letters = dict(
        zip(map(_place, sites), zip(made.sequence, made.probabilities, strict=True), strict=True)
    )
    for chain in structure[0]:
        for residue in chain:
            if _place(residue) in letters:
                _rename(residue, *letters[_place(residue)])
    _own_entity(structure, subchain, [name_of(letter) for letter in made.sequence])
    document = structure.make_mmcif_document()
    block = document.sole_block()
    block.set_pair(MADE_FROM, made_from)
    block.set_pair("_pxtools_sequence.score", f"{made.score:.4f}")
    return document.as_string().encode()


def was_made_from(path: Path, made_from: str) -> bool:
    """Whether the file is there and says that it was made from the same."""
    try:
        last = path.read_bytes()[-200:].decode(errors="replace")
    except OSError:
        return False
    return f"{MADE_FROM} {made_from}" in last


def _place(residue: gemmi.Residue) -> tuple[str, str]:
    return residue.subchain, str(residue.seqid)


def _rename(residue: gemmi.Residue, letter: str, probability: float) -> None:
    residue.name = name_of(letter)
    residue.het_flag = "A"
    for i in reversed(range(len(residue))):
        if residue[i].name in BACKBONE:
            residue[i].b_iso = float(probability)
        else:
            del residue[i]


def _own_entity(structure: gemmi.Structure, subchain: str, sequence: list[str]) -> None:
    """Give the chain an entity of its own: another chain may have shared its old sequence."""
    old = structure.get_entity(structure[0].get_subchain(subchain)[0].entity_id)
    if old is not None:
        old.subchains = [name for name in old.subchains if name != subchain]
    entity = gemmi.Entity(str(len(structure.entities) + 1))
    entity.entity_type = gemmi.EntityType.Polymer
    entity.polymer_type = gemmi.PolymerType.PeptideL
    entity.subchains = [subchain]
    entity.full_sequence = sequence
    structure.entities.append(entity)
    for number, residue in enumerate(structure[0].get_subchain(subchain), 1):
        residue.entity_id, residue.label_seq = entity.name, number
