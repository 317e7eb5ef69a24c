"""The network that is trained is the one that samples: both give the recorded numbers."""

import json
from importlib import import_module

import numpy as np
import pytest
from conftest import DATA, load
from data import ATOM_COLUMNS, PAIR_COLUMNS, TOKEN_COLUMNS, tensors
from tiny_model import Recorded, assert_close, tiny_weights

from pxtools.network.config import Config
from pxtools.network.features import Features


def test_the_columns_are_the_papers() -> None:
    """385 of an atom, 46 of a token, 139 of a pair (AF3, tables 5 and 13, algorithm 3)."""
    assert (ATOM_COLUMNS, TOKEN_COLUMNS, PAIR_COLUMNS) == (385, 46, 139)


@pytest.mark.slow
def test_the_trained_network_gives_the_recorded_numbers(
    features: Features, recorded: Recorded
) -> None:
    torch = pytest.importorskip("torch", reason="training needs PyTorch")
    trained = import_module("model")
    config = json.loads((DATA / "tiny/config.json").read_text())
    model = trained.PXDesignD(Config.from_dict(config)).eval()
    weights = {k: torch.from_numpy(np.array(w)) for k, w in tiny_weights().items()}
    missing, unexpected = model.load_state_dict(weights, strict=False)
    assert not missing and not unexpected
    f = tensors(features, seed=0) | {"ref_pos": load("features/bpti.npz")["ref_pos"]}
    batch = {k: torch.from_numpy(v)[None] for k, v in f.items()}
    levels = ("2560", "160", "16", "1", "0.05")
    noisy = torch.from_numpy(np.stack([recorded[f"x_noisy@{s}"] for s in levels]))
    n_samples = noisy.shape[1]
    sigma = torch.tensor([float(s) for s in levels]).repeat_interleave(n_samples)
    with torch.no_grad():
        found = model(noisy.flatten(0, 1)[None], sigma[None], batch)[0].unflatten(
            0, (-1, n_samples)
        )
    for level, out in zip(levels, found, strict=True):
        assert_close(out.numpy(), recorded[f"x_denoised@{level}"])
