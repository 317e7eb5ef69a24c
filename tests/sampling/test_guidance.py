"""What a small model asks for while it samples: its target's hand, and no clashes."""

import json
from dataclasses import replace

import mlx.core as mx
import numpy as np
import pytest
from conftest import fixture_task
from hypothesis import given, settings
from hypothesis import strategies as st

from pxtools.network.config import Help
from pxtools.network.features import random_rotations
from pxtools.network.weights import read_model
from pxtools.runs.schedule import Schedule
from pxtools.sampling.guidance import guide_of, handedness, known, pushed, without_clashes
from pxtools.sampling.runs import run_record
from pxtools.sampling.sampler import Draws, diffusion_step
from pxtools.scoring.metrics import OVERLAP
from pxtools.structure.atoms import Atoms
from pxtools.structure.geometry import distances
from pxtools.structure.residues import vdw_radius
from pxtools.task.design import prepare
from pxtools.task.reading import read_tasks
from pxtools.task.target import read_target
from pxtools.task.types import BinderLengths, Task

LENGTH = 20
Bpti = tuple[Atoms, Atoms]


@pytest.fixture(scope="module")
def task(tmp_path_factory: pytest.TempPathFactory) -> Task:
    path = tmp_path_factory.mktemp("task") / "bpti.json"
    path.write_text(json.dumps([fixture_task("bpti")]))
    return read_tasks(str(path))[0]


@pytest.fixture(scope="module")
def bpti(task: Task) -> Bpti:
    """Trypsin inhibitor as nano sees it, and its heavy atoms as deposited."""
    design = prepare(
        replace(task, binder_lengths=BinderLengths((LENGTH,))),
        read_target(task),
        read_model("nano"),
    )
    return design.features.atoms, design.deposited


def docked(atoms: Atoms, target: Atoms, gap: float) -> np.ndarray:
    """A sample: the target in place, its residues 3-22 as a binder `gap` Å from its atoms."""
    x: np.ndarray = atoms.xyz.copy()
    place = x[np.flatnonzero(atoms.label_seq >= 3)[: 4 * LENGTH]]
    binder = np.concatenate([place, place[-1:] + 2])  # OXT
    away = np.array([1.0, 0.3, -0.2], np.float32)
    while distances(binder, target.xyz).min() < gap:
        binder = binder + 0.05 * away
    x[-len(binder) :] = binder
    return x


def clashes(x: np.ndarray, atoms: Atoms, target: Atoms) -> tuple[int, int]:
    """Heavy atoms too close for px-score: binder to target, and inside the binder."""
    binder = atoms.binder
    own, others = (
        np.array([vdw_radius(e) for e in elements])
        for elements in (atoms.element[binder], target.element)
    )
    outside = distances(x[binder], target.xyz) < own[:, None] + others - OVERLAP
    inside = distances(x[binder], x[binder]) < own[:, None] + own - OVERLAP
    residue = atoms.label_seq[binder]
    return int(outside.sum()), int((inside & (residue[:, None] - residue >= 2)).sum())


def test_an_overlapping_pair_is_pushed_apart_by_what_it_lacks() -> None:
    point, other = np.array([[1.0, 2.0, 3.0]]), np.array([[1.0, 2.0, 5.0]])
    np.testing.assert_allclose(pushed(point, other, np.array([[2.5]])), [[0, 0, -0.5]], atol=1e-9)
    np.testing.assert_allclose(pushed(other, point, np.array([[2.5]])), [[0, 0, 0.5]], atol=1e-9)
    assert not pushed(point, other, np.array([[1.9]])).any()


@pytest.mark.parametrize("gap", [1.5, 2.0])
def test_a_binder_is_pushed_off_the_deposited_target_residue_by_residue(
    bpti: Bpti, gap: float
) -> None:
    atoms, target = bpti
    x = docked(atoms, target, gap)
    at = known(atoms, target)
    before, _ = clashes(x, atoms, target)
    y = x
    for _ in range(5):  # as a run does, at one noise level after the other
        y = without_clashes(y, at)
    assert before > 0
    assert clashes(y, atoms, target)[0] == 0
    first = len(x) - len(at.spread)
    np.testing.assert_array_equal(y[:first], x[:first])
    residue = atoms.label_seq[first:]
    same = residue[:, None] == residue
    np.testing.assert_allclose(
        distances(y[first:], y[first:])[same], distances(x[first:], x[first:])[same], atol=1e-3
    )
    steps = np.linalg.norm(np.diff((y - x)[first:][atoms.name[first:] == "CA"], axis=0), axis=-1)
    assert steps.max() < 0.5 * np.linalg.norm(y - x, axis=-1).max()  # neighbours come along


def test_side_chains_count_although_they_are_not_sampled(bpti: Bpti) -> None:
    atoms, target = bpti
    backbone = np.isin(target.name, ["N", "CA", "C", "O"])
    bare = type(target)(**{k: v[backbone] for k, v in vars(target).items()})
    x = docked(atoms, bare, 3.5)
    assert clashes(x, atoms, bare)[0] == 0 < clashes(x, atoms, target)[0]
    np.testing.assert_array_equal(without_clashes(x, known(atoms, bare)), x)
    assert np.abs(without_clashes(x, known(atoms, target)) - x).max() > 0.2


def test_a_binder_is_pushed_off_itself(bpti: Bpti) -> None:
    atoms, target = bpti
    x = docked(atoms, target, 40.0)  # far from the target
    first = len(x) - 4 * LENGTH - 1
    np.testing.assert_array_equal(without_clashes(x, known(atoms, target)), x)
    x[first + 60 : first + 64] += x[first + 1] + [0, 0, 1.5] - x[first + 61]
    before = clashes(x, atoms, target)[1]
    y = x
    for _ in range(5):
        y = without_clashes(y, known(atoms, target))
    assert clashes(y, atoms, target)[1] < before / 4


@settings(max_examples=20)
@given(seed=st.integers(0, 2**32 - 1))
def test_where_a_sample_lies_does_not_matter(bpti: Bpti, seed: int) -> None:
    atoms, target = bpti
    at, x = known(atoms, target), docked(atoms, target, 2.0)
    rng = np.random.default_rng(seed)
    turn, shift = random_rotations(rng, 1)[0], rng.normal(0, 30, 3)
    moved = (x @ turn.T + shift).astype(np.float32)
    np.testing.assert_allclose(
        without_clashes(moved, at), without_clashes(x, at) @ turn.T + shift, atol=2e-3
    )


def test_a_mirrored_target_is_told_from_the_right_one(bpti: Bpti) -> None:
    atoms, target = bpti
    at, rng = known(atoms, target), np.random.default_rng(0)
    place = docked(atoms, target, 5.0)
    for turn in random_rotations(rng, 6):
        noisy = place @ turn.T + rng.normal(0, 4, place.shape) + 7
        assert (handedness(noisy, at), handedness(-noisy, at)) == (1, -1)


def after_a_step(bpti: Bpti, config: Help, level: float, x: np.ndarray) -> np.ndarray:
    """What a step at about `level` Å makes of a sample that the network would leave as it is."""
    atoms, target = bpti
    schedule, levels = Schedule(200), Schedule(200).levels()
    step = int(np.flatnonzero(levels < level)[0])
    unit = Draws(mx.eye(3)[None], mx.zeros((1, 3)), mx.zeros((1, len(atoms), 3)))
    guide = guide_of(config, atoms, target)
    args = (lambda x, s: x, mx.array(x[None]), step, schedule, levels, unit, guide)
    x1: np.ndarray = np.array(diffusion_step(*args))[0]
    return x1


def test_a_mirrored_sample_is_turned_to_the_right_hand_in_time(bpti: Bpti) -> None:
    x = docked(*bpti, 5.0)
    x -= x.mean(0)
    asked = Help(mirror_check=True)
    for level, sign in ((30, 1), (30, -1)):
        np.testing.assert_allclose(after_a_step(bpti, asked, level, sign * x), x, atol=1e-4)
    np.testing.assert_allclose(after_a_step(bpti, asked, 1, -x), -x, atol=1e-4)  # too late
    other = Help(clash_guide=True)
    np.testing.assert_allclose(after_a_step(bpti, other, 30, -x), -x, atol=1e-4)


def test_clashes_are_relieved_at_low_noise_where_a_model_asks_for_it(bpti: Bpti) -> None:
    x = docked(*bpti, 2.0)
    x -= x.mean(0)
    asked = Help(clash_guide=True)
    target = len(x) - 4 * LENGTH - 1
    moved = after_a_step(bpti, asked, 1, x)
    assert np.abs(moved - x)[target:].max() > 0.2
    np.testing.assert_allclose(moved[:target], x[:target], atol=1e-4)
    for config, level in ((asked, 30), (asked, 0.01), (Help(mirror_check=True), 1)):
        np.testing.assert_allclose(after_a_step(bpti, config, level, x), x, atol=1e-4)


def test_the_published_sampler_has_no_guide(bpti: Bpti) -> None:
    assert guide_of(Help(), *bpti) is None


def test_a_sample_that_became_infinite_is_left_to_be_reported(bpti: Bpti) -> None:
    x = docked(*bpti, 2.0)
    x -= x.mean(0)
    broken = np.full_like(x, np.nan)
    guide = guide_of(Help(mirror_check=True, clash_guide=True), *bpti)
    assert guide
    both = mx.array(np.stack([broken, x]))
    for level in (1.0, 30.0):
        _, x0 = guide(both, both, level)
        assert np.isnan(np.array(x0)[0]).all() and np.isfinite(np.array(x0)[1]).all()


def test_the_side_chains_that_guide_a_run_are_part_of_what_identifies_it(task: Task) -> None:
    design = prepare(task, read_target(task), read_model("nano"))
    assert design.whole_target
    xyz = design.whole_target.xyz.copy()
    xyz[design.whole_target.name == "CG"] += 1
    moved = replace(design, whole_target=replace(design.whole_target, xyz=xyz))
    digests = [
        run_record(d, read_model("nano"), "float32", Schedule(), 1).task.target_digest
        for d in (design, moved)
    ]
    assert digests[0] != digests[1]
