"""px-status: how far the runs of a results folder are."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

from argh import arg

from pxtools.commands import cli
from pxtools.console import in_columns
from pxtools.errors import DamagedError, InputError
from pxtools.runs.folder import RunDir, find_runs
from pxtools.runs.lock import Lock
from pxtools.runs.record import read_run

STATE_HEAD_BYTES = 4096
COLUMNS = ("TASK", "SEED", "SAMPLES", "CHUNKS", "CIFS", "MODEL", "STATE", "RATE", "TIME LEFT")


@arg("folder", help="the results folder, or one task's or run's folder in it")
@arg("--json", help="one JSON list on stdout")
@arg("-w", "--watch", help="show it again every 2 seconds until all runs are complete")
def px_status(folder: str, *, json: bool = False, watch: bool = False) -> None:
    """Show how far each run (task and seed) is. Exit code 1 if any is incomplete."""
    while True:
        rows = [status_of(run) for run in find_runs(Path(folder))]
        complete = all(row["complete"] for row in rows)
        if watch and sys.stdout.isatty():
            print("\033[H\033[2J", end="")
        print(as_json(rows) if json else table(rows), flush=True)
        if not watch or complete:
            break
        time.sleep(2)
    sys.exit(0 if complete and rows else 1)


def status_of(run: RunDir) -> dict[str, Any]:
    """One run's row, from names and the heads of its state files: nothing large is read."""
    row: dict[str, Any] = {"task": run.name, "seed": run.path.name.removeprefix("seed_")}
    row |= {"path": str(run.path), "complete": False}
    try:
        record = read_run(run)
    except (InputError, DamagedError) as error:
        return row | {"error": str(error)}
    total, n_step = record["N_sample"], record["schedule"]["N_step"]
    cifs = run.cif_samples().intersection(range(total))
    chunks = run.files("msgpack")
    in_chunks = {sample for samples, _ in chunks for sample in samples}
    done = len(cifs | in_chunks.intersection(range(total)))
    row |= {
        "seed": record["seed"],
        "samples_done": done,
        "samples_total": total,
        "chunks": len(chunks),
        "cifs": len(cifs),
        "model": record["model"]["name"],
        "complete": run.success.is_file() and len(cifs) == total,
        "n_step": n_step,
        "in_progress": _in_progress(run),
        "samples_per_hour": None,
        "seconds_left": None,
    }
    row["working"] = any(piece["working"] for piece in row["in_progress"])
    if pace := _seconds_per_sample_step(row["in_progress"]):
        row["samples_per_hour"] = round(3600 / (pace * n_step), 2)
        row["seconds_left"] = round(pace * _sample_steps_left(row), 1)
    return row


def _in_progress(run: RunDir) -> list[dict[str, Any]]:
    """Chunks begun and not finished, with the last step that is saved."""
    pieces = []
    for samples, path in run.files("state"):
        head = _state_head(path)
        pieces.append(
            {
                "samples": [samples[0], samples[-1]],
                "step": head.get("step"),
                "seconds_per_step": head.get("seconds_per_step"),
                "working": _is_claimed(run, samples),
            }
        )
    return pieces


def _state_head(path: Path) -> dict[str, Any]:
    """The first fields of a state file, without its coordinates."""
    import msgpack

    head: dict[str, Any] = {}
    try:
        with path.open("rb") as file:
            unpacker = msgpack.Unpacker()
            unpacker.feed(file.read(STATE_HEAD_BYTES))
        for _ in range(min(unpacker.read_map_header(), 4)):
            key = unpacker.unpack()
            head[key] = unpacker.unpack()
    except (OSError, ValueError, msgpack.UnpackException, TypeError):
        return {}
    numbers = {k: v for k, v in head.items() if isinstance(v, int | float)}
    return {k: v for k, v in numbers.items() if k in ("step", "seconds_per_step")}


def _is_claimed(run: RunDir, samples: list[int]) -> bool:
    try:
        return Lock(run).is_claimed(samples)
    except OSError:
        return False  # a folder that cannot be written: nobody to ask


def _seconds_per_sample_step(pieces: list[dict[str, Any]]) -> float | None:
    """The pace of all chunks at work together; None where nothing tells it."""
    paces = [
        _count(piece) / piece["seconds_per_step"]
        for piece in pieces
        if piece["working"] and piece["seconds_per_step"]
    ]
    return 1 / sum(paces) if paces else None


def _sample_steps_left(row: dict[str, Any]) -> int:
    begun = sum((piece["step"] or 0) * _count(piece) for piece in row["in_progress"])
    return int((row["samples_total"] - row["samples_done"]) * row["n_step"] - begun)


def _count(piece: dict[str, Any]) -> int:
    return int(piece["samples"][1] - piece["samples"][0] + 1)


def as_json(rows: list[dict[str, Any]]) -> str:
    return json.dumps(rows, indent=2)


def table(rows: list[dict[str, Any]]) -> str:
    if not rows:
        return "no runs yet"
    return "\n".join(in_columns([COLUMNS, *map(_cells, rows)]))


def _cells(row: dict[str, Any]) -> tuple[str, ...]:
    if "error" in row:
        return (row["task"], str(row["seed"]), "?", "?", "?", "?", row["error"], "", "")
    steps = ", ".join(
        f"samples {p['samples'][0] + 1}-{p['samples'][1] + 1} at step {p['step']}/{row['n_step']}"
        for p in row["in_progress"]
    )
    word = "complete" if row["complete"] else "running" if row["working"] else "incomplete"
    return (
        row["task"],
        str(row["seed"]),
        f"{row['samples_done']}/{row['samples_total']}",
        str(row["chunks"]),
        f"{row['cifs']}/{row['samples_total']}",
        row["model"],
        f"{word} ({steps})" if steps else word,
        f"{row['samples_per_hour']}/h" if row["samples_per_hour"] else "-",
        _duration(row["seconds_left"]),
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
