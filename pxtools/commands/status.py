"""px-status: how far the runs of a results folder are."""

import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from argh import arg

from pxtools.commands import cli
from pxtools.console import in_columns
from pxtools.runs.progress import RunProgress, UnreadableRun, status

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
as_json = json.dumps


@arg("folder", help="the results folder, or one task's or run's folder in it")
@arg("--json", help="one JSON list on stdout")
@arg("-w", "--watch", help="show it again every 2 seconds until all runs are complete")
def px_status(folder: str, *, json: bool = False, watch: bool = False) -> None:
    """Show how far each run (task and seed) is. Exit code 1 if any is incomplete."""
    while True:
        runs = status(Path(folder))
        complete = all(run.complete for run in runs)
        if watch and sys.stdout.isatty():
            print("\033[H\033[2J", end="")
        print(
            as_json([run.to_dict() for run in runs], indent=2) if json else table(runs), flush=True
        )
        if not watch or complete:
            break
        time.sleep(2)
    sys.exit(0 if complete and runs else 1)


def table(runs: Sequence[RunProgress | UnreadableRun]) -> str:
    if not runs:
        return "no runs yet"
    return "\n".join(in_columns([COLUMNS, *map(_cells, runs)]))


def _cells(run: RunProgress | UnreadableRun) -> tuple[str, ...]:
    if isinstance(run, UnreadableRun):
        return (run.run.name, run.seed, "?", "?", "?", "?", "?", run.error, "", "")
    steps = ", ".join(
        f"samples {chunk.samples[0] + 1}-{chunk.samples[-1] + 1} at step "
        f"{chunk.head.step if chunk.head else '?'}/{run.n_step}"
        for chunk in run.begun
    )
    word = "complete" if run.complete else "running" if run.working else "incomplete"
    return (
        run.run.name,
        str(run.seed),
        f"{run.done}/{run.total}",
        str(run.chunks),
        f"{run.cifs}/{run.total}",
        str(run.sequences or "-"),
        run.model,
        f"{word} ({steps})" if steps else word,
        f"{run.samples_per_hour}/h" if run.samples_per_hour else "-",
        _duration(run.seconds_left),
    )


def _duration(seconds: float | None) -> str:
    if seconds is None:
        return "-"
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h{minutes:02}m" if hours else f"{minutes}m{rest:02}s"


def main() -> None:
    cli.run(px_status)


if __name__ == "__main__":
    main()
