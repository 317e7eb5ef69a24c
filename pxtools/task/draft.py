"""The beginning of a task: all protein chains of a structure, for a designer to choose from."""

import json
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

from pxtools.console import warn
from pxtools.errors import InputError
from pxtools.structure.parsing import read_structure
from pxtools.structure.reading import Polymer, author_number, protein_chains
from pxtools.structure.residues import letter_of
from pxtools.task.inspection import ranges
from pxtools.task.target import pick_target
from pxtools.task.types import BinderLengths, ChainPick, Task

MOST_LETTERS = 60  # of a chain's sequence
MOST_PIECES = 8  # of differences between the author's numbers and label ids


def draft(structure: Path) -> str:
    """A task in YAML with every protein chain of a structure. Raises InputError."""
    file = read_structure(structure)
    polymers = protein_chains(structure, file)
    proteins = {name: polymer for name, polymer in polymers.items() if polymer.is_protein}
    if others := [f"{n} ({p.kind})" for n, p in polymers.items() if not p.is_protein]:
        warn(f"{structure}: no protein, left out: {', '.join(others)}")
    ids = "label ids" if file.by_label else "the file's own"
    chains = [line for name, p in proteins.items() for line in _chain(structure, name, p)]
    if all(line.startswith("#") for line in chains):
        warn(f"{structure}: no chain of it can be a target as it is")
    lines = [
        f"# Chains and residue numbers are {ids}. Take out the chains that are not the target.",
        '# crop: what to keep of one, such as "1-50,80-100"; hotspots: where to bind: [40, 99]',
        "binder_length: 80  # or 60-100, or [60, 80, 100]",
        "target:",
        "  # looked for beside this file first, then where a tool is started",
        f"  file: {json.dumps(str(structure), ensure_ascii=False)}",
        "  chains:",
        *(f"    {line}" for line in chains),
    ]
    return "\n".join(lines)


def _chain(structure: Path, name: str, polymer: Polymer) -> Iterator[str]:
    """What there is of a chain, and its entry: behind a # where it cannot be a target as it is."""
    letters = "".join(map(letter_of, polymer.sequence))
    dots = "..." if len(letters) > MOST_LETTERS else ""
    yield f"# {len(letters)} residues: {letters[:MOST_LETTERS]}{dots}"
    yield f"# with coordinates: {ranges({polymer.number(s).number for s in polymer.sites})}"
    if inserted := [str(n) for n in map(polymer.number, polymer.sites) if n.insertion]:
        yield f"# with insertion codes: {', '.join(inserted)}"
    if polymer.by_label:
        yield from _of_author(name, polymer)
    lengths = BinderLengths((1,))
    task = Task(str(structure), structure.stem, structure, (ChainPick(name, None, ()),), lengths)
    mark = ""
    try:
        pick_target(task, {name: polymer})
    except InputError as error:
        yield f"# cannot be used as it is: {error}"
        mark = "# "
    yield f"{mark}{json.dumps(name)}: {{crop: all, hotspots: []}}"


def _of_author(name: str, polymer: Polymer) -> Iterator[str]:
    """What the author calls the chain and its residues, where that differs."""
    numbers = [(polymer.number(site).number, author_number(site)) for site in polymer.sites]
    pieces = [
        (piece[0], piece[-1])
        for _, group in groupby(numbers, key=lambda n: (n[1].number - n[0], n[1].insertion))
        for piece in [list(group)]
    ]
    if polymer.author_chain == name and all(str(label) == str(a) for (label, a), _ in pieces):
        return
    said = [
        f"{first}-{last} are {of_first}-{of_last}" if first < last else f"{first} is {of_first}"
        for (first, of_first), (last, of_last) in pieces[:MOST_PIECES]
    ]
    dots = ", ..." if len(pieces) > MOST_PIECES else ""
    yield f"# authors call it {polymer.author_chain}: {', '.join(said)}{dots}"
