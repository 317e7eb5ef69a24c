"""px-report: one page that shows the designs of runs."""

from __future__ import annotations

import shlex
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from argh import arg

from pxtools.commands import cli
from pxtools.console import say
from pxtools.errors import InputError

if TYPE_CHECKING:
    from pxtools.report.contents import Run
    from pxtools.report.gathering import Source


@arg("paths", nargs="+", help="results folders, run folders, or CSV tables of px-score")
@arg("-o", "--output", help="the page (default: report.html in the folder given); -: stdout")
@arg("-i", "--input-json-path", help="the task file: shows what the crop cut away")
@arg("--in-3d", type=int, help="how many of the best designs have their structure on the page")
@arg("--watch", help="write the page again until all runs are complete; it reloads itself")
@arg("--every", type=int, help="with --watch: seconds between two pages")
@arg("-q", "--quiet", help="no progress lines; warnings are still shown")
def px_report(
    *paths: str,
    output: str | None = None,
    input_json_path: str | None = None,
    in_3d: int = 1000,
    watch: bool = False,
    every: int = 30,
    quiet: bool = False,
) -> None:
    """Write a page with table, plots and structures of designs; it opens without a network.

    Designs that have no scores yet are scored first (px-score). The page's path goes to stdout.
    """
    from pxtools.report.gathering import ReportRequest, gather
    from pxtools.report.page import render
    from pxtools.runs.files import write_atomically
    from pxtools.runs.tables import columns_of
    from pxtools.scoring.checks import standard_checks
    from pxtools.scoring.columns import Scores
    from pxtools.task.reading import read_tasks

    if in_3d < 0:
        raise InputError.of("--in-3d", "number", "0 or more", in_3d)
    if every < 1:
        raise InputError.of("--every", "number", "1 or more", every)
    if watch and output == "-":
        raise InputError.of("--watch", "-o", "a file", "-")
    given = [Path(path) for path in paths]
    page = _page(given, output)
    tasks = read_tasks(input_json_path) if input_json_path else []
    while True:
        request = ReportRequest(
            sources=_sources(given, quiet),
            columns=columns_of(Scores),
            checks=standard_checks(),
            page=page,
            command=shlex.join(["px-report", *sys.argv[1:]]),
            tasks=tasks,
            in_3d=in_3d,
        )
        report = gather(request)
        goes_on = watch and any(map(_is_incomplete, report.runs))
        report = replace(report, reload_seconds=every if goes_on else None)
        if output == "-":
            sys.stdout.buffer.write(render(report))
            return
        write_atomically(page, render(report))
        if not goes_on:
            break
        if not quiet:
            say(f"  {page}: {len(report.designs)} designs; again in {every} s")
        time.sleep(every)
    if not quiet:
        say(f"✓ Wrote a page of {len(report.designs)} designs; open it in a browser:")
    print(page)


def _page(given: Sequence[Path], output: str | None) -> Path:
    if output and output != "-":
        return Path(output)
    folder = given[0] if len(given) == 1 and given[0].is_dir() else Path()
    return folder / "report.html"


def _is_incomplete(run: Run) -> bool:
    return run.asked is not None and run.done < run.asked


def _sources(given: Sequence[Path], quiet: bool) -> list[Source]:
    """The runs below the folders, their designs scored, and the tables."""
    from pxtools.report.gathering import Source
    from pxtools.report.sheets import read_sheet
    from pxtools.runs.folder import RunDir, find_runs
    from pxtools.runs.tables import columns_of
    from pxtools.scoring.columns import Scores
    from pxtools.scoring.summary import update

    sources: dict[Path, Source] = {}
    for path in given:
        if path.is_file() and not (path.parent / "run.json").is_file():
            sources[path] = Source(path, read_sheet(path, columns_of(Scores)))
            continue
        folder = path.parent if path.is_file() else path
        runs: list[RunDir] = find_runs(folder)
        if not runs:
            raise InputError.of(folder, "folder", "at least one run of px-sample", "none yet")
        for run in runs:
            rows = [vars(row) for row in update(run, None, quiet)]
            sources[run.path] = Source(run.path, rows, run)
    return list(sources.values())


def main() -> None:
    cli.run(px_report)


if __name__ == "__main__":
    main()
