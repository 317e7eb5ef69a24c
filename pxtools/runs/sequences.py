"""sequences.csv: the amino acids that were chosen for designs, beside predictions/ of a run."""

from dataclasses import dataclass
from pathlib import Path

from pxtools.runs.shards import WHOLE, Part
from pxtools.runs.tables import Table, column

Key = tuple[str, int, str]


@dataclass(frozen=True, kw_only=True)
class Sequence:
    """A row; docs/sequences.md is made from this list."""

    design: str = column("the structure file's name")
    number: int = column("of the sequence among those of its design, from 0")
    sequence: str = column("of the binder, one letter a residue")
    score: float = column(
        "mean negative log-probability of the binder's designed residues, lower is better", "nats"
    )
    global_score: float = column("the same over all residues, the target's too", "nats")
    temperature: float = column("that letters were drawn at")
    weights: str = column("vanilla, soluble or the file's name")
    seed: int = column("of the draws")
    made_from: str = column(
        "digest of the backbone, the weights and every option: a sequence is made again only "
        "where one of them is another"
    )
    run: str = column(
        "which run the row is of: rows of another run in the same folder are not taken"
    )

    @property
    def key(self) -> Key:
        return self.design, self.number, self.made_from


def table(folder: Path, part: Part = WHOLE) -> Table[Sequence, Key]:
    """A folder's table, or that of a part, whose rows are taken over by the whole."""
    return _table(folder / (f"sequences.{part.in_names}.csv" if part.in_names else "sequences.csv"))


def tables_of_parts(folder: Path) -> list[Table[Sequence, Key]]:
    return [_table(path) for path in sorted(folder.glob("sequences.*.csv"))]


def _table(path: Path) -> Table[Sequence, Key]:
    return Table(path, Sequence, lambda row: row.key)


def in_order(row: Sequence) -> tuple[int, str, str, int]:
    """Sort key: sample 9 before sample 10, and what was made together together."""
    return len(row.design), row.design, row.made_from, row.number


def best_of_each(folder: Path, run: str) -> dict[str, Sequence]:
    """The sequence with the lowest score of each design of a run."""
    best: dict[str, Sequence] = {}
    for row in table(folder).read(lambda row: row.run == run).values():
        if row.design not in best or row.score < best[row.design].score:
            best[row.design] = row
    return best
