"""What is asked of px-sequence besides structures: read from words, checked, typed."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

import numpy as np

from pxtools.errors import InputError
from pxtools.network.protein_mpnn import ALPHABET, UNKNOWN
from pxtools.structure.residue_number import ResidueNumber

AMINO_ACIDS = ALPHABET[:UNKNOWN]
MAX_SEQUENCES = 10_000
MAX_SEED = 2**63


@dataclass(frozen=True)
class Span:
    """Residues of a chain, first and last included."""

    chain: str
    first: ResidueNumber
    last: ResidueNumber

    def __str__(self) -> str:
        return f"{self.chain}:{self.first}-{self.last}"


@dataclass(frozen=True)
class Options:
    """All that decides the letters of a backbone but the weights; the published pipeline's."""

    temperature: float = 0.0001
    seed: int = 12345
    omit: str = "C"
    bias: tuple[tuple[str, float], ...] = ()  # added to the logits of letters
    fix: tuple[Span, ...] = ()  # binder residues that keep the letters of the file
    binder: str | None = None  # its chain; None: the last one

    def __post_init__(self) -> None:
        if not (math.isfinite(self.temperature) and 0 <= self.temperature <= 100):
            raise InputError.of_option("--temperature", "a number from 0 to 100", self.temperature)
        if not 0 <= self.seed < MAX_SEED:
            raise InputError.of_option("--seed", f"0 to {MAX_SEED - 1}", self.seed)
        if not set(AMINO_ACIDS) - set(self.omit):
            raise InputError.of_option("--omit", "at least one amino acid left", self.omit)

    @property
    def letter_bias(self) -> np.ndarray:
        """(21,) added to the logits, -inf for letters that are not to be used."""
        added = np.zeros(len(ALPHABET))
        for letter, value in self.bias:
            added[ALPHABET.index(letter)] = value
        added[[ALPHABET.index(letter) for letter in self.omit + ALPHABET[UNKNOWN]]] = -np.inf
        return added


def read_omit(text: str) -> str:
    """ "cm" -> "CM": one-letter codes of amino acids to leave out."""
    letters = "".join(sorted(set(text.upper().replace(",", "").replace(" ", ""))))
    _check_letters("--omit", letters)
    return letters


def read_bias(text: str) -> tuple[tuple[str, float], ...]:
    """ "A:-0.5,K:0.3" """
    biases: dict[str, float] = {}
    for part in filter(None, text.replace(" ", "").split(",")):
        letter, _, number = part.partition(":")
        _check_letters("--bias", letter.upper())
        try:
            value = float(number)
        except ValueError:
            value = math.nan
        if len(letter) != 1 or not math.isfinite(value):
            raise InputError.of_option("--bias", "letters and numbers such as A:-0.5,K:0.3", part)
        biases[letter.upper()] = value
    return tuple(sorted(biases.items()))


def _check_letters(option: str, letters: str) -> None:
    if strangers := set(letters) - set(AMINO_ACIDS):
        raise InputError.of_option(
            option, f"one-letter codes of {AMINO_ACIDS}", "".join(sorted(strangers))
        )


def read_fix(text: str) -> tuple[Span, ...]:
    """ "C0:1-5,8" -> residues 1 to 5 and 8 of chain C0."""
    spans, chain = [], ""
    for part in filter(None, text.replace(" ", "").split(",")):
        match = re.fullmatch(
            r"(?:([A-Za-z0-9]{1,8}):)?(-?\d+[A-Za-z]?)(?:-(-?\d+[A-Za-z]?))?", part
        )
        if match is None or not (match[1] or chain):
            raise InputError.of_option("--fix", "a chain and numbers such as C0:1-5,8", part)
        chain = match[1] or chain
        try:
            first = ResidueNumber.read(match[2])
            spans.append(Span(chain, first, ResidueNumber.read(match[3] or match[2])))
        except ValueError as error:
            raise InputError(f"--fix: {error}") from None
    return tuple(spans)
