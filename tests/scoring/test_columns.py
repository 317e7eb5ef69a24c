"""Columns against other implementations, and against what was planted."""

import gzip
import json
import re
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import gemmi
import numpy as np
import pytest
from Bio.PDB.PDBParser import PDBParser
from Bio.PDB.SASA import ShrakeRupley
from Bio.PDB.Structure import Structure
from conftest import DATA, STRUCTURES

from pxtools.errors import InputError
from pxtools.scoring.metrics import FROM_TASK, Measures, filled_in, lacking, score
from pxtools.scoring.surroundings import Surroundings, surroundings_of
from pxtools.structure.backbone import dihedrals
from pxtools.structure.complex import Complex, read_complex
from pxtools.structure.ramachandran import outliers
from pxtools.structure.residues import RADII
from pxtools.task.reading import read_tasks

PDB = gzip.decompress((STRUCTURES / "1HVR.pdb.gz").read_bytes())
HIV = read_complex("1HVR", PDB)  # a dimer of 99 residues each: A is the target, B the binder
KEEPS = ("N", "CA", "C", "O", "CB")


@pytest.fixture(scope="module")
def areas(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Structure]:
    """Biopython's areas, with our radii, of the chains A, B and both.

    Of A's heavy atoms and of B's backbone and CB.
    """
    structure = gemmi.read_pdb_string(PDB)
    structure.remove_ligands_and_waters()
    structure.remove_hydrogens()
    for residue in structure[0]["B"]:
        for i in reversed(range(len(residue))):
            if residue[i].name not in KEEPS:
                del residue[i]
    found = {}
    path = tmp_path_factory.mktemp("areas") / "x.pdb"
    for chains in ("A", "B", "AB"):
        part = structure.clone()
        for name in {"A", "B"} - set(chains):
            part[0].remove_chain(name)
        part.write_pdb(str(path))
        found[chains] = PDBParser(QUIET=True).get_structure("x", path)
        ShrakeRupley(n_points=300, radii_dict=RADII).compute(found[chains], level="A")
    return found


def test_buried_area_is_biopythons(areas: dict[str, Structure]) -> None:
    wanted = sum(atom.sasa for c in ("A", "B") for atom in areas[c].get_atoms())
    wanted -= sum(atom.sasa for atom in areas["AB"].get_atoms())
    assert wanted > 1500
    assert score(HIV).buried_area == pytest.approx(wanted, rel=0.02)


def test_exposed_termini_are_biopythons(areas: dict[str, Structure]) -> None:
    residues = list(areas["AB"][0]["B"])
    for name, residue in (("n_term_exposed", residues[0]), ("c_term_exposed", residues[-1])):
        wanted = sum(atom.sasa for atom in residue if atom.name in KEEPS[:4])
        assert getattr(score(HIV), name) == pytest.approx(wanted, abs=4)


def test_sizes_and_fractions_are_those_of_the_file() -> None:
    chain = gemmi.read_pdb_string(PDB)[0]["B"].get_polymer()
    places = [residue.sole_atom("CA").pos for residue in chain]
    square = sum(a.dist(b) ** 2 for a in places for b in places) / (2 * len(places) ** 2)
    fold = json.loads((DATA / "dssp.json").read_text())["1HVR.pdb.gz"][99:]
    row = score(HIV)
    assert (row.binder_length, row.target_residues) == (len(places), 99)
    assert row.rg == pytest.approx(square**0.5, abs=0.01)
    assert row.rg_expected == pytest.approx(2.2 * 99**0.38, abs=0.01)
    for name, letters in (("helix", "H"), ("strand", "E"), ("loop", "-")):
        share = sum(letter in letters for letter in fold) / len(fold)
        assert getattr(row, name) == pytest.approx(share, abs=1e-3), name


def test_helices_and_strands_are_those_of_dssp() -> None:
    fold = json.loads((DATA / "dssp.json").read_text())["1HVR.pdb.gz"][99:]
    row = score(HIV)
    assert row.helices == len(re.findall("H{4,}", fold)) >= 1
    assert row.strands == len(re.findall("E{2,}", fold)) >= 5
    assert row.longest_helix == max(map(len, re.findall("H+", fold)))


def test_a_break_parts_a_helix() -> None:
    fold = np.array(["-"] * 99 + ["H"] * 99)
    c = replace(HIV)
    vars(c)["fold"] = fold
    assert (Measures(c).helices, Measures(c).longest_helix) == (1, 99)
    linked = HIV.linked.copy()
    linked[99 + 40] = False
    c = replace(HIV, linked=linked)
    vars(c)["fold"] = fold
    assert (Measures(c).helices, Measures(c).longest_helix) == (2, 59)


def test_ramachandran_outliers() -> None:
    """gemmi's dihedrals fall where proteins are; those of the mirror image do not."""
    assert score(HIV).ramachandran_off == 0
    mirrored = replace(HIV, xyz=HIV.xyz * [1, 1, -1], cb=HIV.cb * [1, 1, -1])
    assert (score(mirrored).ramachandran_off or 0) > 0.7
    known, off = outliers(HIV.xyz[:99], HIV.linked[:99])
    assert list(known) == [False, *[True] * 97, False] and not off[~known].any()
    residues = list(gemmi.read_pdb_string(PDB)[0]["A"].get_polymer())
    phi = [
        gemmi.calculate_dihedral(a["C"][0].pos, *(b[name][0].pos for name in ("N", "CA", "C")))
        for a, b in pairwise(residues[:-1])
    ]
    n, ca, c = HIV.xyz[:99, :3].swapaxes(0, 1)
    ours = dihedrals(c[:-2], n[1:-1], ca[1:-1], c[1:-1])
    np.testing.assert_allclose(ours, np.degrees(phi), atol=1e-3)


def test_interface_residues_and_their_names() -> None:
    pairs = [
        (i, j)
        for i in range(99)
        for j in range(99, 198)
        if np.linalg.norm(HIV.cb[i] - HIV.cb[j]) < 8
    ]
    row = score(HIV)
    target = sorted({i for i, _ in pairs})
    assert row.contacts == len(pairs) and row.interface_target == len(target)
    assert row.interface_binder == len({j for _, j in pairs})
    assert row.epitope == " ".join(f"A:{i + 1}" for i in target)
    away = replace(HIV, cb=HIV.cb + 100 * HIV.binder[:, None])
    assert score(away).epitope is None and score(away).interface_target == 0


def test_distances_to_hotspots_and_termini() -> None:
    assert score(HIV).hotspot_distance is None
    c = replace(HIV, hotspots=np.isin(np.arange(198), [3, 50]))
    nearest = [min(np.linalg.norm(HIV.cb[i] - HIV.cb[j]) for j in range(99, 198)) for i in (3, 50)]
    assert score(c).hotspot_distance == pytest.approx(np.mean(nearest), abs=0.005)
    chain = gemmi.read_pdb_string(PDB)[0]
    first, last = chain["B"].get_polymer()[0]["N"][0], chain["B"].get_polymer()[98]["C"][0]
    others = [atom for residue in chain["A"].get_polymer() for atom in residue]
    others = [atom for atom in others if not atom.is_hydrogen()]
    row = score(HIV)
    assert row.n_term_target == pytest.approx(min(first.pos.dist(a.pos) for a in others), abs=0.01)
    assert row.c_term_target == pytest.approx(min(last.pos.dist(a.pos) for a in others), abs=0.01)
    assert row.termini_distance == pytest.approx(first.pos.dist(last.pos), abs=0.01)


@pytest.fixture
def around(tmp_path: Path) -> Surroundings:
    """Of chain A cropped to its first 50 residues."""
    task = tmp_path / "hiv.yaml"
    chains = "{A: {crop: ['1-50']}}"
    target = f"{{file: {STRUCTURES / '1HVR.pdb.gz'}, chains: {chains}}}"
    task.write_text(f"binder_length: 99\ntarget: {target}\n")
    return surroundings_of(read_tasks(str(task))[0])


def cropped() -> Complex:
    """As px-write-cif names its chains, without residues 51-99 of A."""
    kept = np.arange(198) < 50
    places = {"xyz", "cb", "own_cb", "proline", "linked", "binder", "hotspots"}
    part = {name: getattr(HIV, name)[kept | HIV.binder] for name in places}
    keys = [("A0", key[1]) if key[0] == "A" else ("B0", key[1]) for key in HIV.keys]
    return replace(
        HIV,
        **part,
        keys=tuple(key for key, keep in zip(keys, kept | HIV.binder, strict=True) if keep),
    )


def test_clashes_with_what_the_crop_cut_away(around: Surroundings) -> None:
    """The binder is pushed into residues 51-99; another frame changes nothing."""
    shift = HIV.xyz[51:99, 1].mean(0) - HIV.xyz[99:, 1].mean(0)
    c = cropped()
    into = replace(c, xyz=c.xyz + shift * c.binder[:, None, None])
    found = score(into, around=around).clashes_cropped
    structure = gemmi.read_pdb_string(PDB)[0]["A"].get_polymer()
    cut = [a for r in structure if (r.seqid.num or 0) > 50 for a in r if not a.is_hydrogen()]
    radii = [RADII["N"], RADII["C"], RADII["C"], RADII["O"]]
    wanted = sum(
        np.linalg.norm(np.array(atom.pos.tolist()) - point) < RADII[atom.element.name] + r - 0.8
        for residue in into.xyz[into.binder]
        for point, r in zip(residue, radii, strict=True)
        for atom in cut
    )
    assert found == wanted
    assert int(wanted) > 50
    turned = replace(into, xyz=into.xyz @ np.array([[0, 1, 0], [-1, 0, 0], [0, 0, 1]]) + 20)
    assert score(turned, around=around).clashes_cropped == wanted
    assert score(c, around=around).clashes_cropped == 0
    assert score(c).clashes_cropped is None


def test_contacts_to_avoid(around: Surroundings) -> None:
    c = cropped()
    near = c.near.sum(1)
    some = [int(i) for i in np.flatnonzero(near)[:2]]
    avoid = frozenset(c.keys[i] for i in some)
    assert score(c, around=replace(around, avoided=avoid)).avoid_contacts == near[some].sum() > 0
    assert score(c, around=around).avoid_contacts == 0


def test_a_task_marks_residues_to_avoid(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    task = tmp_path / "hiv.yaml"
    target = (
        f"{{file: {STRUCTURES / '1HVR.pdb.gz'}, chains: {{A: {{avoid: [5, '8-9', A25, 400]}}}}}}"
    )
    task.write_text(f"binder_length: 99\ntarget: {target}\n")
    numbers = {key[1].number for key in surroundings_of(read_tasks(str(task))[0]).avoided}
    assert numbers == {5, 8, 9, 25, 400}
    assert "chain A, avoid: 400 are not in the crop" in capsys.readouterr().err
    task.write_text(task.read_text().replace("avoid: [5,", "avoid: [x,"))
    with pytest.raises(InputError, match="avoid"):
        read_tasks(str(task))


def test_columns_of_the_task_are_filled_in_once_it_is_given(around: Surroundings) -> None:
    row = replace(score(cropped()), contacts=7, buried_area=None, epitope=None)
    assert lacking(row, None) == ["buried_area"]
    assert set(lacking(row, around)) == {"buried_area", *FROM_TASK}
    whole = filled_in(row, cropped(), around)
    assert whole == replace(score(cropped(), around=around), contacts=7)
    assert not lacking(whole, around)
    assert filled_in(whole, cropped()) == whole


def test_another_crop_or_other_residues_to_avoid_are_measured_again(around: Surroundings) -> None:
    row = score(cropped(), around=around)
    avoided = frozenset(key for key in cropped().keys if key[0] == "A0")
    other = replace(around, avoided=avoided)
    assert set(lacking(row, other)) == set(FROM_TASK) and around.avoided != avoided
    assert filled_in(row, cropped(), other) == score(cropped(), around=other)
