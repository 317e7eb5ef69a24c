"""px-status: how far the runs of results folders are."""

from __future__ import annotations

import json
import shutil
import sys
import time
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

from argh import arg

from pxtools.commands import cli
from pxtools.console import duration, in_columns, is_live
from pxtools.exit_codes import INCOMPLETE

if TYPE_CHECKING:
    from pxtools.runs.progress import RunProgress, ShardProgress, UnreadableRun

COLUMNS = (
    "TASK",
    "SEED",
    "SAMPLES",
    "CHUNKS",
    "CIFS",
    "SEQUENCES",
    "MODEL",
    "STATE",
    "RATE",
    "TIME LEFT",
)
LOG_WIDTH = 80  # where there is no terminal
MAY_BE_EMPTY = ("SEQUENCES", "TIME LEFT", "RATE")
MAY_BE_SHORT = ("MODEL", "TASK", "FOLDER")
SHORTEST = 7
as_json = json.dumps


@arg("folders", nargs="+", help="results folders, or one task's or run's folder in them")
@arg("--json", help="one JSON list on stdout")
@arg("-w", "--watch", help="show it again every 2 seconds until all runs are complete")
def px_status(*folders: str, json: bool = False, watch: bool = False) -> None:
    """Show how far each run (task and seed) is. Exit code 1 if any is incomplete."""
    from pxtools.runs.progress import status

    while True:
        runs = status(*map(Path, folders))
        complete = bool(runs) and all(run.complete for run in runs)
        if watch and is_live(sys.stdout):
            print("\033[H\033[2J", end="")
        print(as_json([run.to_dict() for run in runs], indent=2) if json else table(runs, folders))
        sys.stdout.flush()
        if not watch or complete:
            break
        time.sleep(2)
    sys.exit(0 if complete else INCOMPLETE)


def table(runs: Sequence[RunProgress | UnreadableRun], folders: Sequence[str] = ()) -> str:
    """A line a run, with its folder where several are shown, then what is at work in each."""
    if not runs:
        return "no runs yet"
    rows: list[tuple[str, ...]] = [COLUMNS, *map(_cells, runs)]
    if len(folders) > 1:
        places = ["FOLDER", *(_folder_of(run, folders) for run in runs)]
        rows = [(place, *row) for place, row in zip(places, rows, strict=True)]
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else LOG_WIDTH
    details = [line for run in runs for line in _details(run)]
    return "\n".join([*in_columns(fitted(rows, width)), *details])


def fitted(rows: Sequence[tuple[str, ...]], width: int) -> Sequence[tuple[str, ...]]:
    """The rows in a width: without columns that say nothing, then with shorter names."""
    columns = list(zip(*rows, strict=True))

    def too_wide() -> int:
        return sum(max(map(len, column)) + 2 for column in columns) - 2 - width

    for name in MAY_BE_EMPTY:
        if too_wide() > 0:
            columns = [c for c in columns if c[0] != name or set(c[1:]) != {"-"}]
    for name in MAY_BE_SHORT:
        for i, column in enumerate(columns):
            if column[0] == name and (over := too_wide()) > 0:
                length = max(SHORTEST, max(map(len, column)) - over)
                columns[i] = tuple(_shortened(cell, length) for cell in column)
    return list(zip(*columns, strict=True))


def _shortened(text: str, length: int) -> str:
    half = (length - 1) // 2
    return text if len(text) <= length else f"{text[: length - 1 - half]}…{text[-half:]}"


def _details(run: RunProgress | UnreadableRun) -> Iterator[str]:
    from pxtools.runs.progress import UnreadableRun

    name = f"{run.run.name} {run.seed}"
    if isinstance(run, UnreadableRun):
        yield f"  {name}: {run.error}"
        return
    for chunk in run.begun:
        samples = f"samples {chunk.samples[0] + 1}-{chunk.samples[-1] + 1}"
        yield f"  {name}: {samples} at step {chunk.head.step if chunk.head else '?'}/{run.n_step}"
    if run.shards:
        yield f"  {_shards(run)}"


def _folder_of(run: RunProgress | UnreadableRun, folders: Sequence[str]) -> str:
    """The one of the folders, as it was typed, that the run lies in."""
    return next(f for f in folders if run.run.path.is_relative_to(Path(f).absolute()))


def _shards(run: RunProgress) -> str:
    """4 shards of bpti 7: complete 0-1; dead 2 (on n3, silent for 2h10m); waiting 3"""
    order = ("complete", "running", "suspended", "stopped", "dead", "waiting")
    by_state = sorted(run.shards, key=lambda shard: order.index(shard.state))
    groups = groupby(by_state, key=lambda shard: shard.state)
    words = [f"{state} {', '.join(_named(state, list(group)))}" for state, group in groups]
    return f"{len(run.shards)} shards of {run.run.name} {run.seed}: {'; '.join(words)}"


def _named(state: str, shards: Sequence[ShardProgress]) -> Iterator[str]:
    from pxtools.runs.folder import consecutive

    if state in ("complete", "waiting"):
        for stretch in consecutive([shard.shard.index for shard in shards]):
            yield str(stretch[0]) if len(stretch) == 1 else f"{stretch[0]}-{stretch[-1]}"
        return
    for shard in shards:
        assert shard.worker
        done = f"{shard.shard.index} ({shard.done}/{shard.total} samples, on {shard.worker.host}"
        silent = f", silent for {duration(shard.worker.silent_seconds)}" * (state == "dead")
        yield f"{done}{silent})"


def _cells(run: RunProgress | UnreadableRun) -> tuple[str, ...]:
    from pxtools.runs.progress import UnreadableRun

    if isinstance(run, UnreadableRun):
        return (run.run.name, str(run.seed), *"-----", "unreadable", "-", "-")
    state = "suspended" if run.suspended else "running" if run.working else "incomplete"
    return (
        run.run.name,
        str(run.seed),
        f"{run.done}/{run.total}",
        str(run.chunks),
        f"{run.cifs}/{run.total}",
        str(run.sequences or "-"),
        run.model,
        "complete" if run.complete else state,
        f"{run.samples_per_hour}/h" if run.samples_per_hour else "-",
        "-" if run.seconds_left is None else duration(run.seconds_left),
    )


def main() -> None:
    cli.run(px_status)


if __name__ == "__main__":
    main()
