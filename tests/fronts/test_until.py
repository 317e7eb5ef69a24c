"""Rounds until enough designs pass: how many each asks for, and when they end."""

import json
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from processes import TINY, environment, write_task

from pxtools.commands.recipe import sampled_by
from pxtools.exit_codes import FAILED_SAMPLES, INCOMPLETE
from pxtools.fronts import until
from pxtools.fronts.front import Front
from pxtools.fronts.until import Tally, sample_until


@given(st.integers(1, 10_000), st.integers(0, 10_000), st.integers(1, 10_000))
def test_the_next_round_is_larger_and_not_too_large(designs: int, passed: int, wanted: int) -> None:
    tally = Tally(designs, min(passed, designs), 1)
    if tally.passed < wanted:
        assert designs < tally.next_total(wanted) <= 4 * designs


def test_by_the_rate_so_far_enough_pass_in_the_next_round() -> None:
    assert Tally(100, 50, 1).next_total(100) == 210
    assert Tally(100, 1, 1).next_total(100) == Tally(100, 0, 1).next_total(100) == 400


def rounds(monkeypatch: pytest.MonkeyPatch, share: float, wanted: int, most: int) -> list[int]:
    """What is asked for, round by round, where `share` of 10 and more designs of 2 runs pass."""
    asked: list[int] = []

    def sample(words: list[str]) -> int:
        asked.append(int(words[0].partition("=")[2]) if words else 10)
        return 0

    def tally_of(front: Front, to_score: list[str]) -> Tally:
        return Tally(2 * asked[-1], int(2 * asked[-1] * share), 2)

    monkeypatch.setattr(until, "tally_of", tally_of)
    code = sample_until(Front(), sample, list, wanted, most)
    assert code == (0 if int(2 * asked[-1] * share) >= wanted else INCOMPLETE)
    return asked


def test_it_ends_when_enough_pass(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert rounds(monkeypatch, 0.5, 10, 5000) == [10]
    assert rounds(monkeypatch, 0.5, 30, 5000) == [10, 32]
    said = capsys.readouterr().err
    assert "Round 1: 10 of 20 designs pass every check (50 %); next 44 designs" in said
    assert "✓ 32 of 64 designs pass every check (50 %): 30 were asked for" in said


def test_it_ends_when_no_more_are_allowed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert rounds(monkeypatch, 0.0, 1, 100) == [10, 40, 100]
    assert "N_max=100 allows no more samples" in capsys.readouterr().err


def test_no_round_goes_beyond_what_is_allowed() -> None:
    asked: list[list[str]] = []

    def sample(words: list[str]) -> int:
        asked.append(words)
        return 2

    assert sample_until(Front(), sample, list, 1, 4, 16) == 2
    assert sample_until(Front(), sample, list, 1, 4, 4) == 2
    assert asked == [["--N_sample=4"], []]


def test_samples_that_became_nan_do_not_end_it(monkeypatch: pytest.MonkeyPatch) -> None:
    tallies = [Tally(9, 1, 1), Tally(36, 4, 1)]
    monkeypatch.setattr(until, "tally_of", lambda front, to_score: tallies.pop(0))
    assert sample_until(Front(), lambda words: FAILED_SAMPLES, list, 4, 99) == FAILED_SAMPLES
    assert not tallies


@pytest.mark.parametrize(
    ("asked", "most", "tally", "rounds"),
    [(16, 30, Tally(14, 13, 1), 2), (99, 100, Tally(99, 0, 1), 2), (10, 10, Tally(9, 1, 1), 1)],
)
def test_samples_that_never_become_designs_are_not_asked_for_for_ever(
    monkeypatch: pytest.MonkeyPatch, asked: int, most: int, tally: Tally, rounds: int
) -> None:
    monkeypatch.setattr(until, "tally_of", lambda front, to_score: tally)
    words: list[list[str]] = []

    def sample(given: list[str]) -> int:
        words.append(given)
        assert len(words) < 50
        return FAILED_SAMPLES

    assert sample_until(Front(), sample, list, 15, most, asked) == FAILED_SAMPLES
    assert len(words) >= rounds and words[-1] in ([], [f"--N_sample={most}"])


def test_what_px_sample_is_asked_for_by_its_own_words() -> None:
    def samples_asked_for(words: list[str]) -> int:
        return sampled_by(words)[0]

    assert sampled_by(["--seeds", "7,8", "-n", "2"]) == (2, [7, 8])
    assert sampled_by(["--seeds=5"])[1] == [5]
    assert samples_asked_for(["--preset=extended", "--dump_dir=out"]) == 500
    assert samples_asked_for(["--preset=extended", "--N_sample=7"]) == 7
    assert samples_asked_for(["-p", "extended", "-q"]) == 500
    assert samples_asked_for(["-n", "5", "--no_align", "--preset=extended"]) == 5
    assert samples_asked_for(["-n2", "--N_samp=6", "-q"]) == 6  # px-sample takes the last one
    assert samples_asked_for(["--N_sample=6", "-n", "2"]) == 2
    assert samples_asked_for(["--N_sample=many"]) == samples_asked_for(["--preset=none"]) == 0


def test_what_px_score_refuses_ends_it_with_its_code(tmp_path: Path) -> None:
    none = [str(tmp_path / "none")]
    assert sample_until(Front(), lambda words: 0, lambda: none, 1, 10) == 2


@pytest.mark.slow
def test_a_pipeline_goes_on_in_rounds(tmp_path: Path) -> None:
    """Designs of the tiny model pass nothing: all that is allowed is made, once."""
    root = Path(__file__).parents[2]
    words = [f"input_json_path={write_task(tmp_path)}", f"dump_dir={tmp_path / 'out'}"]
    words += [f"model={TINY}", "N_sample=1", "N_step=2", "sequences=0", "until=1", "N_max=3"]
    command = [str(root / "bin" / "just"), "pipeline", *words]
    for _ in range(2):
        done = subprocess.run(command, capture_output=True, text=True, env=environment())
        assert done.returncode == INCOMPLETE, done.stderr
        assert "0 of 3 designs pass every check (0 %), 1 were asked for; N_max=3" in done.stderr
        cifs = list((tmp_path / "out").glob("*/*/*/predictions/*.cif"))
        assert len(cifs) == 3 and "3/3" in done.stdout
    assert "Starting chunked diffusion" not in done.stderr
    (table,) = (tmp_path / "out").glob("*/*/*/run.json")
    assert json.loads(table.read_text())["N_sample"] == 3


@pytest.mark.parametrize("word", ["until=many", "until=-1", "N_max=0"])
def test_numbers_that_are_none_are_refused(word: str) -> None:
    root = Path(__file__).parents[2]
    command = [str(root / "bin" / "just"), "pipeline", word]
    done = subprocess.run(command, capture_output=True, text=True, env=environment())
    assert done.returncode == 2 and "a number of designs such as" in done.stderr
