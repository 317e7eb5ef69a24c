"""summary.csv of a run: a row a design, appended as it is scored; ranks and clusters at the end."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from pxtools.console import LINE_EVERY_FILES, in_columns, say, warn
from pxtools.errors import DamagedError, InputError
from pxtools.runs.chunk import read_chunk
from pxtools.runs.designs import chunk_texts, samples_of
from pxtools.runs.folder import RunDir
from pxtools.runs.inventory import refuse_links
from pxtools.runs.record import RunJson, TaskRecord
from pxtools.runs.sequences import Sequence, best_of_each
from pxtools.runs.shards import WHOLE, Part, refuse_range_beyond
from pxtools.runs.tables import Table, Value
from pxtools.scoring.checks import (
    Limits,
    bucket,
    judged,
    limits_of,
    passed,
    standard_limits,
)
from pxtools.scoring.columns import Scores
from pxtools.scoring.metrics import lacking, score
from pxtools.scoring.predictions import Named, add_predictions, best_predictions
from pxtools.scoring.predictions import table as predictions_table
from pxtools.scoring.processes import Batch, Measured, score_samples
from pxtools.scoring.ranking import best_first, ranked
from pxtools.scoring.surroundings import Surroundings, surroundings_of
from pxtools.structure.complex import as_complex, binder_last, read_chains, read_facts
from pxtools.structure.parsing import structure_text
from pxtools.task.types import Task

_said: set[bytes] = set()  # the limits that were told of, once for all runs
MOST_REMARKS = 20  # on what is left out
LISTED = (
    *("rank", "design", "failed", "cluster", "helix", "strand"),
    *("contacts", "hotspots_contacted", "target_rmsd", "mpnn_score"),
)


PREDICTED = (
    *("predictor", "iptm", "ptm", "plddt", "ipae", "bound_rmsd", "pose_rmsd", "alone_rmsd"),
)


def summary(run: RunDir, part: Part = WHOLE) -> Table[Scores, str]:
    """A run's table, or that of a part, whose rows are taken over when the whole is scored."""
    name = f"summary.{part.in_names}.csv" if part.in_names else "summary.csv"
    return _table(run.path / name)


def _table(path: Path) -> Table[Scores, str]:
    return Table(path, Scores, lambda row: row.design)


@dataclass(frozen=True)
class How:
    """What designs are judged by, the tasks they were made for, who scores what."""

    limits: Limits | None = None  # None: those that a run was judged by last
    tasks: tuple[Task, ...] = ()
    predictions: tuple[Named, ...] = ()
    folds: bool = False
    processes: int = 1
    part: Part = WHOLE
    binder: str | None = None  # its chain in structures outside runs; None: guessed

    def around(self, run: RunDir, record: TaskRecord) -> Surroundings | None:
        """Of the task that a run is of; None, with a warning, where it is not among the tasks.

        Raises InputError where its crop is not the run's.
        """
        task = next((task for task in self.tasks if task.name == run.name), None)
        if task is None:
            if self.tasks:
                names = ", ".join(task.name for task in self.tasks)
                warn(f"{run.path}: its task is not in {self.tasks[0].source}, which has {names}")
            return None
        crops = {pick.chain: pick.crop_text for pick in task.chains}
        if crops != (begun := {chain: held.crop for chain, held in record.chains.items()}):
            raise InputError.of(task.source, "crops", f"those of {run.path}: {begun}", crops)
        return surroundings_of(task)


def update(run: RunDir, quiet: bool, how: How | None = None) -> list[Scores]:
    """Score the run's designs that have no row yet; all its rows.

    Rows of an older table keep what they have; the columns they lack are filled in.
    """
    scoring = Scoring(run, quiet, how or How())
    scoring.add(None)
    return scoring.finish()


class Scoring:
    """The rows of a run while its designs are scored; several calls of `add` as they come."""

    def __init__(self, run: RunDir, quiet: bool, how: How):
        refuse_links(run)
        self.run = run
        self.quiet = quiet
        self.how = how
        self.part = how.part
        asked = RunJson.begun(run)
        self.around = how.around(run, asked.record.task)
        refuse_range_beyond(self.part, asked.n_sample)
        self.limits = limits_of(run.path, how.limits)
        if not how.limits and self.limits != standard_limits() and self.limits.text not in _said:
            _said.add(self.limits.text)
            warn(f"{run.path}: judged by its own checks.yaml (px-score --checks gives others)")
        self.digest = asked.record.identity
        self.table = summary(run, self.part)
        self.rows = self._stored()
        self.binders: dict[str, np.ndarray] = {}
        self.changed = self._take_over_parts() if self.part == WHOLE else False

    def _stored(self) -> dict[str, Scores]:
        return self._of_this_run(self.table)

    def _of_this_run(self, table: Table[Scores, str]) -> dict[str, Scores]:
        return table.read(lambda row: row.run == self.digest)

    def _take_over_parts(self) -> bool:
        """Add the rows that shards have made; whether there are any."""
        tables = [_table(path) for path in sorted(self.run.path.glob("summary.*.csv"))]
        new = {name: row for table in tables for name, row in self._of_this_run(table).items()}
        lacking = new.keys() - self.rows.keys()
        self.rows = new | self.rows
        if lacking:
            self.table.write(sorted(self.rows.values(), key=_order))
        return bool(lacking)

    def add(self, samples: set[int] | None) -> None:
        """Score those of the samples (None: all) that have no whole row."""
        designs = samples_of(self.run) if samples is None else samples
        wanted = sorted(sample for sample in designs if self.part.owns(sample))
        missing = [sample for sample in wanted if self._is_missing(sample)]
        if missing and not self.changed:  # without what a killed process left half-written
            self.table.write(sorted(self.rows.values(), key=_order))
            self.changed = True
        skipped = len(wanted) - len(missing)
        for count, done in enumerate(self._scored(missing), 1):
            self.rows[done.row.design] = done.row
            self.table.append(done.row)
            if not self.quiet and (count % LINE_EVERY_FILES == 0 or count == len(missing)):
                say(f"  Scoring designs: {count}/{len(wanted)} (skipped {skipped})")

    def _is_missing(self, sample: int) -> bool:
        row = self.rows.get(self.run.cif(sample).stem)
        return row is None or bool(lacking(row, self.around))

    def _scored(self, samples: list[int]) -> Iterator[Measured]:
        batch = Batch(self.run, self.digest, samples, self.rows, self.around)
        for done in score_samples(batch, self.how.processes):
            self.binders[done.row.design] = done.ca
            yield Measured(judged(done.row, self.limits.checks), done.ca)

    def finish(self) -> list[Scores]:
        """All rows of the run, best first, with ranks, clusters and what sequences say.

        Those of a part without ranks, which need all designs.
        """
        if self.changed:
            self.rows = self._stored() | self.rows  # another process may have added some
        self.rows = {name: judged(row, self.limits.checks) for name, row in self.rows.items()}
        if self.part != WHOLE:
            return sorted(self.rows.values(), key=best_first)
        is_new = any(row.cluster is None for row in self.rows.values())
        has_folds = [row.fold is not None for row in self.rows.values()]
        to_fold = (self.how.folds or any(has_folds)) and not all(has_folds)
        if to_fold or is_new or any(row.rank is None for row in self.rows.values()):
            places = self._places() if to_fold or is_new else {}
            ranks = ranked(self.rows.values(), places, self.how.processes if to_fold else 0)
            self.rows = {row.design: row for row in ranks}
            self.changed = True
        said = self._with_sequences_and_predictions()
        if self.changed or said != self.rows:
            self.rows = said
            self.table.write(sorted(self.rows.values(), key=_order))
        return sorted(self.rows.values(), key=best_first)

    def _with_sequences_and_predictions(self) -> dict[str, Scores]:
        best = best_of_each(self.run.path, self.digest)
        if self.how.predictions:
            predictions = add_predictions(self.run, self.digest, self.how.predictions)
        else:
            stored = predictions_table(self.run).read(lambda row: row.run == self.digest)
            predictions = list(stored.values())
        passes = passed(predictions, self.limits.filters)
        foremost = best_predictions(predictions)
        rows = {}
        for name, row in self.rows.items():
            told: dict[str, Any] = {n: getattr(foremost.get(name), n, None) for n in PREDICTED}
            names = [n for n in self.limits.filters if n in passes.get(name, ())]
            told["filters"] = " ".join(names) or None
            told["bucket"] = bucket(passes[name]) if name in passes else None
            told["mpnn_score"] = best[name].score if name in best else None
            rows[name] = replace(row, **told)
        return rows

    def _places(self) -> dict[str, np.ndarray]:
        """The binders' CA atoms of all designs that have a row."""
        names = {s: self.run.cif(s).stem for s in samples_of(self.run)}
        left = [s for s, name in names.items() if name in self.rows and name not in self.binders]
        for _ in self._scored(sorted(left)):
            pass
        return self.binders


def _order(row: Scores) -> tuple[int, str]:
    return len(row.design), row.design


def score_files(paths: Iterable[Path], how: How) -> Iterator[Scores]:
    """Rows of structure and chunk files that lie in no run.

    Where the binder's chain is not given, what was taken is said; so is what was left out.
    """
    checks = (how.limits or standard_limits()).checks
    taken: Counter[tuple[str, str]] = Counter()
    left_out: Counter[str] = Counter()
    try:
        for path in paths:
            for name, text in _texts(path):
                chains = read_chains(name, text, lambda what: left_out.update([what]))
                chains, why = binder_last(name, chains, how.binder)
                if why and path.suffix != ".msgpack":
                    taken[chains[-1][0].key[0], why] += 1
                yield judged(score(as_complex(name, chains, read_facts(text)), name), checks)
    finally:  # also of files before one that is refused, and of that one
        for (chain, why), n in taken.items():
            files = _counted(n, "file")
            warn(f"the binder is taken to be chain {chain}, {why}, in {files}; else give --binder")
        _say_left_out(left_out)


def _say_left_out(of: Counter[str]) -> None:
    for what, n in of.most_common(MOST_REMARKS):
        warn(f"left out in {_counted(n, 'file')}: {what}")
    if (more := len(of) - MOST_REMARKS) > 0:
        warn(f"left out in other files: {more} more such chains and residues")


def _texts(path: Path) -> list[tuple[str, bytes]]:
    try:
        if path.suffix == ".msgpack":
            texts = chunk_texts(read_chunk(path))
            return [(f"{path.stem}_{sample}", text) for sample, text in texts]
        return [(str(path), structure_text(path))]
    except DamagedError as error:
        raise InputError(f"{path}: {error}") from None


def best_sequences(run: RunDir) -> dict[str, Sequence]:
    """Of each design of a run that has sequences, the one with the lowest score."""
    return best_of_each(run.path, RunJson.begun(run).record.identity)


def in_words(
    title: str, rows: list[Scores], top: int, sequences: Mapping[str, Sequence] | None = None
) -> str:
    """What a person wants to know of a run: how many are sound, why not, which are the best."""
    if not rows:
        return f"{title}: no designs yet"
    sound = sum(not row.failed for row in rows)
    clusters = len({row.cluster for row in rows if row.cluster})
    folds = len({row.fold for row in rows if row.fold})
    groups = f" in {_counted(clusters, 'cluster')}" if clusters else ""
    groups += f", {_counted(folds, 'fold')}" if folds else ""
    lines = [f"{title}: {_counted(len(rows), 'design')}{groups}; pass every check: {sound}"]
    failed = Counter(name for row in rows for name in row.failures)
    if failed:
        lines.append("  fail    " + ", ".join(f"{name} {n}" for name, n in failed.most_common()))
    lines.append(f"  median  {_medians(rows)}")
    listed = LISTED if sequences else [name for name in LISTED if name != "mpnn_score"]
    table = [[_shown(getattr(row, name)) for name in listed] for row in rows[:top]]
    if table:
        lines += [f"  {line}" for line in in_columns([[n.upper() for n in listed], *table])]
    best = [sequences[row.design] for row in rows[:top] if sequences and row.design in sequences]
    lines += [f"  {line}" for line in in_columns([[s.design, s.sequence] for s in best])]
    return "\n".join(lines)


def _counted(n: int, word: str) -> str:
    return f"{n} {word}" if n == 1 else f"{n} {word}s"


def _medians(rows: list[Scores]) -> str:
    words = [f"rg/expected {median(row.rg / row.rg_expected for row in rows):.2f}"]
    for name in ("helix", "strand", "contacts", "hotspots_contacted", "target_rmsd"):
        values = [value for row in rows if (value := getattr(row, name)) is not None]
        if values:
            words.append(f"{name} {_shown(median(values))}")
    return ", ".join(words)


def _shown(value: Value) -> str:
    if value is None or value == "":
        return "-"
    return f"{value:.2f}" if isinstance(value, float) else str(value)
