"""px-score's columns over natural complexes: how many fall out of range (docs/scores.md).

With --chains: how many residues of 1,000 chains have the secondary structure that DSSP gave them.

    PYTHONPATH=. python training/natural.py --pairs complexes.npz --chains monomers.npz
"""

import argparse

import numpy as np
from data import Pairs

from pxtools.runs.tables import columns_of
from pxtools.scoring.checks import judged, standard_limits
from pxtools.scoring.columns import Scores
from pxtools.scoring.metrics import MEASURED, score
from pxtools.structure.backbone import HELIX, LOOP, STRAND, ideal_cb, secondary_structure
from pxtools.structure.complex import Complex
from pxtools.structure.residue_number import ResidueNumber
from pxtools.structure.residues import BACKBONE, RADII

SHORT = 150  # residues that binders are designed with at most, commonly


def as_complex(xyz: np.ndarray, seq: np.ndarray, numbers: np.ndarray, n_first: int) -> Complex:
    """Backbones only: the second chain is the binder, CB atoms are ideal ones."""
    n = len(xyz)
    start = np.isin(np.arange(n), [0, n_first])
    gap = np.append(True, np.diff(numbers) != 1) & ~start
    binder = np.arange(n) >= n_first
    atoms = xyz[~binder].reshape(-1, 3)
    radii = np.tile([RADII[name[0]] for name in BACKBONE], n_first)
    none = np.zeros(n, bool)
    whole = np.ones(len(atoms), bool)
    return Complex(
        xyz,
        ideal_cb(xyz),
        none,
        seq == b"P",
        ~(start | gap),
        binder,
        atoms,
        radii,
        whole,
        none,
        None,
        tuple(
            ("AB"[int(of)], ResidueNumber(int(i))) for of, i in zip(binder, numbers, strict=True)
        ),
    )


def agreement(path: str, count: int = 1000) -> tuple[float, int]:
    """Of residues with DSSP's strings, in three states; and how many residues that are."""
    with np.load(path) as file:
        data = {k: file[k] for k in ("coords", "seq", "dssp", "offset")}
    states = dict.fromkeys((b"H", b"G", b"I"), HELIX) | dict.fromkeys((b"E", b"B"), STRAND)
    same = []
    for i in np.random.default_rng(0).permutation(len(data["offset"]) - 1)[:count]:
        rows = slice(data["offset"][i], data["offset"][i + 1])
        xyz = data["coords"][rows] * 0.01
        linked = np.arange(len(xyz)) > 0
        found = secondary_structure(xyz, linked, data["seq"][rows] != b"P")
        same += [a == states.get(b, LOOP) for a, b in zip(found, data["dssp"][rows], strict=True)]
    return np.mean(same), len(same)


def measured(rows: list[Scores]) -> dict[str, list[float]]:
    """Of each measured column that has a number in every row, the numbers."""
    names = [column.name for column in columns_of(Scores) if column.name in MEASURED]
    found = {name: [getattr(row, name) for row in rows] for name in names}
    found["rg / rg_expected"] = [row.rg / row.rg_expected for row in rows]
    return {name: v for name, v in found.items() if all(type(x) in (int, float) for x in v)}


def main() -> None:
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    ap.add_argument("--pairs", required=True)
    ap.add_argument("--chains", help="chains with DSSP strings")
    ap.add_argument("--count", type=int, default=500)
    args = ap.parse_args()
    pairs = Pairs(args.pairs)
    with np.load(args.pairs) as file:
        natural = [i for i in pairs.picks if file["kind"][i] == "pdb"]
    picks = np.random.default_rng(0).permutation(natural)[: args.count]
    rows = []
    for i in picks:
        xyz, seq, numbers, n_first = pairs.get(i)
        row = score(as_complex(xyz.astype(np.float64), seq, numbers, n_first))
        rows.append(judged(row, standard_limits().checks))
    print(f"{len(rows)} natural complexes\n")
    print("| column | mean | 5 % are under | median | 95 % are under |\n|---|---|---|---|---|")
    for name, values in measured(rows).items():
        low, median, high = np.percentile(values, (5, 50, 95))
        print(f"| {name} | {np.mean(values):.4g} | {low:.4g} | {median:.4g} | {high:.4g} |")
    short = [row for row in rows if row.binder_length <= SHORT]
    print(f"\n| check | complexes that pass it | of {len(short)} with at most {SHORT} residues |")
    print("|---|---|---|")
    for name in standard_limits().checks:
        shares = [
            100 * np.mean([name not in row.failures for row in some]) for some in (rows, short)
        ]
        print(f"| {name} | {shares[0]:.1f} % | {shares[1]:.1f} % |")
    if args.chains:
        share, n = agreement(args.chains)
        print(f"\n{100 * share:.1f} % of {n:,} residues have DSSP's secondary structure")


if __name__ == "__main__":
    main()
