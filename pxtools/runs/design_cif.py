"""mmCIF files of designs: the target chains in place, the binder (as GLY or xpb) last."""

import hashlib
from collections.abc import Callable
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

import gemmi
import numpy as np

from pxtools.errors import DamagedError
from pxtools.runs.chunk import Chunk
from pxtools.runs.files import read_bytes
from pxtools.runs.record import RunRecord
from pxtools.structure.atoms import Atoms, chain_name
from pxtools.structure.geometry import superposition

SEAL = b"# px-tools sha256 "


def cif_writer(
    chunk: Chunk, align: bool, residue: str = "GLY"
) -> Callable[[int], tuple[bytes, float]]:
    """A function from the i-th design of a chunk to its file and its target CA RMSD in Å.

    The text is made once, with gemmi; only coordinates differ between designs. With `align`
    each design is laid on the target as deposited (CA atoms), else it stays where it was sampled.
    `residue` is what the binder is written as.
    """
    place = placement(chunk, align)
    chains = chains_of(written_atoms(chunk), chunk.sequences, residue)
    template = _template(written_atoms(chunk), chains, chunk.record.task.name)
    template += f"_pxtools_design.hotspots        {hotspot_names(chunk.record)}\n"
    template += "_pxtools_design.sample          %d\n_pxtools_design.target_ca_rmsd  %.3f\n#\n"

    def write(i: int) -> tuple[bytes, float]:
        xyz, rmsd = place(i)
        text = (template % (*xyz.ravel().tolist(), chunk.samples[i], rmsd)).encode()
        return text + SEAL + hashlib.sha256(text).hexdigest().encode() + b"\n", rmsd

    return write


def placement(chunk: Chunk, align: bool) -> Callable[[int], tuple[np.ndarray, float]]:
    """A function from the i-th design to its written atoms (atoms, 3) and target CA RMSD in Å."""
    atoms, deposited = chunk.atoms, chunk.target
    binder, ca = atoms.binder, atoms.placed_ca

    def place(i: int) -> tuple[np.ndarray, float]:
        xyz = chunk.xyz[i].astype(np.float64)
        rotation, translation, rmsd = superposition(xyz[ca], atoms.xyz[ca])
        if align:
            xyz = xyz @ rotation.T + translation
        if deposited is not None:
            whole = deposited.xyz.astype(np.float64)
            whole = whole if align else (whole - translation) @ rotation
            xyz = np.concatenate([whole, xyz[binder]])
        return xyz, rmsd

    return place


def written_atoms(chunk: Chunk) -> Atoms:
    """The atoms of a design's file: the whole target where the model sees its backbone only."""
    if chunk.target is None:
        return chunk.atoms
    return joined(chunk.target, chunk.atoms, chunk.atoms.binder)


def joined(target: Atoms, atoms: Atoms, binder: np.ndarray) -> Atoms:
    """The deposited target's atoms, then the sampled binder's."""
    return Atoms(
        **{k: np.concatenate([v, getattr(atoms, k)[binder]]) for k, v in vars(target).items()}
    )


def target_cif(target: Atoms, sequences: list[list[str]], name: str) -> bytes:
    """The mmCIF text of a target as deposited, without a binder."""
    template = _template(target, chains_of(target, sequences), name)
    return (template % tuple(target.xyz.ravel().tolist())).encode()


def hotspot_names(record: RunRecord) -> str:
    """The hotspots of a run as its CIFs name them: A0:40,A0:99A; `?` for none."""
    named = [
        f"{chain_name(i)}:{number}"
        for i, chain in enumerate(record.task.chains.values())
        for number in chain.hotspots
    ]
    return ",".join(named) or "?"


def read_cif(path: Path) -> bytes:
    """The file's bytes; DamagedError unless they are just what px-write-cif wrote."""
    data = read_bytes(path)
    text, mark, digest = data.rpartition(SEAL)
    if not mark or hashlib.sha256(text).hexdigest().encode() + b"\n" != digest:
        raise DamagedError("its content does not match its digest")
    return data


def read_back(path: Path) -> None:
    """DamagedError unless gemmi reads as many atoms from a CIF as it has lines for."""
    text = read_bytes(path)
    try:
        structure = gemmi.read_structure_string(text, format=gemmi.CoorFormat.Mmcif)
        count = structure[0].count_atom_sites()
    except (RuntimeError, ValueError, IndexError) as error:
        raise DamagedError(f"not a readable mmCIF: {error}") from None
    lines = text.count(b"\nATOM ")
    if count != lines or not count:
        raise DamagedError(f"{count} atoms are read from {lines} lines")


class ChainRows(NamedTuple):
    """A chain of a file to write: its rows in the table of atoms, and its full sequence."""

    name: str
    rows: list[int]
    sequence: list[str]
    residue: str | None  # in place of the atoms' own


def chains_of(atoms: Atoms, sequences: list[list[str]], residue: str = "GLY") -> list[ChainRows]:
    """The target's chains, those with a sequence, then the binder's, made of `residue`."""
    groups = [list(g) for _, g in groupby(range(len(atoms)), key=lambda i: atoms.chain[i])]
    names = [str(atoms.chain[rows[0]]) for rows in groups]
    target = [
        ChainRows(name, rows, sequence, None)
        for name, rows, sequence in zip(names, groups, sequences, strict=False)
    ]
    binder = [
        ChainRows(name, rows, [residue] * len(_by_residue(atoms, rows)), residue)
        for name, rows in zip(names, groups, strict=True)
    ]
    return target + binder[len(target) :]


def gemmi_structure(atoms: Atoms, chains: list[ChainRows], name: str) -> gemmi.Structure:
    """The chains in this order, all atoms at the origin."""
    structure = gemmi.Structure()
    structure.name = name
    model = gemmi.Model(1)
    for number, part in enumerate(chains, 1):
        chain = gemmi.Chain(part.name)
        for rows in _by_residue(atoms, part.rows):
            chain.add_residue(_residue(atoms, rows, part, str(number)))
        model.add_chain(chain)
        entity = gemmi.Entity(str(number))
        entity.entity_type = gemmi.EntityType.Polymer
        entity.polymer_type = gemmi.PolymerType.PeptideL
        entity.subchains = [part.name]
        entity.full_sequence = part.sequence
        structure.entities.append(entity)
    structure.add_model(model)
    return structure


def _template(atoms: Atoms, chains: list[ChainRows], name: str) -> str:
    """The file's text with %.3f for each coordinate."""
    structure = gemmi_structure(atoms, chains, name)
    groups = gemmi.MmcifOutputGroups(False)
    groups.block_name = groups.entry = groups.entity = groups.entity_poly = True
    groups.entity_poly_seq = groups.struct_asym = groups.chem_comp = groups.atoms = True
    groups.group_pdb = True
    document = gemmi.cif.Document()
    block = document.add_new_block(name)
    structure.update_mmcif_block(block, groups)
    for axis in "xyz":
        column = block.find_values(f"_atom_site.Cartn_{axis}")
        for i in range(len(column)):
            column[i] = "\0"
    return document.as_string().replace("%", "%%").replace("\0", "%.3f")


def _by_residue(atoms: Atoms, rows: list[int]) -> list[list[int]]:
    return [list(g) for _, g in groupby(rows, key=lambda i: atoms.label_seq[i])]


def _residue(atoms: Atoms, rows: list[int], chain: ChainRows, entity: str) -> gemmi.Residue:
    first = rows[0]
    residue = gemmi.Residue()
    residue.name = chain.residue or str(atoms.residue[first])
    residue.seqid = gemmi.SeqId(int(atoms.number[first]), str(atoms.insertion[first]) or " ")
    residue.label_seq = int(atoms.label_seq[first])
    residue.subchain = chain.name
    residue.entity_id = entity
    residue.entity_type = gemmi.EntityType.Polymer
    residue.het_flag = "A"
    for i in rows:
        atom = gemmi.Atom()
        atom.name = str(atoms.name[i])
        atom.element = gemmi.Element(str(atoms.element[i]))
        atom.occ, atom.b_iso = 1.0, 0.0
        residue.add_atom(atom)
    return residue
