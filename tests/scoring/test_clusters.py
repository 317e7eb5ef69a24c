"""Clusters are those of comparing every design with every leader; folds are told apart."""

import gzip
from collections.abc import Iterator

import numpy as np
import pytest
from conftest import STRUCTURES
from hypothesis import given
from hypothesis import strategies as st

from pxtools.network.features import random_rotations
from pxtools.scoring import clusters, processes
from pxtools.scoring.clusters import Comparison, lead_by_fold, lead_by_rmsd, one_by_one
from pxtools.scoring.processes import leaders_of_folds
from pxtools.structure.complex import read_chains
from pxtools.structure.geometry import singular_value_sums, superposition


def folds(rng: np.random.Generator, families: int, members: int, length: int) -> list[np.ndarray]:
    """Shuffled members of families around which noise of up to 3 Å puts some over the limit."""
    made = []
    for _ in range(families):
        walk = np.cumsum(rng.normal(0, 2.2, (length, 3)), 0)
        for _ in range(members):
            noise = np.cumsum(rng.normal(0, rng.uniform(0, 0.6), (length, 3)), 0)
            turn = random_rotations(rng, 1)[0]
            made.append((walk + noise) @ turn + rng.normal(0, 30, 3))
    return [made[i] for i in rng.permutation(len(made))]


def superposed_one_by_one(places: list[np.ndarray], limit: float) -> list[int]:
    leaders: list[int] = []
    found = []
    for i, ca in enumerate(places):
        near = [
            j
            for j in leaders
            if len(places[j]) == len(ca) and superposition(ca, places[j])[2] <= limit
        ]
        leaders += [] if near else [i]
        found.append(near[0] if near else i)
    return found


@pytest.mark.slow
@given(st.integers(0, 2**32 - 1), st.sampled_from([0.5, 1.0, 2.0, 5.0]))
def test_clusters_are_those_of_all_superpositions(seed: int, limit: float) -> None:
    rng = np.random.default_rng(seed)
    places = [*folds(rng, 3, 6, 24), *folds(rng, 2, 3, 11), *folds(rng, 1, 3, 3)]
    assert list(lead_by_rmsd(places, limit)) == superposed_one_by_one(places, limit)


def test_blocks_and_slabs_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    places = folds(rng, 12, 8, 30)
    whole = list(lead_by_rmsd(places, 2.0))
    assert whole == superposed_one_by_one(places, 2.0) and 12 <= len(set(whole)) < len(places)
    monkeypatch.setattr(clusters, "BLOCK", 7)
    monkeypatch.setattr(clusters, "SLAB", 3)
    assert list(lead_by_rmsd(places, 2.0)) == whole


@given(st.integers(0, 2**32 - 1))
def test_bounds_of_singular_values_hold_and_are_near(seed: int) -> None:
    rng = np.random.default_rng(seed)
    covariance = rng.normal(0, 10, (50, 3, 3)) * rng.uniform(0, 1, (50, 1, 3))
    values = np.linalg.svd(covariance, compute_uv=False)
    values[:, 2] *= np.sign(np.linalg.det(covariance))
    off = singular_value_sums(covariance) - values.sum(1)
    assert off.min() > -1e-4 and np.median(off / values.sum(1)) < 0.01


def test_a_mirror_image_is_another_fold() -> None:
    walk = np.cumsum(np.random.default_rng(0).normal(0, 2.2, (40, 3)), 0)
    assert list(lead_by_rmsd([walk, walk * [1, 1, -1], walk], 2.0)) == [0, 1, 0]


def test_no_designs_have_no_clusters() -> None:
    assert list(lead_by_rmsd([], 2.0)) == []


def traces(name: str) -> list[np.ndarray]:
    text = gzip.decompress((STRUCTURES / name).read_bytes())
    return [np.array([r.backbone[1] for r in chain]) for chain in read_chains(name, text)]


def natural() -> tuple[list[np.ndarray], list[str]]:
    """Parts of three folds of unequal lengths, turned, blurred and shuffled; which fold each is."""
    rng = np.random.default_rng(3)
    (protease, _), (mhc, b2m) = traces("1HVR.pdb.gz"), traces("1BD2.cif.gz")[:2]
    parts = [(protease[i % 3 : 99 - i], "protease") for i in range(9)]
    parts += [(mhc[i : 176 - i], "groove") for i in range(6)]
    parts += [(b2m[i : 99 - i], "sandwich") for i in range(6)]
    places, folds = [], []
    for i in rng.permutation(len(parts)):
        ca, fold = parts[i]
        places.append((ca + rng.normal(0, 0.7, ca.shape)) @ random_rotations(rng, 1)[0] + 9 * i)
        folds.append(fold)
    return places, folds


def test_folds_are_told_apart_whatever_their_lengths() -> None:
    places, folds = natural()
    leader = lead_by_fold(places, 0.5).tolist()
    assert leader == [folds.index(fold) for fold in folds]
    assert list(lead_by_fold([places[0], places[0] * [1, 1, -1]], 0.5)) == [0, 1]


def test_however_few_are_compared_no_design_follows_one_it_is_not_like(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    places, folds = natural()
    monkeypatch.setattr(clusters, "COMPARISONS", 0)
    monkeypatch.setattr(clusters, "FEWEST", 1)
    monkeypatch.setattr(clusters, "FOLDS_AT_ONCE", 5)
    compared: list[int] = []

    def compare(asked: list[Comparison], at_least: float) -> Iterator[int | None]:
        compared.extend(len(one.others) for one in asked)
        return one_by_one(asked, at_least)

    leader = lead_by_fold(places, 0.5, compare).tolist()
    assert max(compared) == 1 and len(compared) == len(places)
    assert all(leader[i] == i or leader[i] < i for i in leader)
    assert [folds[i] for i in leader] == folds


def test_two_processes_find_the_folds_of_one(monkeypatch: pytest.MonkeyPatch) -> None:
    places, folds = natural()
    monkeypatch.setattr(processes, "WORTH_STARTING", 1)
    monkeypatch.setattr(processes, "FOLDS", 2)
    assert leaders_of_folds(places, 0.5, 2).tolist() == [folds.index(fold) for fold in folds]


def test_no_designs_have_no_folds() -> None:
    assert list(lead_by_fold([], 0.5)) == []
