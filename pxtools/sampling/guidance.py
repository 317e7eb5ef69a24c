"""Help for a small network while it samples: its target's hand, and no clashes.

A model's configuration asks for it (`mirror_check`, `clash_guide`); the published sampler has none.
"""

from __future__ import annotations

from dataclasses import dataclass

import mlx.core as mx
import numpy as np

from pxtools.network.config import Help
from pxtools.sampling.sampler import Guide
from pxtools.structure.atoms import Atoms
from pxtools.structure.geometry import distances, superposition
from pxtools.structure.residues import vdw_radius

HAND_LEVELS = (8.0, 80.0)  # Å: the fold takes shape, its helices have not
CLASH_LEVELS = (0.05, 5.0)  # Å: below, the network mends the bonds for the last time
OVERLAP = 0.6  # Å that van der Waals spheres may overlap; px-score's clashes begin at 0.8
ROUNDS = 4
REACH = 6.0  # Å: target atoms farther from the whole binder are left out
STIFFNESS = 4  # residues: so far from a clash the chain stays


@dataclass(frozen=True)
class Known:
    """What is known before sampling: A sampled atoms, the binder's b of them last."""

    ca: np.ndarray  # (n,) which of the A are CA atoms of the target with a deposited place
    ca_xyz: np.ndarray  # (n, 3) Å
    target: np.ndarray  # (m, 3) Å, all its deposited heavy atoms, side chains too
    to_target: np.ndarray  # (b, m) Å, the least distances
    to_binder: np.ndarray  # (b, b) Å; 0 within a residue and to the next
    spread: np.ndarray  # (b, b) how much a push at the column's atom moves the row's


def known(atoms: Atoms, target: Atoms) -> Known:
    """Of the sampled atoms, and the target's as deposited."""
    binder, ca = atoms.binder, atoms.placed_ca
    residue = atoms.label_seq[binder]
    apart = np.abs(residue[:, None] - residue)
    own, others = (
        np.array([vdw_radius(element) for element in elements])
        for elements in (atoms.element[binder], target.element)
    )
    return Known(
        np.flatnonzero(ca),
        atoms.xyz[ca],
        target.xyz,
        own[:, None] + others - OVERLAP,
        np.where(apart < 2, 0, own[:, None] + own - OVERLAP),
        np.maximum(0, 1 - apart / STIFFNESS),
    )


def guide_of(help: Help, atoms: Atoms, target: Atoms) -> Guide | None:
    """The guide that a model asks for; None for the published sampler."""
    if not (help.mirror_check or help.clash_guide):
        return None
    at = known(atoms, target)

    def guide(x: mx.array, x0: mx.array, sigma: float) -> tuple[mx.array, mx.array]:
        if help.mirror_check and HAND_LEVELS[0] < sigma < HAND_LEVELS[1]:
            samples = np.array(x0)
            hands = np.ones((len(samples), 1, 1), np.float32)
            for i in finite(samples):
                hands[i] = handedness(samples[i], at)
            x, x0 = mx.array(hands) * x, mx.array(hands) * x0
        if help.clash_guide and CLASH_LEVELS[0] < sigma < CLASH_LEVELS[1]:
            samples = np.array(x0)
            for i in finite(samples):
                samples[i] = without_clashes(samples[i], at)
            x0 = mx.array(samples)
        return x, x0

    return guide


def finite(samples: np.ndarray) -> np.ndarray:
    """Which of the samples (S, A, 3) can be corrected; the others' failure is reported."""
    return np.flatnonzero(np.isfinite(samples).all((1, 2)))


def handedness(x: np.ndarray, at: Known) -> float:
    """-1 for a sample (A, 3) whose target fits its mirror image better, else 1.

    Kabsch's covariance of the two has a negative determinant then. Distances, all that a network
    sees of the target, are those of the mirror image too; a small one tosses a coin.
    """
    ca = x[at.ca]
    covariance = (ca - ca.mean(0)).T @ (at.ca_xyz - at.ca_xyz.mean(0))
    return -1.0 if np.linalg.det(covariance) < 0 else 1.0


def without_clashes(x: np.ndarray, at: Known) -> np.ndarray:
    """A sample (A, 3), its binder pushed off the deposited target and off itself.

    Residues move as they are, their neighbours along with them. Correcting the denoised
    coordinates by physical terms is Boltz-steering's idea (Wohlwend et al. 2024).
    """
    rotation, translation, _ = superposition(at.ca_xyz, x[at.ca])
    target = at.target @ rotation.T + translation
    first = len(x) - len(at.spread)
    binder = x[first:].astype(np.float64)
    near = (distances(binder, target) < REACH).any(0)
    target, to_target = target[near], at.to_target[:, near]
    for _ in range(ROUNDS):
        push = pushed(binder, target, to_target) + pushed(binder, binder, at.to_binder)
        binder = binder + at.spread @ push / 2
    return np.concatenate([x[:first], binder.astype(x.dtype)])


def pushed(points: np.ndarray, others: np.ndarray, least: np.ndarray) -> np.ndarray:
    """(b, 3): for each point the sum of what it lacks to its least distances, away from each."""
    distance = distances(points, others)
    lacking = np.maximum(least - distance, 0) / distance
    return points * lacking.sum(1, keepdims=True) - lacking @ others
