"""Features against those of the published implementation, on real structures."""

from pathlib import Path

import numpy as np
import pytest
from conftest import STRUCTURE_OF, TaskFile, fixture_task, load
from variants import INSERTED, A, chain, shifted, text

from pxtools.network.features import featurize
from pxtools.task.reading import read_tasks
from pxtools.task.target import read_target
from pxtools.task.types import BinderLengths, ChainPick, Task

SAME = {
    "restype": "restype",
    "residue_index": "residue_index",
    "asym_id": "asym_id",
    "entity_id": "entity_id",
    "sym_id": "sym_id",
    "hotspot": "hotspot",
    "design": "design_token_mask",
    "template": "conditional_templ",
    "template_mask": "conditional_templ_mask",
    "ref_charge": "ref_charge",
    "ref_element": "ref_element",
    "ref_name_chars": "ref_atom_name_chars",
    "atom_to_token": "atom_to_token_idx",
    "is_representative": "distogram_rep_atom_mask",
}


@pytest.mark.parametrize("name", STRUCTURE_OF)
def test_features_equal_the_published_ones(name: str, task_file: TaskFile) -> None:
    (task,) = read_tasks(task_file(fixture_task(name)))
    ours = featurize(read_target(task), task.binder_lengths.longest)
    theirs = load(f"features/{name}.npz")
    for mine, published in SAME.items():
        np.testing.assert_array_equal(getattr(ours, mine), theirs[published], err_msg=mine)
    np.testing.assert_array_equal(ours.atom_to_token, theirs["ref_space_uid"])
    assert (theirs["ref_mask"] == 1).all()
    atoms, binder = ours.atoms, ours.design[ours.atom_to_token]
    np.testing.assert_array_equal(atoms.name, theirs["atom_name"])
    np.testing.assert_array_equal(atoms.element, theirs["element"])
    np.testing.assert_array_equal(atoms.chain, theirs["chain_id"])
    np.testing.assert_array_equal(atoms.number, theirs["res_id"])
    np.testing.assert_array_equal(atoms.residue[~binder], theirs["res_name"][~binder])
    assert set(theirs["res_name"][binder]) == {"xpb"}
    assert set(atoms.residue[binder]) == {"GLY"}
    resolved = theirs["condition_coord_resolved"]
    np.testing.assert_array_equal(np.isfinite(atoms.xyz).all(1), resolved)
    np.testing.assert_allclose(atoms.xyz[resolved], theirs["condition_coord"][resolved], atol=1e-4)
    same_residue = ours.atom_to_token[:, None] == ours.atom_to_token[None, :]
    for_pairs = np.nonzero(same_residue)
    np.testing.assert_allclose(
        distances(ours.ref_pos, for_pairs), distances(theirs["ref_pos"], for_pairs), atol=0.05
    )


def distances(xyz: np.ndarray, pairs: tuple[np.ndarray, ...]) -> np.ndarray:
    apart: np.ndarray = np.linalg.norm(xyz[pairs[0]] - xyz[pairs[1]], axis=-1)
    return apart


def test_numbers_of_bonded_residues_are_no_matter(tmp_path: Path) -> None:
    """Insertion codes and the jumps of antibodies' numbers are none of the chain; gaps are."""
    path = tmp_path / "hiv.pdb"

    def index(lines: list[str]) -> list[int]:
        path.write_bytes(text(lines))
        task = Task("task.yaml", "x", path, (ChainPick("A", None, ()),), BinderLengths((5,)))
        return list(featurize(read_target(task), 5).residue_index)

    whole = [*range(1, 100), *range(1, 6)]
    assert index(A) == index(INSERTED) == whole
    assert index([*chain("A", 1, 39), *shifted(chain("A", 40), 7)]) == whole
    assert index(shifted(A, -6)) == [*range(-5, 94), *range(1, 6)]
    assert index([*chain("A", 1, 39), *chain("A", 46)]) == [*range(1, 40), *whole[45:]]
