"""ProteinMPNN: amino acids for a backbone (Dauparas et al., Science 378, 49 (2022)).

Shapes: N residues, K = min(48, N) neighbours of each, C = 128 channels, S sequences. Parameter
names are those of the published files. The first linear layer of every message is split by what
it multiplies, and the last one is applied after the sum over neighbours: only one product of the
three is left to each edge, and what depends on the backbone alone is computed once for all of
its sequences.

On a CPU a sequence is the same bit for bit in whatever company it is made: products over edges
are made residue by residue, products over sequences always have the same number of rows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import mlx.core as mx
import numpy as np

from pxtools.network import ops
from pxtools.structure.backbone import ideal_cb

ALPHABET = "ACDEFGHIKLMNPQRSTVWYX"
UNKNOWN = ALPHABET.index("X")
WIDTH = 128
N_NEIGHBOURS = 48
MESSAGE_SCALE = 30
N_LAYERS = 3
REACH = 32  # residues along a chain that the position of an edge tells apart
OTHER_CHAIN = 2 * REACH + 1
RBF_CENTRES = np.linspace(2, 22, 16, dtype=np.float32)  # Å
RBF_WIDTH = np.float32(1.25)  # Å
ATOMS = ("N", "CA", "C", "O", "CB")
# of a residue and of its neighbour, in the order of the weights
ATOM_PAIRS = (
    *("CA-CA", "N-N", "C-C", "O-O", "CB-CB", "CA-N", "CA-C", "CA-O", "CA-CB"),
    *("N-C", "N-O", "N-CB", "CB-C", "CB-O", "O-C"),
    *("N-CA", "C-CA", "O-CA", "CB-CA", "C-N", "O-N", "CB-N", "C-CB", "O-CB", "C-O"),
)
RESIDUES_AT_ONCE = 16  # on a CPU: their edges stay in a core's cache
ROWS_AT_ONCE = 256  # of all distances
SEATS = 8  # rows of a product over sequences on a CPU, filled or not
Array = Any  # of numpy or MLX


def parameters() -> dict[str, tuple[int, ...]]:
    """The shape of every tensor of a published file, by name."""
    c, wide = WIDTH, 4 * WIDTH
    linear = {"W_e": (c, c), "W_out": (len(ALPHABET), c)}
    linear["features.embeddings.linear"] = (16, OTHER_CHAIN + 1)
    norms = ["features.norm_edges"]
    for stack, n_inputs, last_norm in (("encoder_layers", 3, 3), ("decoder_layers", 4, 2)):
        for layer in (f"{stack}.{i}" for i in range(N_LAYERS)):
            linear |= {f"{layer}.W1": (c, n_inputs * c)}
            linear |= {f"{layer}.W2": (c, c), f"{layer}.W3": (c, c)}
            linear |= {f"{layer}.dense.W_in": (wide, c), f"{layer}.dense.W_out": (c, wide)}
            norms += [f"{layer}.norm{i}" for i in range(1, last_norm + 1)]
            if stack == "encoder_layers":
                linear |= {f"{layer}.W11": (c, n_inputs * c)}
                linear |= {f"{layer}.W12": (c, c), f"{layer}.W13": (c, c)}
    shapes: dict[str, tuple[int, ...]] = {"W_s.weight": (len(ALPHABET), c)}
    shapes["features.edge_embedding.weight"] = (c, 16 + 16 * len(ATOM_PAIRS))
    for name, shape in linear.items():
        shapes |= {f"{name}.weight": shape, f"{name}.bias": shape[:1]}
    for name in norms:
        shapes |= {f"{name}.weight": (c,), f"{name}.bias": (c,)}
    return shapes


@dataclass(frozen=True)
class Backbone:
    """N residues as the network sees them."""

    xyz: np.ndarray  # (N, 4, 3) N, CA, C, O in Å
    letters: np.ndarray  # (N,) indices into ALPHABET; those of designed residues are not read
    chain: np.ndarray  # (N,) number of the chain
    number: np.ndarray  # (N,) residue number, gaps and all
    designed: np.ndarray  # (N,) bool
    whole: np.ndarray  # (N,) bool: all four atoms are there


def by_residues(function: Callable[[slice], Array], n: int) -> Array:
    """`function` of consecutive slices of `n` residues, joined."""
    step = RESIDUES_AT_ONCE if ops.on_cpu() else max(1, n)
    parts = [function(slice(i, i + step)) for i in range(0, max(1, n), step)]
    return ops.namespace(parts[0]).concatenate(parts)


def take(x: Array, rows: Array) -> Array:
    return ops.namespace(x).take(x, rows, axis=0)


class Weights:
    """A model's tensors by name, as float32 arrays of the device's kind."""

    def __init__(self, tensors: Mapping[str, np.ndarray]):
        self.tensors = tensors

    def __call__(self, name: str) -> Array:
        return ops.array(self.tensors[name], np.float32)

    def columns(self, name: str, start: int = 0, end: int | None = None) -> Array:
        """(inputs from `start` to `end`, outputs) of a linear layer's weight."""
        weight = self.tensors[f"{name}.weight"].T[start:end]
        return ops.array(np.ascontiguousarray(weight, np.float32))


class Linear:
    """x W + b, with W kept as (inputs, outputs): one product for each of x's leading axes."""

    def __init__(self, weights: Weights, name: str, start: int = 0, end: int | None = None):
        self.weight = weights.columns(name, start, end)
        self.bias = weights(f"{name}.bias")

    def __call__(self, x: Array) -> Array:
        y = x @ self.weight
        y += self.bias
        return y


class LayerNorm:
    def __init__(self, weights: Weights, name: str):
        self.weight, self.bias = weights(f"{name}.weight"), weights(f"{name}.bias")

    def __call__(self, x: Array) -> Array:
        return ops.layer_norm(x, self.weight, self.bias)


class Message:
    """last(gelu(middle(gelu(first [own, edge, (letter,) other])))), `first` split by its inputs."""

    def __init__(self, weights: Weights, layer: str, names: str, n_inputs: int):
        first, middle, last = (f"{layer}.{name}" for name in names.split())
        parts = [weights.columns(first, i * WIDTH, (i + 1) * WIDTH) for i in range(1, n_inputs)]
        self.own = Linear(weights, first, 0, WIDTH)
        self.edge, self.other = parts[0], parts[-1]
        self.letter = parts[1]  # a decoder's
        self.middle, self.last = Linear(weights, middle), Linear(weights, last)

    def hidden(self, own: Array, edge: Array, other: Array) -> Array:
        """What `last` is applied to, (n, K, C), from first's shares (n, C) and twice (n, K, C)."""
        x = edge + other
        x += own[:, None]
        return ops.gelu_(self.middle(ops.gelu_(x)))


class Layer:
    """A layer of the encoder (3 inputs to its messages) or of the decoder (4)."""

    def __init__(self, weights: Weights, name: str, n_inputs: int):
        self.message = Message(weights, name, "W1 W2 W3", n_inputs)
        self.norm1 = LayerNorm(weights, f"{name}.norm1")
        self.norm2 = LayerNorm(weights, f"{name}.norm2")
        self.widen = Linear(weights, f"{name}.dense.W_in")
        self.narrow = Linear(weights, f"{name}.dense.W_out")

    def update(self, h: Array, hidden: Array, count: Array | int) -> Array:
        """States (n, C) after the sum (n, C) of hidden messages from `count` neighbours."""
        last = self.message.last
        h = self.norm1(h + (hidden @ last.weight + count * last.bias) / MESSAGE_SCALE)
        return self.norm2(h + self.narrow(ops.gelu_(self.widen(h))))


class EncoderLayer(Layer):
    def __init__(self, weights: Weights, name: str):
        super().__init__(weights, name, 3)
        self.edge_message = Message(weights, name, "W11 W12 W13", 3)
        self.norm3 = LayerNorm(weights, f"{name}.norm3")

    def __call__(
        self, h: Array, edges: Array, neighbours: Array, mask: Array
    ) -> tuple[Array, Array]:
        """Node states (N, C) and edge states (N, K, C) after this layer."""
        n = len(h)
        heard = mask[:, None] * take(mask, neighbours)
        message = self.message
        own, other = message.own(h), h @ message.other

        def hidden(rows: slice) -> Array:
            gathered = take(other, neighbours[rows])
            x = message.hidden(own[rows], edges[rows] @ message.edge, gathered)
            return (heard[rows][:, None] @ x)[:, 0]

        total = by_residues(hidden, n)
        h = self.update(h, total, heard.sum(1)[:, None]) * mask[:, None]
        message = self.edge_message
        own, other = message.own(h), h @ message.other

        def edge_states(rows: slice) -> Array:
            gathered = take(other, neighbours[rows])
            x = message.hidden(own[rows], edges[rows] @ message.edge, gathered)
            return self.norm3(edges[rows] + message.last(x))

        return h, by_residues(edge_states, n)


class DecoderLayer(Layer):
    def __init__(self, weights: Weights, name: str):
        super().__init__(weights, name, 4)
        self.letters = weights("W_s.weight") @ self.message.letter  # (21, C)

    def decided(self, h: Array, letters: Array) -> Array:
        """What residues of known letters tell their neighbours."""
        return take(self.letters, letters) + h @ self.message.other

    def undecided(self, nodes: Array) -> Array:
        """What residues tell that have no letter yet: their encoder state, in every layer."""
        return nodes @ self.message.other


@dataclass(frozen=True)
class Graph:
    """Encoded backbones of the same number L of residues, one after the other in N rows."""

    n_backbones: int
    neighbours: np.ndarray  # (N, K) rows
    whole: np.ndarray  # (N,) bool
    nodes: Array  # (N, C)
    edges: Array  # (N, K, C)

    @property
    def length(self) -> int:
        return len(self.whole) // self.n_backbones


@dataclass(frozen=True)
class Context:
    """What all sequences of a graph share once its fixed residues are decoded."""

    told: list[Array]  # (N, C) for each decoder layer: what a residue tells its neighbours
    edges: list[Array]  # (designed rows, K, C) for each decoder layer
    edge_row: np.ndarray  # (N,) place of a designed row in `edges`
    log_probs: np.ndarray  # (N, 21), 0 where a residue is designed


@dataclass(frozen=True)
class Draw:
    """What one sequence is made from besides its backbone."""

    number: int
    backbone: int  # of the graph
    order: np.ndarray  # (M,) the designed residues of the L in the order they are decided
    gumbel: np.ndarray  # (L, 21)


@dataclass(frozen=True)
class Seats:
    """Draws by the row they have in products over sequences; rows may be left empty."""

    taken: np.ndarray  # (S,) the seat of each draw
    order: np.ndarray  # (seats, M)
    gumbel: np.ndarray  # (seats, L, 21) float32
    first: np.ndarray  # (seats,) the graph's row where the seat's backbone begins

    @classmethod
    def of(cls, draws: Sequence[Draw], length: int) -> Seats:
        """On a CPU a draw's number says which of SEATS is its own; on a GPU all are in a row."""
        seats = SEATS if ops.on_cpu() else len(draws)
        taken = np.array([d.number % seats if ops.on_cpu() else i for i, d in enumerate(draws)])
        order = np.zeros((seats, len(draws[0].order)), np.int64)
        gumbel = np.zeros((seats, length, len(ALPHABET)), np.float32)
        first = np.zeros(seats, np.int64)
        for seat, draw in zip(taken, draws, strict=True):
            order[seat], gumbel[seat] = draw.order, draw.gumbel
            first[seat] = draw.backbone * length
        return cls(taken, order, gumbel, first)


class ProteinMPNN:
    """The network, from the tensors of a published file by name."""

    def __init__(self, tensors: Mapping[str, np.ndarray]):
        weights = Weights(tensors)
        embedding = weights.columns("features.edge_embedding")
        position = Linear(weights, "features.embeddings.linear")
        position_shares = (position.weight + position.bias) @ embedding[:16]  # (66, C)
        self.position, self.distances = position_shares, embedding[16:]
        self.norm_edges = LayerNorm(weights, "features.norm_edges")
        self.edge_states = Linear(weights, "W_e")
        self.encoder = [EncoderLayer(weights, f"encoder_layers.{i}") for i in range(N_LAYERS)]
        self.decoder = [DecoderLayer(weights, f"decoder_layers.{i}") for i in range(N_LAYERS)]
        self.logits = Linear(weights, "W_out")

    def encode(self, backbones: Sequence[Backbone]) -> Graph:
        """Encode backbones of the same length; only one at a time has the same bits on a CPU."""
        found = [nearest(backbone) for backbone in backbones]
        length = len(backbones[0].whole)
        neighbours = np.concatenate([near + i * length for i, (near, _) in enumerate(found)])
        whole = np.concatenate([backbone.whole for backbone in backbones])
        parts = [self.edge_features(b, *near) for b, near in zip(backbones, found, strict=True)]
        edges = ops.namespace(parts[0]).concatenate(parts)
        edges = by_residues(lambda rows: self.edge_states(edges[rows]), len(whole))
        nodes = ops.array(np.zeros((len(whole), WIDTH), np.float32))
        index, mask = ops.array(neighbours), ops.array(whole, np.float32)
        for layer in self.encoder:
            nodes, edges = layer(nodes, edges, index, mask)
        return Graph(len(backbones), neighbours, whole, nodes, edges)

    def edge_features(self, backbone: Backbone, near: np.ndarray, ca_ca: np.ndarray) -> Array:
        """(L, K, C) from the distances of 25 atom pairs and the positions along the chains."""
        xyz = np.concatenate([backbone.xyz, ideal_cb(backbone.xyz)[:, None]], 1)
        atoms = dict(zip(ATOMS, xyz.swapaxes(0, 1).astype(np.float32), strict=True))
        pairs = [pair.split("-") for pair in ATOM_PAIRS[1:]]
        apart = np.clip(backbone.number[:, None] - backbone.number[near] + REACH, 0, 2 * REACH)
        same_chain = backbone.chain[:, None] == backbone.chain[near]
        steps = ops.array(np.where(same_chain, apart, OTHER_CHAIN))
        centres = ops.array(RBF_CENTRES / RBF_WIDTH)

        def features(rows: slice) -> Array:
            d = [distances(atoms[a][rows, None], atoms[b][near[rows]]) for a, b in pairs]
            widths = np.stack([ca_ca[rows], *d], -1) / RBF_WIDTH
            x = ops.array(widths, np.float32)[..., None] - centres
            x = ops.namespace(x).exp(x * -x).reshape(*near[rows].shape, -1)
            return self.norm_edges(x @ self.distances + take(self.position, steps[rows]))

        return by_residues(features, len(near))

    def log_probs(self, graph: Graph, letters: np.ndarray, rank: np.ndarray) -> np.ndarray:
        """(N, 21) of known letters (N,), where a residue sees those of lower rank (N,)."""
        rows = np.arange(len(letters))
        states = self.decoder_states(graph, letters, rank, rows)
        return log_softmax(np.array(self.logits(states[-1])))

    def decoder_states(
        self, graph: Graph, letters: np.ndarray, rank: np.ndarray, rows: np.ndarray
    ) -> list[Array]:
        """States (N, C) before and after each layer, those of `rows` decoded with their letters."""
        near = graph.neighbours[rows]
        is_seen = rank[near] < rank[rows][:, None]
        index, at, given = map(ops.array, (near + is_seen * len(letters), rows, letters))
        mask = ops.array(graph.whole[rows][:, None], np.float32)
        states = [graph.nodes]
        for layer in self.decoder:
            told = [layer.undecided(graph.nodes), layer.decided(states[-1], given)]
            told = ops.namespace(graph.nodes).concatenate(told)
            h = take(states[-1], at)
            total = _hidden_sums(layer.message, h, graph.edges, at, told, index)
            after = states[-1] + 0
            after[at] = layer.update(h, total, near.shape[1]) * mask
            states.append(after)
        return states

    def context(self, graph: Graph, letters: np.ndarray, order: np.ndarray) -> Context:
        """Decode the fixed residues, rows of `graph` in an order, all before the designed ones."""
        n, given = len(graph.whole), ops.array(letters)
        rank = np.full(n, n)
        rank[order] = np.arange(len(order))
        is_fixed = (rank < n)[:, None]
        states = self.decoder_states(graph, letters, rank, np.sort(order))
        where = ops.namespace(graph.nodes).where
        told = [
            where(ops.array(is_fixed), layer.decided(h, given), layer.undecided(graph.nodes))
            for layer, h in zip(self.decoder, states[:-1], strict=True)
        ]
        designed = np.flatnonzero(rank == n)
        edges = take(graph.edges, ops.array(designed))
        edge_row = np.zeros(n, np.int64)
        edge_row[designed] = np.arange(len(designed))
        log_probs = log_softmax(np.array(self.logits(states[-1])))
        return Context(
            told,
            [edges @ layer.message.edge for layer in self.decoder],
            edge_row,
            np.where(is_fixed, log_probs, 0),
        )

    def sample(
        self,
        graph: Graph,
        context: Context,
        draws: Sequence[Draw],
        temperature: float,
        bias: np.ndarray,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Letters (S, M) of each draw's designed residues, in its order, and log-probs (S, M, 21).

        A letter is the argmax of logits + bias + temperature gumbel; `bias` (21,) is -inf for
        letters to leave out, and log-probs are those without it, at temperature 1. On a CPU the
        draws' numbers differ modulo SEATS.
        """
        seats = Seats.of(draws, graph.length)
        taken, everyone = ops.array(seats.taken), np.arange(len(seats.order))
        own_first = everyone * graph.length  # in `told`, where each sequence has rows of its own
        rows = ops.array((seats.first[:, None] + np.arange(graph.length)).ravel())
        told = [take(table, rows) for table in context.told]
        offset = ops.array(bias, np.float32)
        letters, logits = [], []
        for place in seats.order.T:
            row = seats.first + place
            near = graph.neighbours[row] + (own_first - seats.first)[:, None]
            edge_row = ops.array(context.edge_row[row[seats.taken]])
            edges = [take(edge, edge_row) for edge in context.edges]
            h = take(graph.nodes, ops.array(row))
            states, logit = self._decode(h, edges, told, ops.array(near[seats.taken]), taken)
            drawn = ops.array(temperature * seats.gumbel[everyone, place], np.float32)
            letter = (logit + offset + drawn).argmax(-1)
            at = ops.array(own_first + place)
            for layer, table, state in zip(self.decoder, told, states, strict=True):
                table[at] = layer.decided(state, letter)
            if not ops.on_cpu():
                mx.async_eval(letter, logit, told)
            letters.append(letter)
            logits.append(logit)
        stack = ops.namespace(letters[0]).stack
        chosen, found = (np.array(stack(x, 1))[seats.taken] for x in (letters, logits))
        return chosen, log_softmax(found)

    def _decode(
        self, h: Array, edges: list[Array], told: list[Array], near: Array, taken: Array
    ) -> tuple[list[Array], Array]:
        """States (seats, C) before each layer and the logits (seats, 21) of one residue each."""
        states = []
        for layer, edge, table in zip(self.decoder, edges, told, strict=True):
            states.append(h)
            own = take(layer.message.own(h), taken)
            hidden = layer.message.hidden(own, edge, take(table, near))
            total = ops.namespace(h).zeros_like(h)
            total[taken] = hidden.sum(1)
            h = layer.update(h, total, near.shape[1])
        return states, self.logits(h)


def _hidden_sums(
    message: Message, h: Array, edges: Array, at: Array, told: Array, index: Array
) -> Array:
    """(n, C) over all neighbours, masked ones too, of the rows `at`, whose states are `h`."""
    own = message.own(h)

    def hidden(rows: slice) -> Array:
        edge = take(edges, at[rows]) @ message.edge
        return message.hidden(own[rows], edge, take(told, index[rows])).sum(1)

    return by_residues(hidden, len(own))


def nearest(backbone: Backbone) -> tuple[np.ndarray, np.ndarray]:
    """The K nearest residues of each by CA, itself first, (L, K), and their distances in Å.

    Residues that are not whole count as far as the farthest one of the row.
    """
    ca, whole = backbone.xyz[:, ATOMS.index("CA")].astype(np.float64), backbone.whole
    near, far = [], []
    for start in range(0, len(ca), ROWS_AT_ONCE):
        rows = slice(start, start + ROWS_AT_ONCE)
        both = whole[rows, None] & whole
        apart = distances(ca[rows, None], ca) * both
        apart = np.where(both, apart, apart.max(1, keepdims=True))
        near.append(np.argsort(apart, axis=1, kind="stable")[:, :N_NEIGHBOURS])
        far.append(np.take_along_axis(apart, near[-1], 1))
    return np.concatenate(near), np.concatenate(far)


def distances(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Å between points of the last axis; 0.001 between a point and itself, as in training."""
    between = a - b
    squared: np.ndarray = np.einsum("...i,...i->...", between, between)
    squared += squared.dtype.type(1e-6)
    np.sqrt(squared, out=squared)
    return squared


def log_softmax(logits: np.ndarray) -> np.ndarray:
    x = logits.astype(np.float64)
    x -= x.max(-1, keepdims=True)
    x -= np.log(np.exp(x).sum(-1, keepdims=True))
    return x
