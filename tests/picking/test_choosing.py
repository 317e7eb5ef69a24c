"""px-pick: the best, the best and unlike, again the same; copies with a table and a script."""

import csv
import re
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from conftest import DATA
from hypothesis import given
from hypothesis import strategies as st
from processes import run

from pxtools.picking.choosing import choose_diverse


@given(st.integers(1, 12), st.integers(0, 2**32 - 1), st.sampled_from([0.0, 0.3, 0.7, 1.0]))
def test_lazily_chosen_are_those_of_comparing_all(k: int, seed: int, weight: float) -> None:
    rng = np.random.default_rng(seed)
    alike = rng.random((k, k)).round(1)
    n = int(rng.integers(1, k + 1))
    chosen: list[int] = []
    for _ in range(n):
        nearest = alike[chosen].max(0, initial=0)
        worth = (1 - weight) * (1 - np.arange(k) / k) - weight * nearest
        worth[chosen] = -np.inf
        chosen.append(int(np.argmax(worth)))
    found = choose_diverse(k, n, weight, lambda i, others: alike[i][list(others)])
    assert found == chosen


def test_without_weight_the_best_are_chosen_and_few_are_compared() -> None:
    compared: list[int] = []

    def alike(i: int, others: Sequence[int]) -> np.ndarray:
        compared.extend(others)
        return np.ones(len(others))

    assert choose_diverse(1000, 3, 0.0, alike) == [0, 1, 2]
    assert len(compared) < 500


def test_copies_of_the_best_are_passed_over() -> None:
    family = np.array([0, 0, 0, 1, 0, 2])
    found = choose_diverse(6, 3, 0.6, lambda i, others: (family[list(others)] == family[i]) * 1.0)
    assert found == [0, 3, 5]


@pytest.fixture
def results(tmp_path: Path) -> Path:
    for name in ("finished", "scored"):
        shutil.copytree(DATA / "old_runs" / name, tmp_path / name)
    return tmp_path


@pytest.mark.slow
def test_the_best_of_several_folders_are_printed(results: Path) -> None:
    words = (results / "finished", results / "scored")
    done = run("px-pick", *words, "-n", "2", "--by", "contacts")
    paths = [Path(line) for line in done.stdout.splitlines()]
    assert done.returncode == 0 and len(paths) == 2 and all(path.is_file() for path in paths)
    rows = [
        (int(row["contacts"]), row["design"])
        for table in results.glob("*/*/*/*/summary.csv")
        for row in csv.DictReader(table.read_text().splitlines())
        if (table.parent / "predictions" / f"{row['design']}.cif").is_file()
    ]
    contacts = sorted((n for n, _ in rows), reverse=True)
    picked = [next(n for n, design in rows if design == path.stem) for path in paths]
    assert len(rows) > 2 and picked[0] == contacts[0]
    assert run("px-pick", *words, "-n", "2", "--by", "contacts").stdout == done.stdout
    for unlike in ("fold", "interface"):
        diverse = [run("px-pick", *words, "-n", "2", "--diverse", "0.9", "--unlike", unlike).stdout]
        diverse.append(
            run("px-pick", *words, "-n", "2", "--diverse", "0.9", "--unlike", unlike).stdout
        )
        assert diverse[0] == diverse[1] and len(diverse[0].splitlines()) == 2


def test_conditions_and_what_is_missing_are_said(results: Path) -> None:
    done = run("px-pick", results / "finished", "-n", "9", "--where", "contacts >= 0")
    assert len(done.stdout.splitlines()) == 3 and "only 3 of 3 designs" in done.stderr
    assert run("px-pick", results / "finished", "--where", "contacts < 0").stdout == ""
    cif = Path(done.stdout.splitlines()[0])
    cif.unlink()
    again = run("px-pick", results / "finished", "-n", "3")
    assert "1 designs have no CIF" in again.stderr and str(cif) not in again.stdout
    assert "only" not in again.stderr  # all three fulfil it


def test_an_order_without_values_is_said(results: Path) -> None:
    done = run("px-pick", results / "finished", "--by", "iptm", "-n", 1)
    assert done.returncode == 0 and len(done.stdout.splitlines()) == 1
    assert "--by iptm: 3 designs have no value of it and come last" in done.stderr


def test_a_folder_named_twice_counts_once(results: Path) -> None:
    once = run("px-pick", results / "finished")
    (results / "link").symlink_to("finished")
    twice = run("px-pick", results / "finished", results / "finished", results / "link")
    assert twice.stderr == once.stderr and len(twice.stdout.split()) == len(once.stdout.split())


def test_picks_are_handed_over(results: Path) -> None:
    folder = results / "picks"
    done = run("px-pick", results / "finished", "-o", folder)
    names = [Path(line).name for line in done.stdout.splitlines()]
    assert {path.name for path in folder.iterdir()} == {*names, "picks.csv", "picks.pml"}
    for line in done.stdout.splitlines():
        assert (folder / Path(line).name).read_bytes() == Path(line).read_bytes()
    rows = list(csv.DictReader((folder / "picks.csv").read_text().splitlines()))
    assert [f"{row['design']}.cif" for row in rows] == names
    again = run("px-pick", results / "finished", "-n", 1, "-o", folder)
    assert f"{len(names) - 1} other CIFs are there and stay" in again.stderr
    run("px-pick", results / "finished", "-o", folder)
    script = (folder / "picks.pml").read_text()
    assert re.findall(r"^cmd\.load\(\"(\S+)\",", script, re.MULTILINE) == names
    assert script.count("spectrum resi, rainbow, pick_00") == len(names)


def test_picks_of_one_name_get_names_of_their_own(results: Path) -> None:
    shutil.copytree(results / "finished", results / "twin")
    folder = results / "picks"
    done = run("px-pick", results / "finished", results / "twin", "-o", folder, "-q")
    assert len(done.stdout.splitlines()) == len(list(folder.glob("*.cif"))) == 6


@pytest.mark.parametrize(
    "words, said",
    [
        (("-n", "0"), "1 or more"),
        (("--diverse", "2"), "0 (only quality) to 1"),
        (("--by", "failed"), "a number such as contacts"),
        (("--where", "contacts"), "a comparison such as"),
    ],
)
def test_wrong_words_are_one_line(results: Path, words: tuple[str, ...], said: str) -> None:
    done = run("px-pick", results / "finished", *words)
    assert done.returncode == 2 and said in done.stderr and len(done.stderr.splitlines()) == 1


def test_columns_are_listed() -> None:
    lines = run("px-pick", "--columns").stdout.splitlines()
    assert any(re.match(r"buried_area +Å² +of target and binder", line) for line in lines)
