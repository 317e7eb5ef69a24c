"""What a user names is scored: results folders, chunks, CIFs of runs, structures from elsewhere."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from pxtools.errors import InputError
from pxtools.runs.folder import RunDir, runs_to_work_on, told_apart
from pxtools.scoring.columns import Scores
from pxtools.scoring.ranking import ranked
from pxtools.scoring.summary import How, Scoring, score_files


@dataclass(frozen=True)
class Scored:
    """Rows, best first: of a run, or of all structures that lie in none."""

    rows: list[Scores]
    run: RunDir | None = None
    title: str = ""  # the run's name, told apart from the others'


def score_paths(paths: Iterable[Path], how: How, quiet: bool) -> Iterator[Scored]:
    """Designs are scored as their paths come; runs are ranked when all have come.

    Raises InputError for a path that is nothing to be scored.
    """
    runs: dict[RunDir, Scoring] = {}
    files: list[Path] = []
    for path in paths:
        for run, samples in _runs_of(path, files):
            if run not in runs:
                runs[run] = Scoring(run, quiet, how)
            runs[run].add(samples)
    for (run, scoring), title in zip(runs.items(), told_apart(list(runs)), strict=True):
        yield Scored(scoring.finish(), run, title)
    ours = [path for number, path in enumerate(files) if how.part.owns(number)]
    yield Scored(ranked(score_files(ours, how), {}))


def _runs_of(path: Path, files: list[Path]) -> list[tuple[RunDir, set[int] | None]]:
    """The runs that a path names, with the samples (None: all); loose files go to `files`."""
    if path.is_dir():
        return [(run, None) for run in runs_to_work_on(path)]
    if not path.is_file():
        raise InputError.of(path, "path", "a results folder, a chunk or a structure", "nothing")
    run = RunDir.around(path)
    if run and (samples := _samples_in(run, path)):
        return [(run, samples)]
    files.append(path)
    return []


def _samples_in(run: RunDir, path: Path) -> set[int]:
    """By the names of a run's designs and chunks; none in its other files."""
    folder = path.absolute().parent
    if folder == run.predictions:
        sample = run.sample_of(path)
        return set() if sample is None else {sample}
    return set(run.samples_of_chunk(path)) if folder == run.chunks else set()
