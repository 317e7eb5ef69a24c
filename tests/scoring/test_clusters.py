"""Clusters are those of comparing every design with every leader."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pxtools.network.features import random_rotations
from pxtools.scoring import clusters
from pxtools.scoring.clusters import lead_by_rmsd
from pxtools.structure.geometry import superposition


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


def one_by_one(places: list[np.ndarray], limit: float) -> list[int]:
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


@given(st.integers(0, 2**32 - 1), st.sampled_from([0.5, 1.0, 2.0, 5.0]))
def test_clusters_are_those_of_all_superpositions(seed: int, limit: float) -> None:
    rng = np.random.default_rng(seed)
    places = [*folds(rng, 3, 6, 24), *folds(rng, 2, 3, 11), *folds(rng, 1, 3, 3)]
    assert list(lead_by_rmsd(places, limit)) == one_by_one(places, limit)


def test_blocks_and_slabs_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    places = folds(rng, 12, 8, 30)
    whole = list(lead_by_rmsd(places, 2.0))
    assert whole == one_by_one(places, 2.0) and 12 <= len(set(whole)) < len(places)
    monkeypatch.setattr(clusters, "BLOCK", 7)
    monkeypatch.setattr(clusters, "SLAB", 3)
    assert list(lead_by_rmsd(places, 2.0)) == whole


def test_a_mirror_image_is_another_fold() -> None:
    walk = np.cumsum(np.random.default_rng(0).normal(0, 2.2, (40, 3)), 0)
    assert list(lead_by_rmsd([walk, walk * [1, 1, -1], walk], 2.0)) == [0, 1, 0]


def test_no_designs_have_no_clusters() -> None:
    assert list(lead_by_rmsd([], 2.0)) == []
