"""Reference conformers of the amino acids, where a model brings its own."""

import json

import numpy as np

from pxtools.structure.residues import residue_types

Conformers = dict[str, np.ndarray]  # residue -> (atoms in CCD order, 3) Å


def checked(xyz: np.ndarray, name: str) -> np.ndarray:
    """A residue's coordinates (atoms, 3) in Å. Raises ValueError where they are none."""
    expected = (len(residue_types()[name].atoms), 3)
    if xyz.shape != expected or not (np.isfinite(xyz).all() and np.abs(xyz).max() < 100):
        raise ValueError(f"{name}: expected {expected} finite coordinates")
    return xyz


def to_json(conformers: Conformers) -> str:
    return json.dumps({name: xyz.round(4).tolist() for name, xyz in conformers.items()})


def from_json(text: str) -> Conformers:
    """Raises ValueError for anything but conformers of the 20 amino acids."""
    values = json.loads(text)
    if not isinstance(values, dict) or set(values) != set(residue_types()):
        raise ValueError("conformers: expected the 20 amino acids")
    return {name: checked(np.array(xyz, float), name) for name, xyz in values.items()}
