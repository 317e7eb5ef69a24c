"""Letters for the binders of designs, from seed, backbone and number alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np

from pxtools.network import ops
from pxtools.network.protein_mpnn import (
    ALPHABET,
    SEATS,
    Draw,
    ProteinMPNN,
)
from pxtools.sequences.design import Design
from pxtools.sequences.options import Options

GPU_SEQUENCES_AT_ONCE = 256


@dataclass(frozen=True)
class Made:
    """A sequence of a design's binder; `probabilities` are those of its letters, one each."""

    design: Design
    number: int
    sequence: str
    score: float
    global_score: float
    probabilities: np.ndarray


def make(
    network: ProteinMPNN, wanted: Sequence[tuple[Design, Sequence[int]]], options: Options
) -> list[Made]:
    """The sequences of these numbers for designs; designs of one shape are made together.

    On a CPU one design at a time: a sequence has the same bits in whatever company.
    """
    made = []
    for _, group in groupby(wanted, key=lambda one: _shape(one[0])):
        together = list(group)
        at_once = 1 if ops.on_cpu() else len(together)
        for start in range(0, len(together), at_once):
            made += _make(network, together[start : start + at_once], options)
    return made


def _shape(design: Design) -> tuple[int, int]:
    return len(design.backbone.designed), int(design.backbone.designed.sum())


def _make(
    network: ProteinMPNN, wanted: Sequence[tuple[Design, Sequence[int]]], options: Options
) -> list[Made]:
    designs = [design for design, _ in wanted]
    length = len(designs[0].backbone.designed)
    graph = network.encode([design.backbone for design in designs])
    letters = np.concatenate([design.backbone.letters for design in designs])
    orders = [_fixed_order(design, options.seed) + i * length for i, design in enumerate(designs)]
    context = network.context(graph, letters, np.concatenate(orders))
    draws = [
        draw(design, i, options.seed, number)
        for i, (design, numbers) in enumerate(wanted)
        for number in numbers
    ]
    made = []
    for some in _in_groups(draws):
        chosen, log_probs = network.sample(
            graph, context, some, options.temperature, options.letter_bias
        )
        for one, its_letters, its_log_probs in zip(some, chosen, log_probs, strict=True):
            rows = slice(one.backbone * length, (one.backbone + 1) * length)
            known = context.log_probs[rows].copy()
            known[one.order] = its_log_probs
            made.append(_made(designs[one.backbone], one, its_letters, known))
    return made


def _in_groups(draws: Sequence[Draw]) -> list[list[Draw]]:
    """Draws to be made together: on a CPU those whose numbers have each a seat."""
    if ops.on_cpu():
        return [list(group) for _, group in groupby(draws, key=lambda d: d.number // SEATS)]
    n = GPU_SEQUENCES_AT_ONCE
    return [list(draws[i : i + n]) for i in range(0, len(draws), n)]


def _made(design: Design, draw: Draw, letters: np.ndarray, log_probs: np.ndarray) -> Made:
    """From letters in the order of the draw and log-probabilities (L, 21)."""
    whole = design.backbone.letters.copy()
    whole[draw.order] = letters
    of_letters = np.take_along_axis(log_probs, whole[:, None], 1)[:, 0]
    binder = design.binder_rows
    return Made(
        design,
        draw.number,
        "".join(ALPHABET[letter] for letter in whole[binder]),
        float(-of_letters[design.backbone.designed].mean()),
        float(-of_letters.mean()),
        np.exp(of_letters[binder]),
    )


def draw(design: Design, backbone: int, seed: int, number: int) -> Draw:
    """The draws of sequence `number`: the order of the designed residues, a Gumbel a letter."""
    rng = _stream(design, seed, 1 + number)
    designed = np.flatnonzero(design.backbone.designed)
    order = designed[np.argsort(rng.random(len(designed)), kind="stable")]
    uniform = np.maximum(rng.random((len(design.backbone.designed), len(ALPHABET))), 1e-300)
    return Draw(number, backbone, order, -np.log(-np.log1p(-uniform)))


def _fixed_order(design: Design, seed: int) -> np.ndarray:
    """The order in which the fixed residues are decoded: one for all sequences of a design."""
    fixed = np.flatnonzero(~design.backbone.designed)
    return fixed[np.argsort(_stream(design, seed, 0).random(len(fixed)), kind="stable")]


def _stream(design: Design, seed: int, number: int) -> np.random.Generator:
    words = np.frombuffer(design.digest[:16], "<u4").tolist()
    return np.random.Generator(np.random.Philox(np.random.SeedSequence([seed, number, *words])))
