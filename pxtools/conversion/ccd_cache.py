"""The conformers that PXDesign-d was trained with, from Protenix's cache of them."""

import pickle
from pathlib import Path
from typing import Any

import numpy as np

from pxtools.console import say
from pxtools.errors import InputError, shown
from pxtools.network.conformers import Conformers, checked
from pxtools.structure.residues import residue_types

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
    return checked(np.array([xyz[molecule.atom_map[atom]] for atom in atoms]), name)
