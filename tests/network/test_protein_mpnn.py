"""ProteinMPNN against the published implementation: every state, every letter.

The fixtures were made with float32 weights. Those that are shipped are float16; what that left
out is in tests/data/mpnn/*_rest.npy, to 1/256 of float16's last place: 19 bits of 24. The rest
of the rest moves a log-probability by 3e-5.
"""

import hashlib
import math
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from importlib.resources import files

import mlx.core as mx
import numpy as np
import pytest
from conftest import DATA, load
from hypothesis import given
from hypothesis import strategies as st

from pxtools.network import ops
from pxtools.network.protein_mpnn import (
    ALPHABET,
    SEATS,
    UNKNOWN,
    Array,
    Backbone,
    Draw,
    Graph,
    ProteinMPNN,
    Seats,
    nearest,
    parameters,
)
from pxtools.network.protein_mpnn_weights import EMBEDDED, read_weights

STRUCTURES = ("bpti", "pmhc", "few")
DIGESTS = {
    "vanilla": "a771f68171bda00284a2978ce9b932937bcd96dc28fc312086553c437dad4d6c",
    "soluble": "7cf62e032967d3fb57d4fbda04227acddd2907b29c35a9537c163ceb3ea0f11c",
}
TOLERANCE = 1e-4  # of log-probabilities, absolute; of states, relative to their scale


def published(name: str) -> dict[str, np.ndarray]:
    """The weights of a published file, nearly as float32 as they were."""
    rest, at, tensors = np.load(DATA / "mpnn" / f"{EMBEDDED[name]}_rest.npy"), 0, {}
    for key, half in sorted(read_weights(name).tensors.items()):
        place = np.spacing(np.abs(half)).astype(np.float32)
        more = rest[at : at + half.size].reshape(half.shape).astype(np.float32) / 256
        tensors[key] = half.astype(np.float32) + more * place
        at += half.size
    assert at == len(rest)
    return tensors


@pytest.fixture(params=["cpu", pytest.param("gpu", marks=pytest.mark.slow)])
def device(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """numpy, and what a GPU runs (MLX's own operations), on the CPU."""
    if request.param == "gpu":
        monkeypatch.setattr(ops, "on_cpu", lambda: False)
    return str(request.param)


@cache
def network_for(device: str, name: str = "vanilla") -> ProteinMPNN:
    """To be asked for while ops work for that device."""
    return ProteinMPNN(published(name))


@pytest.fixture
def network(device: str) -> ProteinMPNN:
    return network_for(device)


class Fixture:
    """A structure with everything that the published code made of it."""

    def __init__(self, name: str):
        self.values = d = load(f"mpnn/{name}.npz")
        self.whole = d["mask"] > 0
        designed = (d["designed"] > 0) & self.whole
        self.backbone = Backbone(
            d["X"], d["S"], d["chain"], d["residue_index"], designed, self.whole
        )
        self.rank = np.argsort(d["order"])
        self.fixed = d["order"][~designed[d["order"]]]
        self.order = d["order"][designed[d["order"]]]

    def __getitem__(self, key: str) -> np.ndarray:
        return self.values[key]

    def letters(
        self, network: ProteinMPNN, temperature: float = 0.0, omit: str = "X"
    ) -> tuple[np.ndarray, np.ndarray]:
        """Letters and log-probs of the designed residues, in their order."""
        graph = network.encode([self.backbone])
        context = network.context(graph, self["S"], self.fixed)
        draw = Draw(3, 0, self.order, -np.log(self["sample_q"].astype(np.float64)))
        letters, log_probs = network.sample(graph, context, [draw], temperature, without(omit))
        return letters[0], log_probs[0]


def without(omit: str) -> np.ndarray:
    bias = np.zeros(len(ALPHABET))
    bias[[ALPHABET.index(letter) for letter in omit]] = -np.inf
    return bias


@pytest.fixture(params=STRUCTURES)
def fixture(request: pytest.FixtureRequest) -> Fixture:
    return Fixture(request.param)


# MLX's products take seconds on a CPU: of the larger structures, few there
on_each = pytest.mark.parametrize(
    ("device", "fixture"),
    [*(("cpu", name) for name in STRUCTURES), pytest.param("gpu", "few", marks=pytest.mark.slow)],
    indirect=True,
)


def assert_close(ours: Array, theirs: np.ndarray) -> None:
    ours = np.array(ours)
    assert ours.shape == theirs.shape
    assert np.abs(ours - theirs).max() <= TOLERANCE * np.abs(theirs).max()


def assert_edges(fixture: Fixture, ours: Array, key: str) -> None:
    """The edges of some residues, column by column, and the mean of all."""
    near = nearest(fixture.backbone)[0]
    for row, theirs in zip(fixture["rows"], fixture[f"{key}_rows"], strict=True):
        if fixture.whole[row]:
            # masked neighbours are equally far: in any order
            mine, wanted = np.argsort(near[row]), np.argsort(fixture["E_idx"][row])
            assert_close(np.array(ours)[row][mine], theirs[wanted])
    if f"{key}_mean" in fixture.values:
        mean = np.array(ours).mean(1)
        assert_close(mean[fixture.whole], fixture[f"{key}_mean"][fixture.whole])


def test_neighbours(fixture: Fixture) -> None:
    near, _ = nearest(fixture.backbone)
    for ours, theirs in zip(near[fixture.whole], fixture["E_idx"][fixture.whole], strict=True):
        assert set(ours) == set(theirs)


@on_each
def test_edges(network: ProteinMPNN, fixture: Fixture) -> None:
    features = network.edge_features(fixture.backbone, *nearest(fixture.backbone))
    assert_edges(fixture, features, "edge_features")
    assert_edges(fixture, network.edge_states(features), "h_E0")


@on_each
def test_encoder(network: ProteinMPNN, fixture: Fixture) -> None:
    near, ca_ca = nearest(fixture.backbone)
    edges = network.edge_states(network.edge_features(fixture.backbone, near, ca_ca))
    nodes = ops.array(np.zeros((len(near), 128), np.float32))
    index, mask = ops.array(near), ops.array(fixture.whole, np.float32)
    for i, layer in enumerate(network.encoder):
        nodes, edges = layer(nodes, edges, index, mask)
        assert_close(np.array(nodes)[fixture.whole], fixture[f"enc{i}_h_V"][fixture.whole])
        assert_edges(fixture, edges, f"enc{i}_h_E")
    graph = network.encode([fixture.backbone])
    np.testing.assert_array_equal(np.array(graph.nodes), np.array(nodes))
    np.testing.assert_array_equal(np.array(graph.edges), np.array(edges))


@on_each
def test_decoder(network: ProteinMPNN, fixture: Fixture) -> None:
    graph = network.encode([fixture.backbone])
    everyone = np.arange(len(fixture.rank))
    states = network.decoder_states(graph, fixture["S"], fixture.rank, everyone)
    for i, state in enumerate(states[1:]):
        assert_close(np.array(state)[fixture.whole], fixture[f"dec{i}_h_V"][fixture.whole])


@on_each
def test_log_probs(network: ProteinMPNN, fixture: Fixture) -> None:
    graph = network.encode([fixture.backbone])
    ours = network.log_probs(graph, fixture["S"], fixture.rank)
    whole = fixture.whole
    assert np.abs(ours - fixture["log_probs"])[whole].max() <= TOLERANCE
    nll = -np.take_along_axis(ours, fixture["S"][:, None], 1)[:, 0]
    assert nll[fixture.order].mean() == pytest.approx(fixture["score"], abs=TOLERANCE)
    assert nll[whole].mean() == pytest.approx(fixture["global_score"], abs=TOLERANCE)
    nobody_seen = network.log_probs(graph, fixture["S"], np.zeros_like(fixture.rank))
    difference = np.abs(nobody_seen - fixture["unconditional_log_probs"])
    assert difference[whole].max() <= TOLERANCE


@on_each
def test_greedy_letters(network: ProteinMPNN, fixture: Fixture) -> None:
    letters, log_probs = fixture.letters(network)
    np.testing.assert_array_equal(letters, fixture["greedy_S"][fixture.order])
    assert np.abs(log_probs - fixture["greedy_log_probs"][fixture.order]).max() <= TOLERANCE


@on_each
def test_greedy_letters_without_cysteine(network: ProteinMPNN, fixture: Fixture) -> None:
    letters, _ = fixture.letters(network, omit="XC")
    np.testing.assert_array_equal(letters, fixture["greedy_noC_S"][fixture.order])


@on_each
def test_letters_of_recorded_draws(network: ProteinMPNN, fixture: Fixture) -> None:
    letters, log_probs = fixture.letters(network, temperature=0.1)
    np.testing.assert_array_equal(letters, fixture["sample_S"][fixture.order])
    assert np.abs(log_probs - fixture["sample_log_probs"][fixture.order]).max() <= TOLERANCE
    score = -np.take_along_axis(log_probs, letters[:, None], 1).mean()
    assert score == pytest.approx(fixture["sample_score"], abs=TOLERANCE)
    probs = np.exp(log_probs[:, :UNKNOWN] / 0.1)
    probs /= probs.sum(1, keepdims=True)
    assert np.abs(probs - fixture["sample_probs"][fixture.order, :UNKNOWN]).max() < 1e-3


@on_each
def test_letters_of_recorded_draws_at_temperature_1(network: ProteinMPNN, fixture: Fixture) -> None:
    letters, _ = fixture.letters(network, temperature=1.0)
    np.testing.assert_array_equal(letters, fixture["sample_T1_S"][fixture.order])


@pytest.mark.slow
@pytest.mark.parametrize("name", ["bpti", "pmhc"])
def test_soluble_weights(name: str) -> None:
    fixture, network = Fixture(name), network_for("cpu", "soluble")
    graph = network.encode([fixture.backbone])
    ours = network.log_probs(graph, fixture["S"], fixture.rank)
    assert np.abs(ours - fixture["soluble_log_probs"]).max() <= TOLERANCE
    letters, _ = fixture.letters(network)
    np.testing.assert_array_equal(letters, fixture["soluble_greedy_S"][fixture.order])


def test_fixed_residues_have_the_log_probs_of_the_whole(network: ProteinMPNN) -> None:
    fixture = Fixture("pmhc")
    graph = network.encode([fixture.backbone])
    context = network.context(graph, fixture["S"], fixture.fixed)
    wanted = fixture["log_probs"][fixture.fixed]
    assert np.abs(context.log_probs[fixture.fixed] - wanted).max() <= TOLERANCE
    assert not context.log_probs[fixture.order].any()


@pytest.mark.slow
def test_backbones_side_by_side(network: ProteinMPNN, device: str) -> None:
    """Two backbones in one graph, two sequences each, as each alone."""
    name = {"cpu": "pmhc", "gpu": "few"}[device]
    fixture, moved, rng = Fixture(name), Fixture(name), np.random.default_rng(0)
    xyz = fixture.backbone.xyz + rng.normal(0, 0.1, fixture.backbone.xyz.shape)
    object.__setattr__(moved.backbone, "xyz", xyz.astype(np.float32))
    q = -np.log(fixture["sample_q"].astype(np.float64))
    draws = [Draw(n, b, rng.permutation(fixture.order), q) for n, b in enumerate((0, 1, 1, 0))]
    length = len(fixture.whole)
    graph = network.encode([fixture.backbone, moved.backbone])
    twice = np.concatenate([fixture["S"]] * 2)
    fixed = np.concatenate([fixture.fixed, fixture.fixed + length])
    context = network.context(graph, twice, fixed)
    letters, log_probs = network.sample(graph, context, draws, 0.1, without("X"))
    for b, one in enumerate((fixture, moved)):
        alone = network.encode([one.backbone])
        context = network.context(alone, fixture["S"], fixture.fixed)
        own = [Draw(d.number, 0, d.order, q) for d in draws if d.backbone == b]
        wanted, wanted_log_probs = network.sample(alone, context, own, 0.1, without("X"))
        rows = [d.backbone == b for d in draws]
        np.testing.assert_array_equal(letters[rows], wanted)
        assert np.abs(log_probs[rows] - wanted_log_probs).max() <= TOLERANCE


def some_draws(fixture: Fixture, n: int) -> list[Draw]:
    rng = np.random.default_rng(1)
    shape = (len(fixture.whole), len(ALPHABET))
    return [Draw(i, 0, rng.permutation(fixture.order), rng.gumbel(size=shape)) for i in range(n)]


@pytest.mark.slow
def test_a_sequence_has_the_same_bits_in_any_company(network: ProteinMPNN, device: str) -> None:
    if device == "gpu":
        pytest.skip("to float32 rounding there")
    fixture = Fixture("pmhc")
    draws = some_draws(fixture, SEATS)

    def sample(draws: list[Draw]) -> tuple[np.ndarray, np.ndarray]:
        graph = network.encode([fixture.backbone])
        context = network.context(graph, fixture["S"], fixture.fixed)
        letters, log_probs = network.sample(graph, context, draws, 0.1, without("X"))
        return letters, log_probs

    companies = [draws, draws[3:4], draws[5:], draws[::-1], draws[1:4]]
    with ThreadPoolExecutor(2) as threads:
        results = list(threads.map(sample, companies))
    letters, log_probs = results[0]
    for company, (ours, ours_log_probs) in zip(companies, results, strict=True):
        numbers = [draw.number for draw in company]
        np.testing.assert_array_equal(ours, letters[numbers])
        np.testing.assert_array_equal(ours_log_probs, log_probs[numbers])


def test_every_number_has_a_seat_of_its_own(network: ProteinMPNN, device: str) -> None:
    draws = some_draws(Fixture("bpti"), SEATS)[::-1]
    seats = Seats.of(draws, 58)
    assert seats.taken.tolist() == (
        list(range(SEATS)) if device == "gpu" else [7, 6, 5, 4, 3, 2, 1, 0]
    )
    assert len(Seats.of(draws[:1], 58).order) == (1 if device == "gpu" else SEATS)


def test_a_turned_and_shifted_backbone_gets_the_same_log_probs(
    network: ProteinMPNN, device: str
) -> None:
    name = {"cpu": "bpti", "gpu": "few"}[device]
    fixture = Fixture(name)
    turn = np.linalg.qr(np.random.default_rng(2).normal(size=(3, 3)))[0]
    turn *= np.sign(np.linalg.det(turn))
    moved = Fixture(name)
    xyz = (fixture.backbone.xyz @ turn.T + [30, -20, 10]).astype(np.float32)
    object.__setattr__(moved.backbone, "xyz", xyz)
    graphs = [network.encode([f.backbone]) for f in (fixture, moved)]
    here, there = (network.log_probs(g, fixture["S"], fixture.rank) for g in graphs)
    assert np.abs(here - there).max() < 1e-3


def test_masked_residues_are_not_heard_by_the_encoder(network: ProteinMPNN) -> None:
    """`few` has masked residues; where they lie must not matter to a row that cannot see them."""
    fixture = Fixture("few")
    graph = network.encode([fixture.backbone])
    assert isinstance(graph, Graph) and not np.array(graph.nodes)[~fixture.whole].any()


@pytest.mark.parametrize("name", ["vanilla", "soluble"])
def test_shipped_weights(name: str) -> None:
    """float16, named by their digest; they decide letters as float32 does but at near-ties."""
    weights = read_weights(name)
    assert weights.digest == DIGESTS[name]
    assert {w.dtype for w in weights.tensors.values()} == {np.dtype("f2")}
    assert sum(math.prod(shape) for shape in parameters().values()) == 1_660_485
    network = weights.network()
    key = {"vanilla": "log_probs", "soluble": "soluble_log_probs"}[name]
    for fixture in (Fixture("bpti"), Fixture("pmhc")):
        graph = network.encode([fixture.backbone])
        ours = network.log_probs(graph, fixture["S"], fixture.rank)
        assert 1e-3 < np.abs(ours - fixture[key]).max() < 0.02


def test_licence_and_notice_lie_beside_the_weights() -> None:
    data = files("pxtools").joinpath("data")
    licence = data.joinpath("LICENSE.ProteinMPNN").read_bytes()
    wanted = "82009d25ce585631f452b2b24589bdb29c559ccfefa2f200ef312ed5b501a586"
    assert hashlib.sha256(licence).hexdigest() == wanted
    notice = data.joinpath("NOTICE").read_text()
    assert all(f"{name}.safetensors" in notice for name in EMBEDDED.values())
    assert "Justas Dauparas" in notice and "Science 378, 49 (2022)" in notice


@given(st.lists(st.floats(-60, 60, width=32), min_size=1, max_size=20))
def test_gelu(values: list[float]) -> None:
    x = np.array(values, np.float32)
    exact = [v * math.erfc(-v / math.sqrt(2)) / 2 for v in x.astype(np.float64)]
    assert np.abs(np.array(ops.gelu_(x.copy())) - exact).max() <= 1e-6 * max(1, np.abs(x).max())


def test_gelu_in_parts() -> None:
    x = np.linspace(-8, 8, 3 * ops.ELEMENTS_AT_ONCE + 5, dtype=np.float32).reshape(1, -1)
    whole = np.array(ops.gelu_(mx.array(x)))
    assert np.abs(np.array(ops.gelu_(x.copy())) - whole).max() <= 1e-6
