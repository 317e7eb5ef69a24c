"""Picks in a folder of their own: the CIFs, a table, a PyMOL script."""

import json
from collections.abc import Sequence
from pathlib import Path

from pxtools.console import warn
from pxtools.picking.choosing import Candidate, one_name_each
from pxtools.runs.files import cannot_write, flush_folder, write_atomically
from pxtools.runs.record import RunJson
from pxtools.runs.tables import as_csv
from pxtools.scoring.columns import Scores
from pxtools.structure.atoms import chain_name

TABLE, SCRIPT = "picks.csv", "picks.pml"


def hand_over(picks: Sequence[Candidate], folder: Path) -> None:
    """Copy the picks' CIFs; write picks.csv, their rows in order, and picks.pml.

    Files of the same names are replaced; others stay, with a warning. Raises InputError.
    """
    names = one_name_each(picks)
    if others := sorted({path.name for path in folder.glob("*.cif")}.difference(names)):
        warn(f"{folder}: {len(others)} other CIFs are there and stay, such as {others[0]}")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, c in zip(names, picks, strict=True):
            write_atomically(folder / name, c.path.read_bytes(), sync_folder=False)
    except OSError as error:
        raise cannot_write(folder, error) from None
    write_atomically(folder / TABLE, as_csv(Scores, [c.row for c in picks]).encode())
    write_atomically(folder / SCRIPT, script(names, picks).encode())
    flush_folder(folder)


def script(names: Sequence[str], picks: Sequence[Candidate]) -> str:
    """A PyMOL script: picks of one target laid on each other, epitopes orange, binders rainbow."""
    lines = ["# in this folder: pymol picks.pml; the arrow keys go from pick to pick"]
    first_of: dict[str, str] = {}
    for number, (name, c) in enumerate(zip(names, picks, strict=True), 1):
        shown = f"pick_{number:03d}"
        binder = f"{shown} and chain {_binder(c)}"
        lines += [f"cmd.load({json.dumps(name)}, '{shown}')", f"color gray80, {shown}"]
        if c.row.epitope:
            lines.append(f"color orange, {shown} and ({_selection(c.row.epitope)})")
        lines.append(f"spectrum resi, rainbow, {binder}")
        target = first_of.setdefault(c.run.name, shown)
        if target != shown:
            lines.append(f"align {shown} and name CA and not ({binder}), {target}")
    return "\n".join([*lines, "hide everything", "show cartoon", "zoom", ""])


def _binder(c: Candidate) -> str:
    return chain_name(len(RunJson.read(c.run).record.task.chains))


def _selection(epitope: str) -> str:
    """A0:40 A0:41 B0:7 as PyMOL selects it."""
    numbers: dict[str, list[str]] = {}
    for residue in epitope.split():
        chain, _, number = residue.partition(":")
        numbers.setdefault(chain, []).append(number.replace("-", "\\-"))
    return " or ".join(f"chain {chain} and resi {'+'.join(n)}" for chain, n in numbers.items())
