"""Training cases: a binder cut out of a chain, its surroundings as the target."""

import hashlib

import numpy as np

from pxtools.network.features import featurize, one_hot, randomly_placed
from pxtools.structure.backbone import (
    HELIX,
    STRAND,
    expected_radius,
    ideal_cb,
    radius_of_gyration,
    secondary_structure,
)
from pxtools.structure.residues import AMINO_ACIDS, residue_types
from pxtools.structure.target import TargetChain, TargetResidue

LETTERS = dict(zip("ARNDCQEGHILKMFPSTWYV", AMINO_ACIDS, strict=True))
CONTACT = 8.0  # Å
STRUCTURED = 0.6  # of a binder's residues are helix or strand
STRANDED = 0.5  # of training's tries take only binders with strands: models neglect them
STRANDS = 0.25  # of a binder's residues, then
PAIRS_SHARE = 0.25  # of the cases are cut from complexes
COMPACT = 1.2  # radius of gyration of a binder, relative to a globular chain's


class Chains:
    """Backbones of a data file, split by cluster into training and held-out ones.

    `pairs`, if given, is a file of two-chain complexes, for a share of the training cases.
    """

    def __init__(self, path, held_out, pairs=None):
        with np.load(path) as file:
            data = {k: file[k] for k in ("coords", "seq", "dssp", "offset", "cluster40")}
        self.__dict__.update(data)
        self.picks = [i for i, c in enumerate(data["cluster40"]) if is_held_out(c) == held_out]
        self.pairs = pairs and Pairs(pairs)
        self.stranded = 0 if held_out else STRANDED

    def get(self, i):
        rows = slice(self.offset[i], self.offset[i + 1])
        return self.coords[rows].astype(np.float32) * 0.01, self.seq[rows], self.dssp[rows]


class Pairs:
    """Two-chain complexes of which neither chain is of a held-out cluster."""

    def __init__(self, path):
        with np.load(path) as file:
            keys = ("coords", "seq", "resnum", "offset", "lenA", "cluster40A", "cluster40B")
            self.__dict__.update({k: file[k] for k in keys})
        both = zip(self.cluster40A, self.cluster40B, strict=True)
        self.picks = [i for i, pair in enumerate(both) if not any(map(is_held_out, pair))]

    def get(self, i):
        rows = slice(self.offset[i], self.offset[i + 1])
        xyz = self.coords[rows].astype(np.float32) * 0.01
        return xyz, self.seq[rows], self.resnum[rows], int(self.lenA[i])


def is_held_out(cluster):
    """2 % of the clusters, by a hash of their name."""
    return int(hashlib.sha256(str(cluster).encode()).hexdigest(), 16) % 50 == 0


def cut(chains, rng, n_binder, n_target):
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


def cut_pair(chains, rng, n_binder, n_target):
    """The same from a complex: a stretch of one chain, and the other chain."""
    pairs = chains.pairs
    xyz, seq, numbers, n_first = pairs.get(pairs.picks[rng.integers(len(pairs.picks))])
    in_first = np.arange(len(xyz)) < n_first
    own = in_first if rng.random() < 0.5 else ~in_first
    if own.sum() < n_binder:
        return None
    start = int(np.argmax(own)) + int(rng.integers(own.sum() - n_binder + 1))
    binder = slice(start, start + n_binder)
    unbroken = numbers[binder][-1] - numbers[binder][0] == n_binder - 1
    steps = np.linalg.norm(np.diff(xyz[binder, 1], axis=0), axis=-1)
    if not unbroken or steps.max() > 4.2:
        return None
    segment = xyz[binder].astype(float)
    fold = secondary_structure(segment, np.arange(n_binder) > 0, np.ones(n_binder, bool))
    if not is_wanted(chains, rng, fold == HELIX, fold == STRAND):
        return None
    return around(xyz, seq, numbers, binder, ~own, rng, n_target)


def is_wanted(chains, rng, helix, strand):
    """Whether enough of a binder is helix or strand."""
    strands = STRANDS if chains.stranded and rng.random() < chains.stranded else 0
    return strand.mean() >= strands and (helix | strand).mean() >= STRUCTURED


def around(xyz, seq, numbers, binder, eligible, rng, n_target):
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


def residue(xyz, letter, number, is_hotspot):
    name = LETTERS[letter]
    names = [a for a in residue_types()[name].atoms if a != "OXT"]
    full = np.full((len(names), 3), np.nan)
    for k, atom in enumerate(("N", "CA", "C", "O")):
        full[names.index(atom)] = xyz[k]
    if "CB" in names:
        full[names.index("CB")] = ideal_cb(xyz[None])[0]
    return TargetResidue(name, (number, ""), number, full, is_hotspot)


def case(chains, seed, n_binder, n_target):
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


def tensors(features, seed):
    f = features
    n, of_token = f.n_tokens, f.atom_to_token
    identity = [np.ones((len(of_token), 1)), one_hot(f.ref_element, 128)]
    identity.append(one_hot(f.ref_name_chars, 64).reshape(len(of_token), -1))
    pool = one_hot(of_token, n).T
    first = np.tile(one_hot(np.array(0), 4), (n, 2))
    columns = [one_hot(f.restype, 36), np.zeros((n, 1)), f.hotspot[:, None], first]
    same = f.asym_id[:, None] == f.asym_id[None]
    residue = np.clip(f.residue_index[:, None] - f.residue_index[None] + 32, 0, 64)
    same_residue = same & (f.residue_index[:, None] == f.residue_index[None])
    relpos = [
        one_hot(np.where(same, residue, 65), 66),
        one_hot(np.where(same_residue, 32, 65), 66),
        same[..., None],
        one_hot(np.where(same, 2, 5), 6),
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
