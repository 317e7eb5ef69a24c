"""px-score: judge designs by their geometry and their interface."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from argh import arg

from pxtools.commands import cli
from pxtools.console import say, warn
from pxtools.errors import InputError

if TYPE_CHECKING:
    from pxtools.runs.folder import RunDir
    from pxtools.scoring.columns import Scores


@arg("paths", nargs="*", help="results folders, chunk or structure files; none: paths from stdin")
@arg("--shard", help="K/N: only every Nth design from number K on, counted from 0")
@arg("--samples", help="A-B: only these designs of each run, counted from 0")
@arg("--json", help="all rows as one JSON list on stdout")
@arg("-t", "--top", type=int, help="how many of the best designs to list")
@arg(
    "-i", "--input-json-path", help="the task file; also finds clashes with what its crops cut away"
)
@arg(
    "--binder", help="the binder's chain in structures outside runs; default: guessed, and reported"
)
@arg("--predictions", help="a folder with the output of Boltz, Protenix, AF3, ColabFold or Chai")
@arg("--folds", help="also group designs of like fold by TM-score; a minute or two for 10,000")
@arg("--checks", help="your own limits, in the format of presets/checks.yaml")
@arg("--workers", type=int, help="number of processes; default: one per core")
@arg("-q", "--quiet", help="no progress lines; warnings are still shown")
def px_score(
    *paths: str,
    shard: str | None = None,
    samples: str | None = None,
    input_json_path: str | None = None,
    binder: str | None = None,
    predictions: str | None = None,
    folds: bool = False,
    checks: str | None = None,
    json: bool = False,
    top: int = 5,
    workers: int | None = None,
    quiet: bool = False,
) -> None:
    """Score designs: geometry, fold, interface, target. docs/scores.md explains the columns.

    A run's rows go to summary.csv beside predictions/, designs that have one are skipped; a
    summary of the run goes to stdout. Structures that belong to no run are printed as CSV; their
    binder is the only chain without side chains, else the last one, if --binder names no other.
    Shards keep a table each; without --shard px-score gathers them.
    """
    from pxtools.machine import cores
    from pxtools.runs.folder import told_apart
    from pxtools.runs.shards import parse_part
    from pxtools.runs.tables import as_csv
    from pxtools.scoring.checks import (
        read_checks,
        read_filters,
        standard_checks,
        standard_filters,
    )
    from pxtools.scoring.columns import Scores
    from pxtools.scoring.predictions import named
    from pxtools.scoring.ranking import ranked
    from pxtools.scoring.summary import How, Scoring, best_sequences, in_words, score_files, summary
    from pxtools.task.reading import read_tasks

    if top < 0:
        raise InputError.of_option("--top", "0 or more", top)
    if workers is not None and workers < 1:
        raise InputError.of_option("--workers", "1 or more", workers)
    otherwise = "give results folders, chunk or structure files, or pipe their paths in"
    part = parse_part(shard, samples)
    given = map(Path, paths) if paths else cli.paths_from_stdin(otherwise)
    how = How(
        checks=read_checks(Path(checks)) if checks else standard_checks(),
        filters=read_filters(Path(checks)) if checks else standard_filters(),
        tasks=tuple(read_tasks(input_json_path)) if input_json_path else (),
        predictions=named(Path(predictions)) if predictions else (),
        folds=folds,
        processes=workers or cores(),
        part=part,
    )
    if predictions and not how.predictions:
        warn(f"{predictions}: no prediction there is named after a design (NAME_sample_3_seq_0)")
    runs: dict[RunDir, Scoring] = {}
    files: list[Path] = []
    for path in given:  # scored as they come
        for run, of_path in _runs_of(path, files):
            if run not in runs:
                runs[run] = Scoring(run, quiet, how)
            runs[run].add(of_path)
    everything: list[tuple[RunDir | None, Scores]] = []
    for (run, scoring), title in zip(runs.items(), told_apart(list(runs)), strict=True):
        rows = scoring.finish()
        everything += [(run, row) for row in rows]
        if not json:
            print(in_words(title, rows, top, best_sequences(run)), flush=True)
        if rows and not quiet:
            say(f"✓ Scored {run.name}: {summary(run, part).path}")
    ours = [path for number, path in enumerate(files) if part.owns(number)]
    rows = ranked(score_files(ours, how.checks, binder), {})
    if json:
        print(_as_json([*everything, *((None, row) for row in rows)]))
    elif rows:
        print(as_csv(Scores, rows), end="")


def _runs_of(path: Path, files: list[Path]) -> list[tuple[RunDir, set[int] | None]]:
    """The runs that a path names, with the samples (None: all); loose files go to `files`."""
    from pxtools.runs.folder import RunDir, find_runs

    if path.is_dir():
        return [(run, None) for run in find_runs(path)]
    if not path.is_file():
        raise InputError.of(path, "path", "a results folder, a chunk or a structure", "nothing")
    run = RunDir.around(path)
    if run is None:
        files.append(path)
        return []
    return [(run, _samples_in(run, path))]


def _samples_in(run: RunDir, path: Path) -> set[int]:
    in_chunks = {file.name: samples for samples, file in run.files("msgpack")}
    cifs = {run.cif(sample).name: sample for sample in run.cif_samples()}
    if path.name in cifs:
        return {cifs[path.name]}
    return set(in_chunks.get(path.name, []))


def _as_json(rows: list[tuple[RunDir | None, Scores]]) -> str:
    import json
    from dataclasses import asdict

    return json.dumps(
        [asdict(row) | {"folder": str(run.path) if run else None} for run, row in rows], indent=2
    )


def main() -> None:
    cli.run(px_score)


if __name__ == "__main__":
    main()
