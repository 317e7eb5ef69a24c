"""The folder that sequences of some structures go to: sequences.csv, sequences.fasta."""

from __future__ import annotations

import fcntl
from pathlib import Path
from typing import IO

from pxtools.errors import InputError
from pxtools.interrupt import uninterrupted
from pxtools.runs import sequences
from pxtools.runs.files import write_atomically
from pxtools.runs.sequences import Key, Sequence


class Folder:
    """A run's folder, or that of structures of no run; one process at a time writes there."""

    def __init__(self, path: Path, run: str):
        self.path = path
        self.run = run  # the run's identity, empty for none
        self.table = sequences.table(path)
        self.rows: dict[Key, Sequence] = {}
        self.new = 0
        self.is_ours = False
        self._lock: IO[bytes] | None = None

    def claim(self) -> bool:
        """Read the table; False if another process is at work here. Raises InputError."""
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            self._lock = (self.path / ".sequences.lock").open("ab")
            try:
                fcntl.lockf(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except (BlockingIOError, PermissionError):
                return False
        except OSError as error:
            raise InputError(f"{self.path}: cannot write there: {error.strerror}") from None
        self.rows = self.table.read(lambda row: row.run == self.run)
        self.is_ours = True
        return True

    def add(self, row: Sequence) -> None:
        if not self.new:  # without what a killed process left half-written
            self.table.write(self._in_order())
        self.new += 1
        self.table.append(row)
        self.rows[row.key] = row

    def finish(self) -> None:
        """Put the table in order and write sequences.fasta beside it."""
        with uninterrupted():
            if self.new:
                self.table.write(self._in_order())
            path, text = self.path / "sequences.fasta", "".join(map(as_fasta, self._in_order()))
            if not path.is_file() or path.read_bytes() != text.encode():
                write_atomically(path, text.encode())

    def _in_order(self) -> list[Sequence]:
        return sorted(self.rows.values(), key=sequences.in_order)


def as_fasta(row: Sequence) -> str:
    about = f"score={row.score}, global_score={row.global_score}, T={row.temperature:g}"
    head = f">{title(row)} {about}, weights={row.weights}, seed={row.seed}"
    return f"{head}\n{row.sequence}\n"


def title(row: Sequence) -> str:
    return f"{row.design}_seq_{row.number}"
