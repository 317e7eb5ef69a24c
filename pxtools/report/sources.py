"""What a report is about: runs, whose designs are scored, and tables of scored structures."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pxtools.errors import InputError
from pxtools.machine import cores
from pxtools.report.sheets import Cells, read_sheet
from pxtools.runs.folder import RunDir, find_runs
from pxtools.runs.tables import columns_of
from pxtools.scoring.columns import Scores
from pxtools.scoring.summary import How, update


@dataclass(frozen=True)
class Source:
    """Designs of one origin: a run and its rows, or a table of scored structures."""

    path: Path  # the run's folder, or the table
    rows: Sequence[Cells]  # with `design`: a run's design, or a structure file
    run: RunDir | None = None


def read_sources(paths: Sequence[Path], quiet: bool) -> list[Source]:
    """The runs below folders, or beside a run.json, their designs scored, and the tables."""
    sources: dict[Path, Source] = {}
    for path in paths:
        if path.is_file() and not (path.parent / "run.json").is_file():
            sources[path] = Source(path, read_sheet(path, columns_of(Scores)))
            continue
        folder = path.parent if path.is_file() else path
        runs = find_runs(folder)
        if not runs:
            raise InputError.of(folder, "folder", "at least one run of px-sample", "none yet")
        for run in runs:
            rows = [vars(row) for row in update(run, quiet, How(processes=cores()))]
            sources[run.path] = Source(run.path, rows, run)
    return list(sources.values())


def labels_of(sources: Sequence[Source]) -> list[str]:
    """A name for each source, told apart by the folders above where needed."""
    labels = [f"{s.run.name} {s.path.name}" if s.run else s.path.name for s in sources]
    for depth in range(1, 12):
        counts = Counter(labels)
        if max(counts.values(), default=1) == 1:
            return labels
        labels = [
            f"{s.path.absolute().parts[-depth - 1 : -depth] or ('',)[0]}/{label}"
            if counts[label] > 1
            else label
            for s, label in zip(sources, labels, strict=True)
        ]
    return [f"{label} ({i})" for i, label in enumerate(labels, 1)]


def title_of(sources: Sequence[Source]) -> str:
    """The names of tasks and tables, the first four of them."""
    names = list(dict.fromkeys(s.run.name if s.run else s.path.stem for s in sources))
    more = f" and {len(names) - 4} more" if len(names) > 4 else ""
    return ", ".join(names[:4]) + more or "no designs"


def best_of(sources: Sequence[Source], count: int) -> list[set[str]]:
    """The designs of each source that are among the best `count` of all, by their ranks."""
    places = [
        (rank if isinstance(rank := row.get("rank"), int) else len(source.rows), number, at)
        for number, source in enumerate(sources)
        for at, row in enumerate(source.rows)
    ]
    best: list[set[str]] = [set() for _ in sources]
    for _, number, at in sorted(places)[:count]:
        best[number].add(str(sources[number].rows[at]["design"]))
    return best
