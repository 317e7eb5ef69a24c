"""px-score: judge designs by their geometry and their interface."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from argh import arg

from pxtools.commands import cli
from pxtools.console import say, warn
from pxtools.errors import InputError

if TYPE_CHECKING:
    from pxtools.scoring.paths import Scored


@arg("paths", nargs="*", help="results folders, chunk or structure files; none or -: from stdin")
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
@arg("--checks", help="your own limits, in the format of presets/checks.yaml, from now on")
@arg("-w", "--workers", type=int, help="number of processes; default: one per core")
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
    from pxtools.runs.shards import parse_part
    from pxtools.scoring.checks import read_limits
    from pxtools.scoring.paths import score_paths
    from pxtools.scoring.predictions import named
    from pxtools.scoring.summary import How, summary
    from pxtools.task.reading import read_tasks

    if top < 0:
        raise InputError.of_option("--top", "0 or more", top)
    if workers is not None and workers < 1:
        raise InputError.of_option("--workers", "1 or more", workers)
    part = parse_part(shard, samples)
    otherwise = "give results folders, chunk or structure files, or pipe their paths in"
    given = cli.paths(paths, otherwise)
    how = How(
        limits=read_limits(Path(checks)) if checks else None,
        tasks=tuple(read_tasks(input_json_path)) if input_json_path else (),
        predictions=named(Path(predictions)) if predictions else (),
        folds=folds,
        processes=workers or cores(),
        part=part,
        binder=binder,
    )
    if predictions and not how.predictions:
        warn(f"{predictions}: no prediction there is named after a design (NAME_sample_3_seq_0)")
    everything: list[Scored] = []
    for scored in score_paths(given, how, quiet):
        everything.append(scored)
        if not json:
            _show(scored, top)
        if scored.run and scored.rows and not quiet:
            say(f"✓ Scored {scored.run.name}: {summary(scored.run, part).path}")
    if json:
        print(_as_json(everything))


def _show(scored: Scored, top: int) -> None:
    """A run in words, structures of no run as CSV."""
    from pxtools.runs.tables import as_csv
    from pxtools.scoring.columns import Scores
    from pxtools.scoring.summary import best_sequences, in_words

    if scored.run:
        print(in_words(scored.title, scored.rows, top, best_sequences(scored.run)), flush=True)
    elif scored.rows:
        print(as_csv(Scores, scored.rows), end="")


def _as_json(everything: list[Scored]) -> str:
    import json
    from dataclasses import asdict

    rows = [
        asdict(row) | {"folder": str(scored.run.path) if scored.run else None}
        for scored in everything
        for row in scored.rows
    ]
    return json.dumps(rows, indent=2)


def main() -> None:
    cli.run(px_score, "pxtools.scoring.summary")


if __name__ == "__main__":
    main()
