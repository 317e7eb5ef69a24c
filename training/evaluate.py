"""The embedded model's table: designs for held-out targets, judged by px-score.

    PYTHONPATH=. python training/evaluate.py --data monomers_small.npz --model nano --out held_out

Needs the tools on PATH and the package tmtools. Goes on where it was stopped, as the tools do.
Options after `--` go to px-sample.
"""

import argparse
import json
import subprocess
from collections.abc import Callable
from itertools import combinations
from pathlib import Path
from typing import Any

import gemmi
import numpy as np
from data import Chains, cut
from safetensors import safe_open
from safetensors.numpy import save_file
from tmtools import tm_align

from pxtools.network.weights import find_model
from pxtools.structure.complex import read_complex
from pxtools.structure.geometry import paired_rmsds
from pxtools.structure.target import TargetChain

SIZES = [(40, 24), (48, 32), (40, 48), (48, 56)]  # binder residues, target residues
WIDE = [(60, 80), (72, 64), (60, 112), (80, 96)]
NAMES = ("N", "CA", "C", "O", "CB")
Bound = tuple[Callable[[dict[str, Any]], float], str]  # of a row, what is asked for
BOUND: dict[str, Bound] = {
    "bonds in range": (lambda r: 1 - r["bonds_off"], ">= 98 %"),
    "CA-CA steps in range": (lambda r: 1 - r["ca_steps_off"], ">= 98 %"),
    "right chirality": (lambda r: 1 - r["chirality_off"], "100 %"),
    "helix + strand": (lambda r: r["helix"] + r["strand"], ">= 50 %"),
    "helix": (lambda r: r["helix"], ""),
    "designs without a clash": (
        lambda r: r["clashes_inside"] + r["clashes_target"] + r["clashes_sidechain"] == 0,
        ">= 80 %",
    ),
    "designs without a clash inside": (lambda r: r["clashes_inside"] == 0, ""),
    "designs without a clash with the target": (
        lambda r: r["clashes_target"] + r["clashes_sidechain"] == 0,
        "",
    ),
    "designs with rg within 25 % of expected": (
        lambda r: abs(r["rg"] / r["rg_expected"] - 1) <= 0.25,
        ">= 90 %",
    ),
    "designs at a hotspot": (lambda r: r["hotspots_contacted"] > 0, ">= 60 %"),
    "designs with target CA RMSD under 1 Å": (lambda r: r["target_rmsd"] < 1, ">= 90 %"),
    "designs that pass every check": (lambda r: not r["failed"], ""),
}


def held_out_task(
    chains: Chains, seed: int, folder: Path, sizes: list[tuple[int, int]]
) -> dict[str, Any]:
    """A held-out case as a PDB file and a task with at least one hotspot."""
    n_binder, n_target = sizes[seed % len(sizes)]
    rng = np.random.default_rng([9, seed])
    while (case := cut(chains, rng, n_binder, n_target)) is None or not hotspots(case[1]):
        pass
    name = f"held_out_{seed}"
    write_pdb(folder / f"{name}.pdb", case[1])
    pick = {"structure_file": f"{name}.pdb", "filter": {"chain_id": ["A"]}}
    generation = [{"type": "protein", "length": n_binder}]
    return {
        "name": name,
        "condition": pick,
        "hotspot": {"A": hotspots(case[1])},
        "generation": generation,
    }


def hotspots(target: TargetChain) -> list[int]:
    return [r.number[0] for r in target.residues if r.is_hotspot]


def write_pdb(path: Path, target: TargetChain) -> None:
    structure, model, chain = gemmi.Structure(), gemmi.Model(1), gemmi.Chain("A")
    for r in target.residues:
        residue = gemmi.Residue()
        residue.name, residue.seqid = r.name, gemmi.SeqId(r.number[0], " ")
        for name, xyz in zip(NAMES, r.xyz[:5], strict=False):
            if np.isfinite(xyz).all():
                atom = gemmi.Atom()
                atom.name, atom.element = name, gemmi.Element(name[0])
                atom.pos = gemmi.Position(*xyz.tolist())
                residue.add_atom(atom)
        chain.add_residue(residue)
    model.add_chain(chain)
    structure.add_model(model)
    structure.write_pdb(str(path))


def design(
    data: str,
    model: str | Path,
    folder: Path,
    sizes: list[tuple[int, int]],
    n_targets: int,
    n_designs: int,
    n_steps: int,
    options: list[str],
) -> list[dict[str, Any]]:
    """px-score's rows of designs for held-out targets."""
    folder.mkdir(parents=True, exist_ok=True)
    tasks = folder / "tasks.json"
    chains = Chains(data, True)
    tasks.write_text(
        json.dumps([held_out_task(chains, i, folder, sizes) for i in range(n_targets)])
    )
    sample = ["px-sample", "-i", str(tasks), "-o", str(folder / "out"), "--model", str(model)]
    sample += ["--N_sample", str(n_designs), "--N_step", str(n_steps), *options]
    sampler = subprocess.Popen(sample, stdout=subprocess.PIPE)
    subprocess.run(["px-write-cif", "-q"], stdin=sampler.stdout, check=True)
    assert sampler.wait() == 0
    scored = ["px-score", "--json", "-q", str(folder / "out")]
    rows: list[dict[str, Any]] = json.loads(subprocess.check_output(scored))
    return rows


def unguided(model: str, folder: Path) -> Path:
    """The model in a file that does not ask for the clash guide, for the network's own figures."""
    with safe_open(find_model(model)[1], "numpy") as file:
        metadata = file.metadata()
        weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    config = json.loads(metadata["config"]) | {"clash_guide": False}
    plain = folder / "unguided" / f"{metadata['name']}.safetensors"
    plain.parent.mkdir(parents=True, exist_ok=True)
    save_file(weights, plain, metadata | {"config": json.dumps(config)})
    return plain


def percentages(rows: list[dict[str, Any]]) -> dict[str, float]:
    return {
        name: 100 * float(np.mean([value(row) for row in rows]))
        for name, (value, _) in BOUND.items()
    }


def binders(folder: Path) -> dict[str, list[np.ndarray]]:
    """Target name -> its designs' CA atoms."""
    found: dict[str, list[np.ndarray]] = {}
    for path in sorted((folder / "out").rglob("*.cif")):
        c = read_complex(path.name, path.read_bytes())
        found.setdefault(path.parts[-4], []).append(c.binder_ca)
    return found


def similarity(designs: dict[str, list[np.ndarray]]) -> float:
    """Mean TM-score over all pairs of designs of one target."""
    scores = []
    for cas in designs.values():
        word = "G" * len(cas[0])
        scores += [tm_align(a, b, word, word).tm_norm_chain1 for a, b in combinations(cas, 2)]
    return float(np.mean(scores))


def closest_segment(ca: np.ndarray, chains: Chains) -> float:
    """CA RMSD in Å of the training stretch that is most like a design."""
    n, best = len(ca), np.inf
    a = ca - ca.mean(0)
    for i in chains.picks:
        trace = chains.get(i)[0][:, 1].astype(np.float64)
        if len(trace) < n:
            continue
        windows = np.lib.stride_tricks.sliding_window_view(trace, n, axis=0).swapaxes(1, 2)
        best = min(best, paired_rmsds(a[None], windows - windows.mean(1, keepdims=True)).min())
    return best


def main() -> None:
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    ap.add_argument("--data", required=True)
    ap.add_argument("--model", default="nano")
    ap.add_argument("--out", required=True)
    ap.add_argument("--targets", type=int, default=20)
    ap.add_argument("--designs", type=int, default=8)
    ap.add_argument("--steps", type=int, default=200)
    ap.add_argument("--wide", action="store_true", help="larger binders and targets")
    ap.add_argument("--unguided", action="store_true", help="without the clash guide")
    ap.add_argument("--copies", type=int, default=0, help="designs to compare with training data")
    ap.add_argument("options", nargs="*")
    args = ap.parse_args()
    folder = Path(args.out)
    model = unguided(args.model, folder) if args.unguided else args.model
    sizes = WIDE if args.wide else SIZES
    numbers = (args.targets, args.designs, args.steps)
    rows = design(args.data, model, folder, sizes, *numbers, args.options)
    print("| over all designs | found | wanted |\n|---|---|---|")
    for name, found in percentages(rows).items():
        print(f"| {name} | {found:.1f} % | {BOUND[name][1]} |")
    designs = binders(folder)
    print(f"| mean TM-score between designs of a target | {similarity(designs):.2f} | < 0.6 |")
    if args.copies:
        chains = Chains(args.data, False)
        some = [ca for cas in zip(*designs.values(), strict=True) for ca in cas][: args.copies]
        found = np.median([closest_segment(ca, chains) for ca in some])
        print(
            f"| CA RMSD to the closest training stretch, median of {len(some)} | {found:.1f} Å | |"
        )


if __name__ == "__main__":
    main()
