"""summary.csv of a run: a row a design, appended as it is scored; ranks and clusters at the end."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from statistics import median

import numpy as np

from pxtools.console import LINE_EVERY_FILES, in_columns, say
from pxtools.errors import DamagedError, InputError
from pxtools.runs.chunk import read_chunk
from pxtools.runs.designs import chunk_texts, samples_of, texts_of
from pxtools.runs.folder import RunDir
from pxtools.runs.inventory import refuse_links
from pxtools.runs.record import RunJson
from pxtools.runs.sequences import Sequence, best_of_each
from pxtools.runs.tables import Table, Value, unfilled
from pxtools.scoring.columns import CHECKS, Scores
from pxtools.scoring.metrics import filled_in, score
from pxtools.scoring.ranking import best_first, ranked
from pxtools.structure.complex import read_complex
from pxtools.structure.parsing import structure_text

LISTED = (
    *("rank", "design", "failed", "cluster", "helix", "strand"),
    *("contacts", "hotspots_contacted", "target_rmsd", "mpnn_score"),
)


def summary(run: RunDir) -> Table[Scores, str]:
    return Table(run.path / "summary.csv", Scores, lambda row: row.design)


def update(run: RunDir, samples: set[int] | None, quiet: bool) -> list[Scores]:
    """Score the run's designs that have no row yet (of `samples`, None: all); all its rows.

    Rows of an older table keep what they have; the columns they lack are filled in.
    """
    refuse_links(run)
    digest, table = _identity(run), summary(run)
    rows = table.read(lambda row: row.run == digest)
    designs = samples_of(run)
    wanted = sorted(designs if samples is None else samples & designs)
    missing = [s for s in wanted if (row := rows.get(run.cif(s).stem)) is None or unfilled(row)]
    binders: dict[str, np.ndarray] = {}
    if missing:  # without what a killed process left half-written
        table.write(sorted(rows.values(), key=_order))
    for count, (sample, text) in enumerate(texts_of(run, missing), 1):
        name = run.cif(sample).stem
        design = read_complex(name, text)
        binders[name] = design.binder_ca
        known = rows.get(name)
        rows[name] = filled_in(known, design) if known else score(design, name, digest)
        table.append(rows[name])
        if not quiet and (count % LINE_EVERY_FILES == 0 or count == len(missing)):
            say(f"  Scoring designs: {count}/{len(wanted)} (skipped {len(wanted) - len(missing)})")
    if missing:
        rows = table.read(lambda row: row.run == digest) | rows  # another process may have added
    if any(row.rank is None for row in rows.values()):
        known_samples = {run.cif(sample).stem: sample for sample in designs}
        others = [known_samples[n] for n in rows if n in known_samples and n not in binders]
        for sample, text in texts_of(run, sorted(others)):
            name = run.cif(sample).stem
            binders[name] = read_complex(name, text).binder_ca
        rows = {row.design: row for row in ranked(rows.values(), binders)}
        missing = missing or others
    best = best_of_each(run.path, digest)
    scores = {name: best[name].score if name in best else None for name in rows}
    if missing or any(row.mpnn_score != scores[name] for name, row in rows.items()):
        rows = {name: replace(row, mpnn_score=scores[name]) for name, row in rows.items()}
        table.write(sorted(rows.values(), key=_order))
    return sorted(rows.values(), key=best_first)


def _identity(run: RunDir) -> str:
    """A digest of what decides the run's designs: rows of other runs in its folder are not its."""
    try:
        return RunJson.read(run).record.identity
    except DamagedError as error:
        raise InputError(f"{run.run_json}: {error}") from None


def _order(row: Scores) -> tuple[int, str]:
    return len(row.design), row.design


def score_file(path: Path) -> Iterator[Scores]:
    """Rows of a structure or chunk file that lies in no run."""
    try:
        if path.suffix == ".msgpack":
            texts = [(f"{path.stem}_{i}", text) for i, text in chunk_texts(read_chunk(path))]
        else:
            texts = [(str(path), structure_text(path))]
    except DamagedError as error:
        raise InputError(f"{path}: {error}") from None
    for name, text in texts:
        yield score(read_complex(name, text), name)


def best_sequences(run: RunDir) -> dict[str, Sequence]:
    """Of each design of a run that has sequences, the one with the lowest score."""
    return best_of_each(run.path, _identity(run))


def in_words(
    title: str, rows: list[Scores], top: int, sequences: Mapping[str, Sequence] | None = None
) -> str:
    """What a person wants to know of a run: how many are sound, why not, which are the best."""
    if not rows:
        return f"{title}: no designs yet"
    sound = sum(not row.failed for row in rows)
    clusters = len({row.cluster for row in rows if row.cluster})
    groups = f" in {_counted(clusters, 'cluster')}" if clusters else ""
    lines = [f"{title}: {_counted(len(rows), 'design')}{groups}; pass every check: {sound}"]
    failed = {name: sum(name in row.failures for row in rows) for name in CHECKS}
    if any(failed.values()):
        lines.append("  fail    " + ", ".join(f"{k} {n}" for k, n in failed.items() if n))
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
