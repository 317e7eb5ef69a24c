"""px-report: one page that shows the designs of runs."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from argh import arg

from pxtools.commands import cli
from pxtools.console import say
from pxtools.errors import InputError


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
    from pxtools.report.gathering import ReportRequest, reports
    from pxtools.report.page import render
    from pxtools.runs.files import write_atomically
    from pxtools.task.reading import read_tasks

    if in_3d < 0:
        raise InputError.of_option("--in-3d", "0 or more", in_3d)
    if every < 1:
        raise InputError.of_option("--every", "1 or more", every)
    if watch and output == "-":
        raise InputError.of("--watch", "-o", "a file", "-")
    page = _page([Path(path) for path in paths], output)
    request = ReportRequest(
        paths=[Path(path) for path in paths],
        page=page,
        command=shlex.join(["px-report", *sys.argv[1:]]),
        tasks=read_tasks(input_json_path) if input_json_path else [],
        in_3d=in_3d,
        quiet=quiet,
    )
    for report in reports(request, every if watch else None):
        if output == "-":
            sys.stdout.buffer.write(render(report))
            return
        write_atomically(page, render(report))
        if report.reload_seconds and not quiet:
            say(f"  {page}: {len(report.designs)} designs; again in {every} s")
    if not quiet:
        say(f"✓ Wrote a page of {len(report.designs)} designs; open it in a browser:")
    print(page)


def _page(given: Sequence[Path], output: str | None) -> Path:
    if output and output != "-":
        if Path(output).is_dir():
            place = Path(output) / "report.html"
            raise InputError.of_option("--output", f"a file such as {place}", "a folder")
        page = Path(output).resolve() if Path(output).is_symlink() else Path(output)
        if output.endswith("/"):
            raise InputError.of_option("--output", "a file such as page.html", output)
        if page.is_file() and not _is_page(page):
            raise InputError.of(page, "-o", "a new file or a page to write again", "another file")
        return page
    folder = given[0] if len(given) == 1 and given[0].is_dir() else Path()
    return folder / "report.html"


def _is_page(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(9).lower() in (b"<!doctype", b"")


def main() -> None:
    cli.run(px_report, "pxtools.report.gathering")


if __name__ == "__main__":
    main()
