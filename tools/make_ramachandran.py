"""Make the map of pxtools/structure/ramachandran.py: where 99.5 % of residues are.

From the training data's compact chains, one a cluster; glycine, proline and what stands before a
proline are left out. Density in bins of 10 degrees, each with its eight neighbours (smoothed).

    PYTHONPATH=. python tools/make_ramachandran.py monomers_small.npz
"""

import sys
from itertools import pairwise

import numpy as np

from pxtools.structure.backbone import dihedrals

INSIDE = 0.995


def counts(path: str) -> np.ndarray:
    with np.load(path) as file:
        xyz, seq, offset = file["coords"] * 0.01, file["seq"], file["offset"]
    found = np.zeros((36, 36))
    for start, end in pairwise(offset):
        n, ca, c = xyz[start:end, :3].swapaxes(0, 1)
        phi = dihedrals(c[:-2], n[1:-1], ca[1:-1], c[1:-1])
        psi = dihedrals(n[1:-1], ca[1:-1], c[1:-1], n[2:])
        own, after = seq[start + 1 : end - 1], seq[start + 2 : end]
        counted = (own != b"G") & (own != b"P") & (after != b"P")
        bins = ((np.stack([phi, psi])[:, counted] + 180) // 10).astype(int) % 36
        np.add.at(found, tuple(bins), 1)
    return found


def main() -> None:
    found = counts(sys.argv[1])
    shifted = [np.roll(found, (i, j), (0, 1)) for i in (-1, 0, 1) for j in (-1, 0, 1)]
    smooth = sum(shifted) / 9
    order = np.argsort(-smooth, axis=None)
    enough = np.cumsum(found.ravel()[order]) <= INSIDE * found.sum()
    inside = np.zeros(36 * 36, bool)
    inside[order[enough]] = True
    for row in inside.reshape(36, 36).T[::-1]:
        print("".join(".#"[int(bin_)] for bin_ in row))


if __name__ == "__main__":
    main()
