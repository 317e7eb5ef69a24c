"""The folder that sequences of some structures go to: sequences.csv, sequences.fasta."""

from __future__ import annotations

import fcntl
from pathlib import Path
from typing import IO

from pxtools.console import warn
from pxtools.interrupt import uninterrupted
from pxtools.runs import sequences
from pxtools.runs.files import cannot_write, write_atomically
from pxtools.runs.lock import WITHOUT_LOCKS
from pxtools.runs.sequences import Key, Sequence
from pxtools.runs.shards import WHOLE, Part
from pxtools.runs.tables import Table


class Folder:
    """A run's folder, or that of structures of no run; one process at a time writes each part."""

    def __init__(self, path: Path, run: str, part: Part = WHOLE):
        self.path = path
        self.run = run  # the run's identity, empty for none
        self.part = part
        self.table = sequences.table(path, part)
        self.rows: dict[Key, Sequence] = {}
        self.new = 0
        self.is_ours = False
        self._lock: IO[bytes] | None = None

    def claim(self) -> bool:
        """Read the table; False if another process is at work here. Raises InputError."""
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            of_part = f".{self.part.in_names}" if self.part.in_names else ""
            self._lock = (self.path / f".sequences{of_part}.lock").open("ab")
            try:
                fcntl.lockf(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except (BlockingIOError, PermissionError):
                return False
            except OSError as error:
                if error.errno not in WITHOUT_LOCKS:
                    raise
                warn(
                    f"{self._lock.name}: no file locks there ({error.strerror}): "
                    "run one px-sequence at a time, or give each its --shard"
                )
        except OSError as error:
            raise cannot_write(self.path, error) from None
        self.rows = self._of_this_run(self.table)
        if self.part == WHOLE:
            for table in sequences.tables_of_parts(self.path):
                for key, row in self._of_this_run(table).items():
                    if key not in self.rows:
                        self.add(row)
        self.is_ours = True
        return True

    def _of_this_run(self, table: Table[Sequence, Key]) -> dict[Key, Sequence]:
        return table.read(lambda row: row.run == self.run)

    def add(self, row: Sequence) -> None:
        if not self.new:  # without what a killed process left half-written
            self.table.write(self._in_order())
        self.new += 1
        self.table.append(row)
        self.rows[row.key] = row

    def finish(self) -> None:
        """Put the table in order and, of the whole, write sequences.fasta beside it."""
        with uninterrupted():
            if self.new:
                self.table.write(self._in_order())
            if self.part != WHOLE:
                return
            path, text = self.path / "sequences.fasta", "".join(map(as_fasta, self._in_order()))
            if not path.is_file() or path.read_bytes() != text.encode():
                write_atomically(path, text.encode())
        if self._lock:
            self._lock.close()

    def _in_order(self) -> list[Sequence]:
        return sorted(self.rows.values(), key=sequences.in_order)


def as_fasta(row: Sequence) -> str:
    about = f"score={row.score}, global_score={row.global_score}, T={row.temperature:g}"
    head = f">{title(row)} {about}, weights={row.weights}, seed={row.seed}"
    return f"{head}\n{row.sequence}\n"


def title(row: Sequence) -> str:
    return f"{row.design}_seq_{row.number}"
