"""Features: what the network sees of a task, one token a residue (T tokens, A atoms)."""

import hashlib
from dataclasses import dataclass
from itertools import chain

import numpy as np

from pxtools.network.conformers import Conformers
from pxtools.structure.atoms import Atoms, chain_name
from pxtools.structure.parsing import PEPTIDE_BOND
from pxtools.structure.residue_number import ResidueNumber
from pxtools.structure.residues import (
    BACKBONE,
    DESIGN_RESTYPE,
    RESTYPE,
    element_index,
    residue_types,
)
from pxtools.structure.target import TargetChain, TargetResidue

N, C = BACKBONE.index("N"), BACKBONE.index("C")
TEMPLATE_BOUNDARIES = np.linspace(2.0, 22.0, 63)  # Å; 64 bins


@dataclass(frozen=True)
class Features:
    """AF3's features as PXDesign feeds them; classes as indices instead of one-hots."""

    restype: np.ndarray  # (T,) of 36 classes
    residue_index: np.ndarray  # (T,)
    asym_id: np.ndarray  # (T,)
    entity_id: np.ndarray  # (T,)
    sym_id: np.ndarray  # (T,)
    hotspot: np.ndarray  # (T,) 0 or 1
    design: np.ndarray  # (T,) bool: the binder
    template: np.ndarray  # (T, T) distance bin, 0 where unknown
    template_mask: np.ndarray  # (T, T) bool
    ref_pos: np.ndarray  # (A, 3) Å
    ref_charge: np.ndarray  # (A,)
    ref_element: np.ndarray  # (A,) atomic number - 1
    ref_name_chars: np.ndarray  # (A, 4) ord - 32
    atom_to_token: np.ndarray  # (A,) also ref_space_uid: one token a residue
    is_representative: np.ndarray  # (A,) bool: CB, or CA for GLY and the binder
    atoms: Atoms

    @property
    def n_tokens(self) -> int:
        return len(self.restype)

    def digest(self, whole_target: Atoms | None) -> str:
        """SHA-256 of everything that decides the designs, the seed's rotations left out."""
        sha = hashlib.sha256()
        arrays = [v for k, v in vars(self).items() if k not in ("ref_pos", "atoms")]
        for atoms in (self.atoms, whole_target):
            arrays += vars(atoms).values() if atoms else []
        for array in arrays:
            kind = "U8" if array.dtype.kind == "U" else "<f4" if array.dtype.kind == "f" else "<i4"
            sha.update(repr((array.shape, kind)).encode())
            sha.update(array.astype(kind).tobytes())
        return sha.hexdigest()


@dataclass(frozen=True)
class _Token:
    residue: TargetResidue
    restype: int
    chain: int
    keep: list[int]  # which of the residue type's atoms are sampled
    representative: np.ndarray  # (3,) Å, NaN where unresolved


def featurize(
    target: tuple[TargetChain, ...],
    binder_length: int,
    target_atoms: str = "all",
    conformers: Conformers | None = None,
) -> Features:
    """Features of a target and a binder to design, reference conformers centred and unrotated.

    `target_atoms`: "all" heavy atoms as the released model has them, or "backbone" for models
    that see target residues as N, CA, C, O only (the template still comes from CB).
    `conformers` are a model's own, else the CCD's ideal coordinates are used.
    """
    tokens = [
        _target_token(residue, c, target_atoms)
        for c, part in enumerate(target)
        for residue in part.residues
    ]
    nowhere = np.full((5, 3), np.nan)
    for i in range(1, binder_length + 1):
        keep = [0, 1, 2, 3, 4] if i == binder_length else [0, 1, 2, 3]  # OXT on the last
        residue = TargetResidue("GLY", ResidueNumber(i), i, nowhere, False)
        tokens.append(_Token(residue, DESIGN_RESTYPE, len(target), keep, nowhere[0]))
    return _assemble(tokens, conformers)


def _target_token(residue: TargetResidue, chain: int, target_atoms: str) -> _Token:
    names = residue_types()[residue.name].atoms[: len(residue.xyz)]  # without OXT, or with
    keep = [i for i, name in enumerate(names) if target_atoms == "all" or name in BACKBONE]
    center = names.index("CA" if residue.name == "GLY" else "CB")
    return _Token(residue, RESTYPE[residue.name], chain, keep, residue.xyz[center])


def _assemble(tokens: list[_Token], conformers: Conformers | None) -> Features:
    kinds = [residue_types()[token.residue.name] for token in tokens]
    sizes = [len(token.keep) for token in tokens]
    names = [[kind.atoms[i] for i in t.keep] for kind, t in zip(kinds, tokens, strict=True)]
    elements = [[kind.elements[i] for i in t.keep] for kind, t in zip(kinds, tokens, strict=True)]
    charges = [[kind.charges[i] for i in t.keep] for kind, t in zip(kinds, tokens, strict=True)]
    known = conformers or {name: kind.ideal for name, kind in residue_types().items()}
    ideal = [known[t.residue.name][t.keep] for t in tokens]
    asym_id = np.array([token.chain for token in tokens])
    design = np.array([token.restype == DESIGN_RESTYPE for token in tokens])
    element = np.array([*chain.from_iterable(elements)])
    name = np.array([*chain.from_iterable(names)])
    of_token = np.repeat(np.arange(len(tokens)), sizes)
    residue_name = np.array([token.residue.name for token in tokens])[of_token]
    is_ca_type = (residue_name == "GLY") | design[of_token]
    atoms = Atoms(
        name=name,
        element=element,
        residue=residue_name,
        chain=np.array([chain_name(token.chain) for token in tokens])[of_token],
        number=np.array([token.residue.number.number for token in tokens])[of_token],
        insertion=np.array([token.residue.number.insertion for token in tokens])[of_token],
        label_seq=np.array([token.residue.label_seq for token in tokens])[of_token],
        xyz=np.concatenate([t.residue.xyz[t.keep] for t in tokens]).astype(np.float32),
    )
    template, mask = _template(np.array([token.representative for token in tokens]))
    return Features(
        restype=np.array([token.restype for token in tokens]),
        residue_index=_residue_index(tokens),
        asym_id=asym_id,
        entity_id=asym_id,
        sym_id=np.zeros_like(asym_id),
        hotspot=np.array([float(token.residue.is_hotspot) for token in tokens], np.float32),
        design=design,
        template=template,
        template_mask=mask,
        ref_pos=np.concatenate([xyz - xyz.mean(0) for xyz in ideal]).astype(np.float32),
        ref_charge=np.array([*chain.from_iterable(charges)], np.float32),
        ref_element=np.array([element_index(e) for e in element]),
        ref_name_chars=np.array([[ord(c) - 32 for c in n.ljust(4)] for n in name]),
        atom_to_token=of_token,
        is_representative=np.where(is_ca_type, name == "CA", name == "CB"),
        atoms=atoms,
    )


def _residue_index(tokens: list[_Token]) -> np.ndarray:
    """The residues' own numbers; but bonded neighbours differ by one, whatever they are called.

    Insertion codes (52, 52A) and the jumps of numbering schemes are no places in a chain; jumps
    at breaks are residues that are missing.
    """
    index: list[int] = []
    for i, token in enumerate(tokens):
        own, before = token.residue, tokens[i - 1].residue
        if not i or token.chain != tokens[i - 1].chain:
            index.append(own.number.number)
            continue
        jump = own.number.number - before.number.number
        is_bonded = np.linalg.norm(own.xyz[N] - before.xyz[C]) < PEPTIDE_BOND  # not where unknown
        index.append(index[-1] + (1 if is_bonded else max(1, jump)))
    return np.array(index)


def _template(xyz: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Distance bins (T, T) of the representative atoms (T, 3), and where both are known."""
    known = np.isfinite(xyz).all(-1)
    mask = known[:, None] & known[None, :]
    xyz32 = np.where(known[:, None], xyz, 0).astype(np.float32)
    distance = np.sqrt(((xyz32[:, None] - xyz32[None, :]) ** 2).sum(-1))
    return np.where(mask, np.searchsorted(TEMPLATE_BOUNDARIES, distance), 0), mask


def randomly_placed(ref_pos: np.ndarray, of_token: np.ndarray, seed: int) -> np.ndarray:
    """Reference conformers (A, 3), each residue rotated at random and shifted by up to 1 Å.

    Drawn from the run's seed alone, so that every chunk of a run sees the same ones
    (the published pipeline's augmentation of AF3's ref_pos).
    """
    n_tokens = int(of_token[-1]) + 1
    rng = np.random.default_rng([seed, 0])
    rotation = random_rotations(rng, n_tokens)[of_token]
    shift = rng.uniform(-1, 1, (n_tokens, 3))[of_token]
    return (np.einsum("aij,aj->ai", rotation, ref_pos) + shift).astype(np.float32)


def random_rotations(rng: np.random.Generator, n: int) -> np.ndarray:
    """`n` uniform random rotations, (n, 3, 3), from normalised Gaussian quaternions."""
    q = rng.standard_normal((n, 4))
    w, x, y, z = (q / np.linalg.norm(q, axis=1, keepdims=True)).T
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
    ).transpose(2, 0, 1)


def one_hot(index: np.ndarray, n: int) -> np.ndarray:
    """Class indices (...) as float32 one-hots (..., n)."""
    return np.eye(n, dtype=np.float32)[index]
