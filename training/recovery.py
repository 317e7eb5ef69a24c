"""Native amino acids that ProteinMPNN gives back to natural complexes (docs/sequences.md).

Each chain of a pair is designed in turn, the other one fixed: one sequence at temperature 0.1, no
letter left out. Pairs are of the training data: backbones, 0.01 Å.

    PYTHONPATH=. python training/recovery.py --pairs complexes.npz
"""

import argparse
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from pxtools.machine import cores
from pxtools.network.protein_mpnn import ALPHABET, UNKNOWN, Backbone, Draw, ProteinMPNN
from pxtools.network.protein_mpnn_weights import read_weights

TEMPERATURE = 0.1
SHORTEST, LONGEST = 40, 500  # residues of a chain, of a pair


@dataclass(frozen=True)
class Pair:
    """Two natural chains, the first of `n_first` residues."""

    entry: str
    xyz: np.ndarray
    letters: np.ndarray
    numbers: np.ndarray
    n_first: int


def read_pairs(path: str, source: str, count: int) -> Iterator[Pair]:
    with np.load(path) as file:
        data = {key: file[key] for key in file}
    known = np.array([letter.encode() for letter in ALPHABET])
    left = count
    for i in np.flatnonzero(data["source"] == source):
        rows = slice(data["offset"][i], data["offset"][i + 1])
        n_first, n_second = int(data["lenA"][i]), int(data["lenB"][i])
        letters = np.array([np.flatnonzero(known == one)[0] for one in data["seq"][rows]])
        fits = min(n_first, n_second) >= SHORTEST and n_first + n_second <= LONGEST
        if left and fits and not (letters == UNKNOWN).any():
            xyz = data["coords"][rows].astype(np.float32) * np.float32(0.01)
            yield Pair(str(data["entry"][i]), xyz, letters, data["resnum"][rows], n_first)
            left -= 1


def recovery(network: ProteinMPNN, pair: Pair, second: bool) -> float:
    """Fraction of the designed chain's residues that get their own letter."""
    n = len(pair.letters)
    designed = (np.arange(n) >= pair.n_first) == second
    chain = (np.arange(n) >= pair.n_first).astype(int)
    backbone = Backbone(pair.xyz, pair.letters, chain, pair.numbers, designed, np.ones(n, bool))
    rng = np.random.default_rng(0)
    order, fixed = rng.permutation(np.flatnonzero(designed)), np.flatnonzero(~designed)
    graph = network.encode([backbone])
    context = network.context(graph, pair.letters, rng.permutation(fixed))
    draw = Draw(0, 0, order, rng.gumbel(size=(n, len(ALPHABET))))
    bias = np.where(np.arange(len(ALPHABET)) == UNKNOWN, -np.inf, 0.0)
    letters, _ = network.sample(graph, context, [draw], TEMPERATURE, bias)
    return float((letters[0] == pair.letters[order]).mean())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", required=True)
    parser.add_argument("--source", default="db55", help="db55: Docking Benchmark 5.5")
    parser.add_argument("--count", type=int, default=50)
    args = parser.parse_args()
    pairs = list(read_pairs(args.pairs, args.source, args.count))
    print(f"{len(pairs)} pairs: {' '.join(pair.entry for pair in pairs)}\n")
    print("| weights | chains | mean | median | lowest | highest |\n|---|---|---|---|---|---|")
    for weights in ("vanilla", "soluble"):
        network = read_weights(weights).network()
        jobs = [(network, pair, second) for pair in pairs for second in (False, True)]
        with ThreadPoolExecutor(cores()) as threads:
            found = np.array(list(threads.map(lambda job: recovery(*job), jobs)))
        numbers = (found.mean(), np.median(found), found.min(), found.max())
        shown = " | ".join(f"{number:.3f}" for number in numbers)
        print(f"| {weights} | {len(found)} | {shown} |", flush=True)


if __name__ == "__main__":
    main()
