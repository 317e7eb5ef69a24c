"""summary.csv of a run: a row a design, appended as it is scored; ranks and clusters at the end."""

import csv
import io
import math
from collections.abc import Iterable, Iterator
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from pxtools.console import LINE_EVERY_FILES, in_columns, say, warn
from pxtools.errors import DamagedError, InputError
from pxtools.interrupt import uninterrupted
from pxtools.runs.chunk import Chunk, read_chunk
from pxtools.runs.design_cif import cif_writer, read_cif
from pxtools.runs.files import write_atomically
from pxtools.runs.folder import RunDir
from pxtools.runs.inventory import refuse_links
from pxtools.runs.record import RunJson
from pxtools.scoring.columns import CHECKS, COLUMNS, Row
from pxtools.scoring.complex import read_complex
from pxtools.scoring.metrics import score
from pxtools.scoring.ranking import best_first, rank
from pxtools.structure.reading import structure_text

FIELDS = (*COLUMNS, "run")
TEXT = ("design", "failed", "run")
WHOLE = (
    *("rank", "cluster", "binder_length", "target_residues"),
    *("clashes_inside", "clashes_target", "clashes_sidechain", "contacts"),
)
LISTED = (
    *("rank", "design", "failed", "cluster", "helix", "strand"),
    *("contacts", "hotspots_contacted", "target_rmsd"),
)


def summary_csv(run: RunDir) -> Path:
    return run.path / "summary.csv"


def update(run: RunDir, samples: set[int] | None, quiet: bool) -> list[Row]:
    """Score the run's designs that have no row yet (of `samples`, None: all); all its rows."""
    refuse_links(run)
    digest = _identity(run)
    rows = read_rows(run, digest)
    designs = _samples(run)
    wanted = sorted(designs if samples is None else samples & designs)
    missing = [sample for sample in wanted if _name(run, sample) not in rows]
    binders: dict[str, np.ndarray] = {}
    if missing:  # without what a killed process left half-written
        _write(run, rows)
    for count, (sample, text) in enumerate(_texts(run, missing), 1):
        row, binders[_name(run, sample)] = _scored(_name(run, sample), text)
        rows[row["design"]] = row | {"run": digest}
        with uninterrupted():
            _append(run, rows[row["design"]])
        if not quiet and (count % LINE_EVERY_FILES == 0 or count == len(missing)):
            say(f"  Scoring designs: {count}/{len(wanted)} (skipped {len(wanted) - len(missing)})")
    if any(row["rank"] is None for row in rows.values()):
        rows = read_rows(run, digest) | rows  # another process may have added some
        known = {_name(run, sample): sample for sample in designs}
        others = [known[name] for name in rows if name in known and name not in binders]
        for sample, text in _texts(run, sorted(others)):
            name = _name(run, sample)
            binders[name] = read_complex(name, text).binder_ca
        rank(rows.values(), binders)
        _write(run, rows)
    return sorted(rows.values(), key=best_first)


def _identity(run: RunDir) -> str:
    """A digest of what decides the run's designs: rows of other runs in its folder are not its."""
    try:
        return RunJson.read(run).record.identity
    except DamagedError as error:
        raise InputError(f"{run.run_json}: {error}") from None


def _samples(run: RunDir) -> set[int]:
    in_chunks = {sample for samples, _ in run.files("msgpack") for sample in samples}
    return run.cif_samples() | in_chunks


def _name(run: RunDir, sample: int) -> str:
    return run.cif(sample).stem


def _order(row: Row) -> tuple[int, str]:
    return len(row["design"]), row["design"]


def _texts(run: RunDir, samples: list[int]) -> Iterator[tuple[int, bytes]]:
    """The CIF text of each sample: its file, or what its chunk would give."""
    in_cifs = run.cif_samples()
    for sample in samples:
        if sample in in_cifs:
            try:
                yield sample, read_cif(run.cif(sample))
            except DamagedError as error:
                warn(f"{run.cif(sample)}: {error}; it is not scored (px-write-cif mends it)")
    left = set(samples) - in_cifs
    for in_chunk, path in run.files("msgpack"):
        if left.intersection(in_chunk):
            try:
                chunk = read_chunk(path)
            except DamagedError as error:
                warn(f"{path}: {error}; it is not scored (px-sample mends it)")
                continue
            yield from ((sample, text) for sample, text in chunk_texts(chunk) if sample in left)
            left -= set(chunk.samples)


def chunk_texts(chunk: Chunk) -> Iterator[tuple[int, bytes]]:
    """The CIF text of each sample of a chunk."""
    write = cif_writer(chunk, align=True)
    for i, sample in enumerate(chunk.samples):
        yield sample, write(i)[0]


def _scored(name: str, text: bytes) -> tuple[Row, np.ndarray]:
    design = read_complex(name, text)
    return {"design": name, **score(design)}, design.binder_ca


def score_file(path: Path) -> Iterator[Row]:
    """Rows of a structure or chunk file that lies in no run."""
    try:
        if path.suffix == ".msgpack":
            texts = [(f"{path.stem}_{i}", text) for i, text in chunk_texts(read_chunk(path))]
        else:
            texts = [(str(path), structure_text(path))]
    except DamagedError as error:
        raise InputError(f"{path}: {error}") from None
    for name, text in texts:
        yield _scored(name, text)[0] | {"run": ""}


def _write(run: RunDir, rows: dict[str, Row]) -> None:
    write_atomically(summary_csv(run), as_csv(sorted(rows.values(), key=_order)).encode())


def _append(run: RunDir, row: Row) -> None:
    path = summary_csv(run)
    try:
        with path.open("ab", buffering=0) as file:
            file.write(_line(row).encode())
    except OSError as error:
        raise InputError(f"{path}: cannot write: {error.strerror}") from None


def as_csv(rows: Iterable[Row]) -> str:
    return ",".join(FIELDS) + "\n" + "".join(map(_line, rows))


def _line(row: Row) -> str:
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerow(
        ["" if row[name] is None else row[name] for name in FIELDS]
    )
    return out.getvalue()


def read_rows(run: RunDir, digest: str) -> dict[str, Row]:
    """The rows that are whole and of this run, by design."""
    try:
        text = summary_csv(run).read_bytes().decode(errors="replace")
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise InputError(f"{summary_csv(run)}: cannot read: {error.strerror}") from None
    header, *lines = text.split("\n")[:-1] or [""]  # a killed process may leave half a line
    if header != ",".join(FIELDS):
        return {}
    rows = [row for row in map(_parsed, lines) if row and row["run"] == digest]
    return {row["design"]: row for row in rows}


def _parsed(line: str) -> Row | None:
    try:
        (fields,) = csv.reader([line])
        return {name: _value(name, text) for name, text in zip(FIELDS, fields, strict=True)}
    except (csv.Error, ValueError):
        return None


def _value(name: str, text: str) -> Any:
    if name in TEXT:
        return str(text)
    if text == "" and name in ("rank", "cluster", "hotspots_contacted", "target_rmsd"):
        return None
    value = int(text) if name in WHOLE else float(text)
    if not math.isfinite(value) or (name == "rg_expected" and value <= 0):
        raise ValueError(name)
    return value


def in_words(title: str, rows: list[Row], top: int) -> str:
    """What a person wants to know of a run: how many are sound, why not, which are the best."""
    if not rows:
        return f"{title}: no designs yet"
    sound = sum(not row["failed"] for row in rows)
    clusters = len({row["cluster"] for row in rows if row["cluster"]})
    groups = f" in {_counted(clusters, 'cluster')}" if clusters else ""
    lines = [f"{title}: {_counted(len(rows), 'design')}{groups}; pass every check: {sound}"]
    failed = {name: sum(name in row["failed"].split() for row in rows) for name in CHECKS}
    if any(failed.values()):
        lines.append("  fail    " + ", ".join(f"{k} {n}" for k, n in failed.items() if n))
    lines.append(f"  median  {_medians(rows)}")
    table = [[_shown(name, row[name]) for name in LISTED] for row in rows[:top]]
    if table:
        lines += [f"  {line}" for line in in_columns([[n.upper() for n in LISTED], *table])]
    return "\n".join(lines)


def _counted(n: int, word: str) -> str:
    return f"{n} {word}" if n == 1 else f"{n} {word}s"


def _medians(rows: list[Row]) -> str:
    words = [f"rg/expected {median(r['rg'] / r['rg_expected'] for r in rows):.2f}"]
    for name in ("helix", "strand", "contacts", "hotspots_contacted", "target_rmsd"):
        values = [row[name] for row in rows if row[name] is not None]
        if values:
            words.append(f"{name} {_shown(name, median(values))}")
    return ", ".join(words)


def _shown(name: str, value: Any) -> str:
    if value is None or value == "":
        return "-"
    return f"{value:.2f}" if isinstance(value, float) else str(value)
