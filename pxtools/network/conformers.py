"""Reference conformers of the amino acids, where a model brings its own."""

import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np

from pxtools.console import say
from pxtools.errors import InputError, shown
from pxtools.structure.residues import residue_types

Conformers = dict[str, np.ndarray]  # residue -> (atoms in CCD order, 3) Å

# what a pickled {code: rdkit molecule} needs; numpy's are those of its array pickles
ALLOWED = {
    ("rdkit.Chem.rdchem", "Mol"),
    ("numpy", "ndarray"),
    ("numpy", "dtype"),
    ("numpy.core.multiarray", "_reconstruct"),
    ("numpy._core.multiarray", "_reconstruct"),
    ("numpy.core.multiarray", "scalar"),
    ("numpy._core.multiarray", "scalar"),
    ("_codecs", "encode"),
}


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in ALLOWED:
            raise pickle.UnpicklingError(
                f"it asks for {shown(f'{module}.{name}')}: refused, nothing was executed"
            )
        return super().find_class(module, name)


def read_ccd_cache(path: Path) -> Conformers:
    """The 20 amino acids of components.rdkit_mol.pkl, Protenix's cache of CCD conformers.

    Its molecules are parsed by RDKit itself, from bytes that are trusted to RDKit's own care;
    every other global of the pickle is refused.
    """
    try:
        import rdkit  # noqa: F401
    except ImportError:
        raise InputError("--ccd-cache needs RDKit: pip install rdkit") from None
    say(f"Reading {path} with RDKit's own unpickler, as --ccd-cache asks")
    try:
        with path.open("rb") as file:
            molecules = _Unpickler(file).load()
        return {name: _positions(molecules[name], name) for name in residue_types()}
    except (OSError, EOFError, pickle.UnpicklingError, RuntimeError) as error:
        raise InputError(
            f"{path}: not a readable cache of conformers: {shown(str(error))}"
        ) from None
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        raise InputError(
            f"{path}: expected RDKit molecules of the 20 amino acids, found {shown(repr(error))}"
        ) from None


def _positions(molecule: Any, name: str) -> np.ndarray:
    xyz = molecule.GetConformer(int(molecule.ref_conf_id)).GetPositions()
    atoms = residue_types()[name].atoms
    return _checked(np.array([xyz[molecule.atom_map[atom]] for atom in atoms]), name)


def _checked(xyz: np.ndarray, name: str) -> np.ndarray:
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
    return {name: _checked(np.array(xyz, float), name) for name, xyz in values.items()}
