"""A structure whose binder is to get amino acids."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import gemmi
import numpy as np

from pxtools.errors import InputError
from pxtools.network.protein_mpnn import ALPHABET, Backbone
from pxtools.sequences.options import Span
from pxtools.structure.parsing import parse_structure
from pxtools.structure.reading import (
    Polymer,
    author_number,
    heavy_atoms,
    protein_chains,
)
from pxtools.structure.residues import BACKBONE, letter_of

MAX_RESIDUES = 5000


@dataclass(frozen=True)
class Design:
    """A target and a binder; residues of the target without a whole backbone are left out."""

    name: str
    structure: gemmi.Structure
    backbone: Backbone  # the binder last
    binder: Polymer
    target: dict[str, str]  # full sequence of each target chain, by its name
    left_out: int
    others: tuple[str, ...]  # chains that are no protein, and what they are

    @property
    def binder_rows(self) -> slice:
        """Its rows in the backbone."""
        return slice(len(self.backbone.letters) - len(self.binder.sites), None)

    @property
    def digest(self) -> bytes:
        """Of all that the network sees, coordinates to 0.001 Å."""
        b = self.backbone
        parts = [
            np.round(b.xyz.astype(np.float64) * 1000).astype("<i8"),
            np.where(b.designed, -1, b.letters).astype("<i8"),
            b.chain.astype("<i8"),
            b.number.astype("<i8"),
        ]
        return hashlib.sha256(b"".join(part.tobytes() for part in parts)).digest()


@dataclass(frozen=True)
class _Residue:
    chain: int
    number: int
    letter: int
    xyz: list[list[float]]
    designed: bool


def read_design(
    source: str, name: str, text: bytes, binder: str | None, fix: Sequence[Span]
) -> Design:
    """The design in the text of an mmCIF or PDB file; `binder` names its chain, None: the last.

    Raises InputError.
    """
    file = parse_structure(Path(source), text)
    polymers = protein_chains(Path(source), file)
    chains = {n: p for n, p in polymers.items() if p.is_protein}
    others = tuple(f"{n} ({p.kind})" for n, p in polymers.items() if not p.is_protein)
    last = binder or list(chains)[-1]
    if last not in chains:
        raise InputError.of(source, "--binder", f"a protein chain ({', '.join(chains)})", last)
    target = {n: polymer for n, polymer in chains.items() if n != last}
    kept = _fixed(source, last, chains[last], fix)
    residues = [r for i, p in enumerate(target.values()) for r in _whole(p, i, file.by_label)]
    whole = len(residues)
    residues += _whole(chains[last], len(target), file.by_label, kept)
    sites = chains[last].sites
    if len(residues) - whole < len(sites):
        missing = next(site for site in sites if _backbone(site) is None)
        found = ", ".join(a.name for a in heavy_atoms(missing)) or "no atom"
        raise InputError.of(
            source, f"binder residue {author_number(missing)}", "atoms N, CA, C and O", found
        )
    if len(residues) > MAX_RESIDUES:
        raise InputError.of(source, "residues", f"at most {MAX_RESIDUES:,}", len(residues))
    xyz = np.array([r.xyz for r in residues])
    if not (np.isfinite(xyz).all() and np.abs(xyz).max() < 1e6):
        raise InputError.of(source, "coordinates", "finite numbers in Å", "others")
    designed = np.array([r.designed for r in residues])
    if not designed.any():
        raise InputError.of(source, "--fix", "a binder residue left to design", "all are fixed")
    backbone = Backbone(
        xyz.astype(np.float32),
        np.array([r.letter for r in residues]),
        np.array([r.chain for r in residues]),
        np.array([r.number for r in residues]),
        designed,
        np.ones(len(residues), bool),
    )
    full = {n: "".join(map(letter_of, polymer.sequence)) for n, polymer in target.items()}
    left_out = sum(len(polymer.sites) for polymer in target.values()) - whole
    return Design(name, file.structure, backbone, chains[last], full, left_out, others)


def _fixed(source: str, chain: str, polymer: Polymer, fix: Sequence[Span]) -> set[int]:
    """The places (in its sites) of the binder's residues that keep their letters."""
    at = {polymer.number(site): i for i, site in enumerate(polymer.sites)}
    places: set[int] = set()
    for span in fix:
        if span.chain != chain:
            raise InputError.of(
                source, "--fix", f"residues of the binder {chain} (others are fixed)", span
            )
        for number in (span.first, span.last):
            if number not in at:
                expected = f"a residue of chain {chain} ({next(iter(at))} to {list(at)[-1]})"
                raise InputError.of(source, "--fix", expected, str(number))
        places.update(range(at[span.first], at[span.last] + 1))
    return places


def _whole(
    polymer: Polymer, chain: int, by_label: bool, kept: set[int] | None = None
) -> list[_Residue]:
    """The residues with a whole backbone; `kept` are not designed, None: none is."""
    is_numbered = by_label or polymer.has_full_sequence
    residues, number = [], 0
    before: tuple[int, int] | None = None
    for i, (site, label) in enumerate(zip(polymer.sites, polymer.label_seq, strict=True)):
        author = author_number(site).number
        if before is not None:
            # a PDB file without SEQRES shows its gaps in the author's numbers alone
            step = 0 if is_numbered else author - before[1]
            number += max(label - before[0], step)
        before = (label, author)
        if (xyz := _backbone(site)) is not None:
            letter = ALPHABET.index(letter_of(site.name))
            designed = kept is not None and i not in kept
            residues.append(_Residue(chain, number, letter, xyz, designed))
    return residues


def _backbone(site: gemmi.Residue) -> list[list[float]] | None:
    """N, CA, C and O of its best conformer; None where one is missing."""
    place = {atom.name: atom.pos.tolist() for atom in heavy_atoms(site)}
    points = [place[name] for name in BACKBONE if name in place]
    return points if len(points) == len(BACKBONE) else None
