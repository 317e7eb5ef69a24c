"""What a pipeline exits with, by the codes of its tools."""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from processes import write_task

from pxtools.exit_codes import BUG, CLOSED_PIPE, FAILED_SAMPLES, HELD_BY_OTHERS, gravest
from pxtools.fronts.front import Front
from pxtools.fronts.pipeline import Pipeline


class Codes(Front):
    """Starts nothing: each tool ends with a code, 0 unless one is given."""

    def __init__(self, **codes: int):
        self.codes, self.stopped, self.asked = codes, None, list[str]()

    def run(self, tool: str, words: list[str], **streams: Any) -> int:
        self.asked.append(tool)
        return self.codes.get(tool, 0)

    def pipe(self, tool: str, words: list[str], reader: str, reader_words: list[str]) -> int:
        return self.run(tool, words)


def pipeline(folder: Path, seeds: Sequence[int] = ()) -> Pipeline:
    task, out = str(write_task(folder)), str(folder / "out")
    sampled = (0, list(seeds))
    return Pipeline([], task, out, "1", until=None, n_max=1, sampled=lambda: sampled)


@pytest.mark.parametrize(
    ("codes", "code", "shows"),
    [
        ({}, 0, True),
        ({"sample": 2}, 2, False),
        ({"sample": BUG}, BUG, False),
        ({"sample": 3, "status": 1}, 3, True),
        ({"sample": HELD_BY_OTHERS, "status": 1}, HELD_BY_OTHERS, True),
        ({"sample": HELD_BY_OTHERS}, 0, True),  # complete by now
        ({"sequence": 2}, 2, True),
        ({"sample": FAILED_SAMPLES, "sequence": 2}, 2, True),
        ({"sample": HELD_BY_OTHERS, "status": 1, "report": BUG}, BUG, True),
        ({"score": 2}, 2, False),
    ],
)
def test_the_first_failure_is_the_pipelines(
    codes: dict[str, int], code: int, shows: bool, tmp_path: Path
) -> None:
    front = Codes(**codes)
    wanted = pipeline(tmp_path)
    assert wanted.run(front) == code
    assert ("report" in front.asked) == shows


def test_only_the_runs_asked_for_are_scored_and_by_their_task(tmp_path: Path) -> None:
    for name, seed in (("bpti", 1), ("bpti", 2), ("other", 1), ("bpti", 3)):
        (tmp_path / f"out/global_run_0/{name}/seed_{seed}").mkdir(parents=True)
    for path in tmp_path.glob("out/*/*/seed_[12]"):
        (path / "run.json").touch()
    of_bpti, given = tmp_path / "out/global_run_0/bpti", f"--input_json_path={write_task(tmp_path)}"
    assert pipeline(tmp_path)._to_score() == [f"{of_bpti}/seed_1", f"{of_bpti}/seed_2", given]
    assert pipeline(tmp_path, [2, 3])._to_score() == [f"{of_bpti}/seed_2", given]


@pytest.mark.parametrize(
    ("codes", "code"),
    [
        ([], 0),
        ([0, 0], 0),
        ([HELD_BY_OTHERS, 2], 2),
        ([FAILED_SAMPLES, 2, BUG], 2),
        ([CLOSED_PIPE, FAILED_SAMPLES], FAILED_SAMPLES),
        ([HELD_BY_OTHERS, -9], 137),
        ([0, CLOSED_PIPE], CLOSED_PIPE),
        ([0, FAILED_SAMPLES, HELD_BY_OTHERS], FAILED_SAMPLES),
    ],
)
def test_of_several_codes_that_which_tells_most(codes: list[int], code: int) -> None:
    assert gravest(codes) == code


def test_a_bug_has_a_code_and_a_traceback_of_its_own() -> None:
    text = "import argh; from pxtools.commands import cli\n@argh.arg('-q')\n"
    text += "def px_x(*, q=0): raise KeyError('y')\ncli.run(px_x)"
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True)
    assert done.returncode == BUG and done.stderr.endswith("KeyError: 'y'\n")
