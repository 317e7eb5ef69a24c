"""Run the real tools as processes, on small models and short schedules."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import forked
from conftest import DATA, fixture_task

TINY = str(DATA / "tiny")


def command(tool: str, *words: object) -> list[str]:
    module = tool.removeprefix("px-").replace("-", "_")
    return [sys.executable, "-m", f"pxtools.commands.{module}", *map(str, words)]


def environment(**more: str) -> dict[str, str]:
    own = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}  # start fast
    return {**own, "PXTOOLS_WEIGHTS": "/nonexistent", "PYTHONUNBUFFERED": "1", **more}


def run(
    tool: str, *words: object, stdin: str = "", cwd: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """A tool, run to its end."""
    argv, env = command(tool, *words), environment()
    if forked.POSSIBLE:
        said = forked.run(argv[2], argv[3:], stdin, env, cwd or Path.cwd())
        return subprocess.CompletedProcess(argv, *said)
    return subprocess.run(
        argv, input=stdin, capture_output=True, text=True, timeout=300, env=env, cwd=cwd
    )


def sample_and_write(*words: object) -> str:
    """px-sample | px-write-cif, to their ends; what they said."""
    sampled = run("px-sample", *words)
    assert sampled.returncode == 0, sampled.stderr
    written = run("px-write-cif", stdin=sampled.stdout)
    assert written.returncode == 0, written.stderr
    return sampled.stderr + written.stderr


def write_task(folder: Path, name: str = "bpti", **changes: Any) -> Path:
    """A fixture's task; that of BPTI has a fifth of its tokens, for short runs."""
    task = fixture_task(name) | {"name": name}
    if name == "bpti":
        task["condition"]["filter"]["crop"] = {"A": "14-20"}
        task["generation"][0]["length"] = 10
    task |= changes
    path = folder / f"{name}.json"
    path.write_text(json.dumps([task]))
    return path


def small_run(
    folder: Path, *, n: int = 5, chunk: int = 2, steps: int = 6, name: str = "bpti"
) -> tuple[list[Any], Path]:
    """Options of a run that takes seconds, on one core as others run beside it; its directory."""
    task = folder / f"{name}.json"
    if not task.exists():
        write_task(folder, name)
    words = ["-i", task, "-o", folder / "out", "-m", TINY, "--seeds", "7"]
    words += ["--N_sample", n, "--sample_diffusion_chunk_size", chunk, "--N_step", steps]
    words += ["--workers", 1]
    return words, folder / "out" / "global_run_0" / name / "seed_7"
