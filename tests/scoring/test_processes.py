"""Scoring in several processes gives what one process gives."""

import pickle
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import DATA
from processes import run

from pxtools.errors import InputError
from pxtools.runs.folder import find_runs
from pxtools.scoring import processes
from pxtools.scoring.processes import Batch, Processes, score_samples
from pxtools.scoring.summary import How, update


@pytest.fixture
def results(tmp_path: Path) -> Path:
    shutil.copytree(DATA / "old_runs" / "finished", tmp_path / "out")
    return tmp_path / "out"


def test_two_processes_give_the_rows_of_one(results: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (found,) = find_runs(results)
    alone = update(found, quiet=True)
    (found.path / "summary.csv").unlink()
    monkeypatch.setattr(processes, "WORTH_STARTING", 1)
    monkeypatch.setattr(processes, "BATCH", 1)
    assert update(found, quiet=True, how=How(processes=2)) == alone
    again = list(score_samples(Batch(found, "x", [0, 1, 2], {}), 2))
    assert [done.row.design for done in again] == [f"bpti_sample_{i}" for i in range(3)]


def test_what_one_of_them_refuses_is_refused(
    results: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (found,) = find_runs(results)
    monkeypatch.setattr(processes, "WORTH_STARTING", 1)
    monkeypatch.setattr(processes, "texts_of", lambda *words: iter([(0, b"data_x")]))
    with pytest.raises(InputError):
        list(score_samples(Batch(found, "x", [0, 1, 2], {}), 1))


@pytest.mark.parametrize("name", ["INT", "TERM", "HUP"])
def test_they_answer_whatever_signals_come(results: Path, name: str) -> None:
    (found,) = find_runs(results)
    question = Batch(found, "x", [0], {})
    with Processes(1) as workers:
        (started,) = workers.started
        started.send_signal(getattr(signal, f"SIG{name}"))  # while its Python begins
        (scored,) = workers.answers([question])
        started.send_signal(getattr(signal, f"SIG{name}"))
        (again,) = workers.answers([question])
    assert again.row == scored.row


def test_one_that_is_killed_is_told_in_a_line(results: Path) -> None:
    (found,) = find_runs(results)
    with Processes(1) as workers:
        workers.started[0].kill()
        with pytest.raises(InputError, match="one of its processes was killed"):
            list(workers.answers([Batch(found, "x", [0], {})]))


def test_they_end_without_a_word_when_nobody_asks_any_more() -> None:
    alone = subprocess.Popen(
        [sys.executable, "-c", f"from {processes.__name__} import main; main()"],
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    said = alone.communicate(pickle.dumps("a question")[:-3])[1]
    assert (alone.returncode, said) == (0, b"")


def test_workers_are_one_or_more(results: Path) -> None:
    assert "1 or more" in run("px-score", results, "--workers", 0).stderr
