"""Tables of atoms: what a structure file says of each."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Atoms:
    """The sampled atoms, in order: the names that a structure file gives them."""

    name: np.ndarray  # (A,) str
    element: np.ndarray  # (A,) str
    residue: np.ndarray  # (A,) str, three letters; the binder is GLY
    chain: np.ndarray  # (A,) str: A0, B0, ..., the binder last
    number: np.ndarray  # (A,) the structure's own residue number
    insertion: np.ndarray  # (A,) str, insertion code or ""
    label_seq: np.ndarray  # (A,) position in the chain's full sequence, from 1
    xyz: np.ndarray  # (A, 3) float32 Å, the target's deposited place; NaN: unresolved or binder

    def __len__(self) -> int:
        return len(self.name)

    @property
    def binder(self) -> np.ndarray:
        """(A,) bool: the last chain of the sampled atoms."""
        return self.chain == self.chain[-1]

    @property
    def placed_ca(self) -> np.ndarray:
        """(A,) bool: the target's CA atoms with a deposited place; designs are laid on them."""
        return (self.name == "CA") & ~self.binder & np.isfinite(self.xyz).all(1)

    def deposited(self) -> "Atoms":
        """The atoms that have a deposited place."""
        known = np.isfinite(self.xyz).all(1)
        return Atoms(**{name: column[known] for name, column in vars(self).items()})


def chain_name(index: int) -> str:
    """A0, B0, ... Z0, AA0, AB0, ...: the published pipeline's names for the chains."""
    letters = ""
    index += 1
    while index:
        index, rest = divmod(index - 1, 26)
        letters = chr(65 + rest) + letters
    return letters + "0"
