"""Training cases: a binder cut out of a chain, its surroundings as the target."""

import hashlib

import numpy as np

from pxtools.network.features import Features, featurize, one_hot, randomly_placed
from pxtools.network.pxdesign import N_ELEMENTS, N_NAME_CHARS
from pxtools.structure.backbone import (
    HELIX,
    STRAND,
    expected_radius,
    ideal_cb,
    radius_of_gyration,
    secondary_structure,
)
from pxtools.structure.residue_number import ResidueNumber
from pxtools.structure.residues import AMINO_ACIDS, N_RESTYPES, residue_types
from pxtools.structure.target import TargetChain, TargetResidue

LETTERS = dict(zip("ARNDCQEGHILKMFPSTWYV", AMINO_ACIDS, strict=True))
R_MAX, S_MAX = 32, 2  # of the relative position encoding
ATOM_COLUMNS = 1 + N_ELEMENTS + N_NAME_CHARS
TOKEN_COLUMNS = N_RESTYPES + 1 + 1 + 4 + 4
PAIR_COLUMNS = 2 * (2 * R_MAX + 2) + 1 + (2 * S_MAX + 2)
CONTACT = 8.0  # Å
STRUCTURED = 0.6  # of a binder's residues are helix or strand
STRANDED = 0.5  # of training's tries take only binders with strands: models neglect them
STRANDS = 0.25  # of a binder's residues, then
PAIRS_SHARE = 0.25  # of the cases are cut from complexes
Case = tuple[np.ndarray, TargetChain]  # a binder's backbone (n, 4, 3), its target
COMPACT = 1.2  # radius of gyration of a binder, relative to a globular chain's


class Chains:
    """Backbones of a data file, split by cluster into training and held-out ones.

    `pairs`, if given, is a file of two-chain complexes, for a share of the training cases.
    """

    def __init__(self, path: str, held_out: bool, pairs: str | None = None) -> None:
        with np.load(path) as file:
            self.coords, self.seq, self.dssp = file["coords"], file["seq"], file["dssp"]
            self.offset, clusters = file["offset"], file["cluster40"]
        self.picks = [i for i, c in enumerate(clusters) if is_held_out(c) == held_out]
        self.pairs = Pairs(pairs) if pairs else None
        self.stranded = 0 if held_out else STRANDED

    def get(self, i: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Backbone (n, 4, 3) in Å, sequence, DSSP string."""
        rows = slice(self.offset[i], self.offset[i + 1])
        return self.coords[rows].astype(np.float32) * 0.01, self.seq[rows], self.dssp[rows]


class Pairs:
    """Two-chain complexes of which neither chain is of a held-out cluster."""

    def __init__(self, path: str) -> None:
        with np.load(path) as file:
            self.coords, self.seq, self.offset = file["coords"], file["seq"], file["offset"]
            self.resnum, self.lengths = file["resnum"], file["lenA"]  # of the first chain
            both = list(zip(file["cluster40A"], file["cluster40B"], strict=True))
        self.picks = [i for i, pair in enumerate(both) if not any(map(is_held_out, pair))]

    def get(self, i: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, int]:
        """Backbone (n, 4, 3) in Å, sequence, residue numbers, length of the first chain."""
        rows = slice(self.offset[i], self.offset[i + 1])
        xyz = self.coords[rows].astype(np.float32) * 0.01
        return xyz, self.seq[rows], self.resnum[rows], int(self.lengths[i])


def is_held_out(cluster: object) -> bool:
    """2 % of the clusters, by a hash of their name."""
    return int(hashlib.sha256(str(cluster).encode()).hexdigest(), 16) % 50 == 0


def cut(chains: Chains, rng: np.random.Generator, n_binder: int, n_target: int) -> Case | None:
    """A random case: binder coordinates, target residues and their hotspots; None if unfit."""
    if chains.pairs and rng.random() < PAIRS_SHARE:
        return cut_pair(chains, rng, n_binder, n_target)
    xyz, seq, dssp = chains.get(chains.picks[rng.integers(len(chains.picks))])
    n = len(xyz)
    if n < n_binder + n_target + 6:
        return None
    start = int(rng.integers(n - n_binder + 1))
    binder = slice(start, start + n_binder)
    if not is_wanted(chains, rng, np.isin(dssp[binder], [b"H", b"G"]), dssp[binder] == b"E"):
        return None
    far = np.ones(n, bool)
    far[max(0, start - 3) : start + n_binder + 3] = False
    return around(xyz, seq, np.arange(n) + 1, binder, far, rng, n_target)


def cut_pair(chains: Chains, rng: np.random.Generator, n_binder: int, n_target: int) -> Case | None:
    """The same from a complex: a stretch of one chain, and the other chain."""
    pairs = chains.pairs
    assert pairs
    xyz, seq, numbers, n_first = pairs.get(pairs.picks[rng.integers(len(pairs.picks))])
    in_first = np.arange(len(xyz)) < n_first
    own = in_first if rng.random() < 0.5 else ~in_first
    if own.sum() < n_binder:
        return None
    start = int(np.argmax(own)) + int(rng.integers(int(own.sum()) - n_binder + 1))
    binder = slice(start, start + n_binder)
    unbroken = numbers[binder][-1] - numbers[binder][0] == n_binder - 1
    steps = np.linalg.norm(np.diff(xyz[binder, 1], axis=0), axis=-1)
    if not unbroken or np.max(steps) > 4.2:
        return None
    segment = xyz[binder].astype(float)
    fold = secondary_structure(segment, np.arange(n_binder) > 0, np.ones(n_binder, bool))
    if not is_wanted(chains, rng, fold == HELIX, fold == STRAND):
        return None
    return around(xyz, seq, numbers, binder, ~own, rng, n_target)


def is_wanted(
    chains: Chains, rng: np.random.Generator, helix: np.ndarray, strand: np.ndarray
) -> bool:
    """Whether enough of a binder is helix or strand."""
    strands = STRANDS if chains.stranded and rng.random() < chains.stranded else 0
    return bool(strand.mean() >= strands and (helix | strand).mean() >= STRUCTURED)


def around(
    xyz: np.ndarray,
    seq: np.ndarray,
    numbers: np.ndarray,
    binder: slice,
    eligible: np.ndarray,
    rng: np.random.Generator,
    n_target: int,
) -> Case | None:
    """The binder, and the eligible residues nearest to it as its target."""
    ca = xyz[:, 1]
    n_binder = binder.stop - binder.start
    if radius_of_gyration(ca[binder]) > COMPACT * expected_radius(n_binder):
        return None
    distance = np.linalg.norm(ca[:, None] - ca[None, binder], axis=-1).min(1)
    known = np.isin(seq, [letter.encode() for letter in LETTERS])
    eligible = np.flatnonzero(eligible & known)
    if len(eligible) < n_target:
        return None
    near = np.sort(eligible[np.argsort(distance[eligible], kind="stable")[:n_target]])
    interface = near[distance[near] < CONTACT]
    if len(interface) < 8:
        return None
    n_hot = int(rng.integers(0, 7))
    hot = set(rng.choice(interface, min(n_hot, len(interface)), replace=False).tolist())
    residues = [residue(xyz[j], seq[j].decode(), int(numbers[j]), j in hot) for j in near]
    return xyz[binder], TargetChain("A", tuple(r.name for r in residues), tuple(residues))


def residue(xyz: np.ndarray, letter: str, number: int, is_hotspot: bool) -> TargetResidue:
    name = LETTERS[letter]
    names = [a for a in residue_types()[name].atoms if a != "OXT"]
    full = np.full((len(names), 3), np.nan)
    for k, atom in enumerate(("N", "CA", "C", "O")):
        full[names.index(atom)] = xyz[k]
    if "CB" in names:
        full[names.index("CB")] = ideal_cb(xyz[None])[0]
    return TargetResidue(name, ResidueNumber(number), number, full, is_hotspot)


def case(
    chains: Chains, seed: int | list[int], n_binder: int, n_target: int
) -> dict[str, np.ndarray]:
    """A case's tensors as numpy arrays; decided by `seed` alone."""
    rng = np.random.default_rng(seed)
    while (found := cut(chains, rng, n_binder, n_target)) is None:
        pass
    binder, target = found
    features = featurize((target,), n_binder, "backbone")
    c, o = binder[-1, 2], binder[-1, 3]
    axis = c - binder[-1, 1]
    axis = axis / np.linalg.norm(axis)
    oxt = c + 2 * ((o - c) @ axis) * axis - (o - c)  # O mirrored at the CA-C axis
    placed = features.atoms.xyz[: 4 * n_target]
    x = np.concatenate([placed, binder.reshape(-1, 3), oxt[None]]).astype(np.float32)
    return tensors(features, int(rng.integers(2**31))) | {"x": x - x.mean(0)}


def tensors(features: Features, seed: int) -> dict[str, np.ndarray]:
    f = features
    n, of_token = f.n_tokens, f.atom_to_token
    identity = [np.ones((len(of_token), 1)), one_hot(f.ref_element, N_ELEMENTS)]
    identity.append(one_hot(f.ref_name_chars, 64).reshape(len(of_token), -1))
    pool = one_hot(of_token, n).T
    first = np.tile(one_hot(np.array(0), 4), (n, 2))
    columns = [one_hot(f.restype, N_RESTYPES), np.zeros((n, 1)), f.hotspot[:, None], first]
    same = f.asym_id[:, None] == f.asym_id[None]
    offset = f.residue_index[:, None] - f.residue_index[None]
    apart = 2 * R_MAX + 1  # the class of what lies in another chain, or another residue
    relpos = [
        one_hot(np.where(same, np.clip(offset + R_MAX, 0, 2 * R_MAX), apart), apart + 1),
        one_hot(np.where(same & (offset == 0), R_MAX, apart), apart + 1),
        same[..., None],
        one_hot(np.where(same, S_MAX, 2 * S_MAX + 1), 2 * S_MAX + 2),
    ]
    return {
        "ref_pos": randomly_placed(f.ref_pos, of_token, seed),
        "ref_charge": f.ref_charge[:, None].astype(np.float32),
        "identity": np.concatenate(identity, 1).astype(np.float32),
        "atom_to_token": of_token.astype(np.int64),
        "pool": (pool / pool.sum(1, keepdims=True)).astype(np.float32),
        "columns": np.concatenate(columns, 1).astype(np.float32),
        "template": (f.template_mask * (1 + f.template)).astype(np.int64),
        "relpos": np.concatenate(relpos, -1).astype(np.float32),
        "is_ca": f.atoms.name == "CA",
    }
