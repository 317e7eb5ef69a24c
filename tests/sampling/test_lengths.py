"""Binders of several lengths in one run: each sample has its own, whatever else is made."""

import json
import random
import signal
import subprocess
import time
from pathlib import Path

import gemmi
import pytest
from conftest import STRUCTURES
from hypothesis import given
from hypothesis import strategies as st
from processes import TINY, command, environment, run

from pxtools.runs.folder import samples_in, spans
from pxtools.sampling.plan import grid, plan
from pxtools.task.types import BinderLengths

LENGTHS = BinderLengths((18, 20, 21))


def options(folder: Path, out: str, *more: object) -> list[object]:
    task = folder / "mixed.yaml"
    chains = {"A": {"hotspots": [15]}}
    target = {"file": str(STRUCTURES / "5PTI.cif.gz"), "chains": chains}
    task.write_text(json.dumps({"binder_length": list(LENGTHS.choices), "target": target}))
    return ["-i", task, "-o", folder / out, "-m", TINY, "--seeds", 7, "--N_step", 4, *more]


def designs(folder: Path, out: str, *more: object) -> dict[str, bytes]:
    """Sample, write, and give the CIFs by name."""
    sampled = run("px-sample", *options(folder, out, *more))
    assert sampled.returncode == 0, sampled.stderr
    written = run("px-write-cif", stdin=sampled.stdout)
    assert written.returncode == 0, written.stderr
    return {path.name: path.read_bytes() for path in (folder / out).rglob("*.cif")}


@pytest.fixture(scope="module")
def six(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, bytes]]:
    folder = tmp_path_factory.mktemp("six")
    return folder, designs(folder, "out", "--N_sample", 6, "--sample_diffusion_chunk_size", 2)


def test_each_design_has_the_length_drawn_for_it(six: tuple[Path, dict[str, bytes]]) -> None:
    _, cifs = six
    assert len(cifs) == 6
    found = []
    for i in range(6):
        text = cifs[f"mixed_sample_{i}.cif"].decode()
        structure = gemmi.make_structure_from_block(gemmi.cif.read_string(text).sole_block())
        found.append(len(structure[0]["B0"]))
    assert found == [LENGTHS.of_sample(7, i) for i in range(6)]
    assert len(set(found)) > 1


@pytest.mark.slow
def test_other_chunks_and_an_extended_run_give_the_same_designs(
    six: tuple[Path, dict[str, bytes]], tmp_path: Path
) -> None:
    _, cifs = six
    first = designs(tmp_path, "out", "--N_sample", 3, "--sample_diffusion_chunk_size", 3)
    assert first.items() <= cifs.items()
    assert designs(tmp_path, "out", "--N_sample", 6, "--sample_diffusion_chunk_size", 1) == cifs


@pytest.mark.slow
def test_an_interrupted_run_goes_on(six: tuple[Path, dict[str, bytes]], tmp_path: Path) -> None:
    words = options(tmp_path, "out", "--N_sample", 6, "--sample_diffusion_chunk_size", 2)
    process = subprocess.Popen(
        command("px-sample", *words), stderr=subprocess.PIPE, text=True, env=environment()
    )
    assert process.stderr
    for line in process.stderr:
        if "Diffusion step [1/4]" in line:
            break
    time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    process.communicate()
    assert process.returncode == 130
    again = designs(tmp_path, "out", "--N_sample", 6, "--sample_diffusion_chunk_size", 2)
    assert again == six[1]


def test_the_other_tools_take_them(six: tuple[Path, dict[str, bytes]]) -> None:
    folder, _ = six
    assert run("px-status", folder / "out").returncode == 0
    scored = run("px-score", "--json", folder / "out")
    assert scored.returncode == 0, scored.stderr
    rows = json.loads(scored.stdout)
    assert {row["binder_length"] for row in rows} == {LENGTHS.of_sample(7, i) for i in range(6)}


def test_another_choice_of_lengths_is_another_run(six: tuple[Path, dict[str, bytes]]) -> None:
    folder, _ = six
    task = folder / "mixed.yaml"
    text = task.read_text()
    other = folder / "other" / "mixed.yaml"
    other.parent.mkdir()
    other.write_text(text.replace("18,", "17,"))
    words = options(folder, "out", "--N_sample", 6)
    refused = run("px-sample", "-i", other, *words[2:])
    assert refused.returncode == 2
    assert "task.binder_length (was 18,20,21, now 17,20,21)" in refused.stderr


SAMPLES = st.sets(st.integers(0, 300)).map(sorted)


@given(SAMPLES)
def test_names_tell_their_samples(samples: list[int]) -> None:
    assert samples_in(spans(samples)) == samples


@given(
    st.integers(1, 200), st.integers(1, 50), st.integers(0, 9), st.randoms(use_true_random=False)
)
def test_every_missing_sample_is_planned_once(
    n: int, size: int, seed: int, rng: random.Random
) -> None:
    cells = grid(range(n), lambda sample: LENGTHS.of_sample(seed, sample), size)
    done = {sample for sample in range(n) if rng.random() < 0.4}
    whole = plan(set(), [], cells)
    begun = [piece.samples for piece in whole if done.isdisjoint(piece.samples)][:2]
    pieces = plan(done, begun, cells)
    assert sorted(i for piece in pieces for i in piece.samples) == sorted(set(range(n)) - done)
    for piece in pieces:
        assert len({LENGTHS.of_sample(seed, i) for i in piece.samples}) == 1
        assert len(piece.samples) <= size and len(spans(piece.samples)) <= 160
    assert all(any(piece.samples == samples for piece in pieces) for samples in begun)
