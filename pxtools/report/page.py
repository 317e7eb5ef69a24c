"""The page: a report's contents, its styles and its programs in one HTML file."""

import html
import json
import math
from pathlib import Path
from typing import Any

import numpy as np

from pxtools.report.contents import Design, Lettered, Report, Run, Target
from pxtools.report.packing import pack

VENDOR, PAGE = (Path(__file__).parent / name for name in ("vendor", "page"))
VENDORED = ("3Dmol-min.js", "uPlot.iife.min.js")
LICENCES = ("3Dmol.LICENSE", "uPlot.LICENSE")
PROGRAMS = ("data", "filter", "state", "table", "scene", "plots", "picks", "start")


def render(report: Report) -> bytes:
    """The HTML file. Nothing in it is fetched from anywhere when it is opened."""
    programs = "\n".join((PAGE / f"{name}.js").read_text("utf-8") for name in PROGRAMS)
    parts = {
        "title": html.escape(report.title),
        "licences": "\n".join((VENDOR / name).read_text("utf-8") for name in LICENCES),
        "styles": (VENDOR / "uPlot.min.css").read_text("utf-8")
        + (PAGE / "page.css").read_text("utf-8"),
        "data": _in_script(_contents(report)),
        "coordinates": _in_script(_coordinates(report)),
        "vendored": "\n".join(
            f"<script>{(VENDOR / name).read_text('utf-8')}</script>" for name in VENDORED
        ),
        "programs": programs,
    }
    text = (PAGE / "page.html").read_text("utf-8")
    before, *rest = text.split("{{")
    for piece in rest:
        name, _, after = piece.partition("}}")
        before += parts[name] + after
    return before.encode("utf-8", "replace")


def _in_script(value: Any) -> str:
    """JSON that is safe inside a script element: no `<`, so no tag or comment begins in it."""
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def _contents(report: Report) -> dict[str, Any]:
    return {
        "title": report.title,
        "written": report.written,
        "command": report.command,
        "reload": report.reload_seconds,
        "notes": report.notes,
        "libraries": _libraries(),
        "columns": [vars(column) for column in report.columns],
        "checks": [{"name": n, **vars(check)} for n, check in report.checks.items()],
        "runs": [_run(run) for run in report.runs],
        "targets": [_target(target) for target in report.targets],
        "designs": _designs(report),
        "poses": _poses(report.designs),
    }


def _libraries() -> list[str]:
    held = (VENDOR / "vendored.json").read_text("utf-8")
    return [f"{x['package']} {x['version']} ({x['licence']})" for x in json.loads(held)]


def _run(run: Run) -> dict[str, Any]:
    return {**vars(run), "facts": [list(fact) for fact in run.facts]}


def _target(target: Target) -> dict[str, Any]:
    kinds = list(dict.fromkeys((r.name, " ".join(r.atoms)) for r in target.residues))
    chains = list(dict.fromkeys(r.chain for r in target.residues))
    at = {kind: i for i, kind in enumerate(kinds)}
    return {
        "name": target.name,
        "kinds": kinds,
        "chains": chains,
        "kind": [at[r.name, " ".join(r.atoms)] for r in target.residues],
        "chain": [chains.index(r.chain) for r in target.residues],
        "number": [r.number for r in target.residues],
        "label": [r.label_seq for r in target.residues],
        "kept": "".join("01"[r.is_kept] for r in target.residues),
        "hot": "".join("01"[r.is_hotspot] for r in target.residues),
        "fold": "".join(r.fold for r in target.residues),
    }


def _designs(report: Report) -> dict[str, Any]:
    designs = report.designs
    poses = iter(range(len(designs)))
    return {
        "name": [d.name for d in designs],
        "run": [d.run for d in designs],
        "file": [d.file for d in designs],
        "pose": [next(poses) if d.pose else -1 for d in designs],
        "values": {
            column.name: [_known(design.values[i]) for design in designs]
            for i, column in enumerate(report.columns)
        },
        "sequences": [[_sequence(s) for s in d.sequences] for d in designs],
    }


def _sequence(lettered: Lettered) -> list[Any]:
    s = lettered.sequence
    numbers = [_known(value) for value in (s.score, s.global_score, s.temperature)]
    tenths = "".join(str(min(9, int(10 * p))) for p in lettered.probabilities)
    return [s.number, s.sequence, *numbers, s.weights, s.seed, tenths]


def _known(value: Any) -> Any:
    """JSON has no NaN; in a table it is an empty cell."""
    if isinstance(value, float):
        return round(value, 4) if math.isfinite(value) else None
    return value


def _poses(designs: tuple[Design, ...]) -> dict[str, Any]:
    poses = [d.pose for d in designs if d.pose]
    return {
        "target": [p.target for p in poses],
        "length": [len(p.xyz) for p in poses],
        "fold": [p.fold for p in poses],
        "contacts": [list(p.contacts) for p in poses],
        "breaks": [list(p.breaks) for p in poses],
        "letters": [p.letters for p in poses],
    }


def _coordinates(report: Report) -> dict[str, Any]:
    poses = [d.pose.xyz.reshape(-1, 3) for d in report.designs if d.pose]
    return {
        "poses": pack(np.concatenate(poses) if poses else np.zeros((0, 3))),
        "targets": [pack(target.xyz) for target in report.targets],
    }
