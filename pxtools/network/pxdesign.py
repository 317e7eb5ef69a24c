"""PXDesign-d: AlphaFold 3's diffusion module, conditioned on a target structure.

Shapes: S samples, T tokens, A atoms, W = ceil(A / 32) local windows of 32 queries x 128 keys.
Arrays are numpy's on a CPU and MLX's on a GPU (ops.py).
"Alg. n" are the algorithms of Abramson et al. 2024, supplement. Parameter names are those of the
published checkpoint. What depends on the task alone is computed by `condition`, once per task;
what depends on the noise level by `at_noise_level`, once per step for all samples.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Generic, NamedTuple, TypeVar

import mlx.core as mx
import mlx.nn as nn
import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from pxtools.network import ops
from pxtools.network.config import Config, Depth
from pxtools.network.features import Features, one_hot
from pxtools.network.ops import A, Linear
from pxtools.structure.residues import N_RESTYPES

N_ELEMENTS = 128
N_NAME_CHARS = 4 * 64
GPU_ACTIVATION_BYTES = 4_000_000_000
ScaleShift = tuple[A, A]
AttentionModulation = tuple[ScaleShift[A], A, ScaleShift[A] | None]  # its gate, the keys' own
TransitionModulation = tuple[ScaleShift[A], A]
BlockModulation = tuple[AttentionModulation[A], TransitionModulation[A]]
W = TypeVar("W")


def linear(n_in: int, n_out: int, bias: bool = False) -> Linear:
    return Linear(n_in, n_out, bias=bias)


class LayerNorm(nn.Module):
    """Layer norm with a weight and, as an option, a bias."""

    def __init__(self, width: int, bias: bool = False):
        super().__init__()
        self.weight = mx.ones(width)
        if bias:
            self.bias = mx.zeros(width)

    def __call__(self, x: A) -> A:
        return ops.layer_norm(x, self.weight, self.get("bias"))


class AdaptiveLayerNorm(nn.Module):
    """Alg. 26; the modulation sees only the conditioning, so it is computed apart."""

    def __init__(self, c_a: int, c_s: int):
        super().__init__()
        self.layernorm_s = LayerNorm(c_s)
        self.linear_s = linear(c_s, c_a, bias=True)
        self.linear_nobias_s = linear(c_s, c_a)

    def modulation(self, s: A) -> ScaleShift[A]:
        s = self.layernorm_s(s)
        return ops.sigmoid_(self.linear_s(s)), self.linear_nobias_s(s)

    def __call__(self, a: A, modulation: ScaleShift[A]) -> A:
        scale, shift = modulation
        a = ops.layer_norm(a)
        a *= scale
        a += shift
        return a


class Attention(nn.Module):
    """Gated multi-head attention; `windows` turns it into local attention over atoms."""

    def __init__(self, width: int, n_heads: int):
        super().__init__()
        self.n_heads = n_heads
        self.linear_q = linear(width, width, bias=True)
        self.linear_k = linear(width, width)
        self.linear_v = linear(width, width)
        self.linear_g = linear(width, width)
        self.linear_o = linear(width, width)

    def __call__(self, x: A, x_kv: A, bias: A, windows: Windows | None) -> A:
        is_self = x_kv is x
        x = self.linear_q.rounded(x)
        x_kv = x if is_self else self.linear_k.rounded(x_kv)
        q, k, v, gate = ops.side_by_side(
            lambda: self.linear_q(x),
            lambda: self.linear_k(x_kv),
            lambda: self.linear_v(x_kv),
            lambda: ops.sigmoid_(self.linear_g(x)),
        )
        if windows is None:
            q, k, v = (self.split_heads(y[:, None]) for y in (q, k, v))
        else:
            q = self.split_heads(windows.queries(q))
            k, v = self.split_heads(windows.keys(k)), self.split_heads(windows.keys(v))
        in_bfloat16 = windows is None and self.linear_q.is_in_bfloat16  # local ones gain nothing
        out = ops.attention(q, k, v, bias, in_bfloat16=in_bfloat16)
        out = self.join_heads(out)[:, : x.shape[1]]
        out *= gate
        return self.linear_o(out)

    def split_heads(self, x: A) -> A:
        """(S, W, n, width) -> (S, W, heads, n, width / heads)"""
        return x.reshape(*x.shape[:3], self.n_heads, -1).swapaxes(2, 3)

    def join_heads(self, x: A) -> A:
        """(S, W, heads, n, width / heads) -> (S, W n, width)"""
        x = x.swapaxes(2, 3)
        return x.reshape(x.shape[0], -1, self.n_heads * x.shape[-1])


class AttentionPairBias(nn.Module):
    """Alg. 24, with PXDesign's second AdaLN for the keys of the atom transformers."""

    def __init__(self, c_a: int, c_s: int, c_z: int, n_heads: int, cross: bool):
        super().__init__()
        self.layernorm_a = AdaptiveLayerNorm(c_a, c_s)
        if cross:
            self.layernorm_kv = AdaptiveLayerNorm(c_a, c_s)
        self.attention = Attention(c_a, n_heads)
        self.layernorm_z = LayerNorm(c_z)
        self.linear_nobias_z = linear(c_z, n_heads)
        self.linear_a_last = linear(c_s, c_a, bias=True)

    def pair_weight(self, like: A) -> A:
        """(heads, c_z), of the normalised pairs to a bias."""
        weights = (self.linear_nobias_z.weight, self.layernorm_z.weight)
        projection, norm = (ops.parameter(w, like) for w in weights)
        return projection * norm

    def modulation(self, s: A) -> AttentionModulation[A]:
        kv = self.layernorm_kv.modulation(s) if "layernorm_kv" in self else None
        return self.layernorm_a.modulation(s), ops.sigmoid_(self.linear_a_last(s)), kv

    def __call__(
        self, a: A, bias: A, modulation: AttentionModulation[A], windows: Windows | None
    ) -> A:
        own, gate, kv = modulation
        x = self.layernorm_a(a, own)
        x_kv = self.layernorm_kv(x, kv) if kv else x
        out = self.attention(x, x_kv, bias, windows)
        out *= gate
        return out


class ConditionedTransition(nn.Module):
    """Alg. 25: SwiGLU with adaptive layer norm and an output gate."""

    def __init__(self, c_a: int, c_s: int, factor: int = 2):
        super().__init__()
        self.adaln = AdaptiveLayerNorm(c_a, c_s)
        self.linear_nobias_a1 = linear(c_a, factor * c_a)
        self.linear_nobias_a2 = linear(c_a, factor * c_a)
        self.linear_nobias_b = linear(factor * c_a, c_a)
        self.linear_s = linear(c_s, c_a, bias=True)

    def modulation(self, s: A) -> TransitionModulation[A]:
        return self.adaln.modulation(s), ops.sigmoid_(self.linear_s(s))

    def __call__(self, a: A, modulation: TransitionModulation[A]) -> A:
        own, gate = modulation
        x = self.linear_nobias_a1.rounded(self.adaln(a, own))
        wide = ops.side_by_side(lambda: self.linear_nobias_a1(x), lambda: self.linear_nobias_a2(x))
        out = self.linear_nobias_b(ops.swish_gated_(*wide))
        out *= gate
        return out


class TransformerBlock(nn.Module):
    def __init__(self, c_a: int, c_s: int, c_z: int, n_heads: int, cross: bool):
        super().__init__()
        self.attention_pair_bias = AttentionPairBias(c_a, c_s, c_z, n_heads, cross)
        self.conditioned_transition_block = ConditionedTransition(c_a, c_s)

    def modulation(self, s: A) -> BlockModulation[A]:
        return (
            self.attention_pair_bias.modulation(s),
            self.conditioned_transition_block.modulation(s),
        )

    def __call__(
        self, a: A, bias: A, modulation: BlockModulation[A], windows: Windows | None = None
    ) -> A:
        attended = self.attention_pair_bias(a, bias, modulation[0], windows)
        attended += a
        out = self.conditioned_transition_block(attended, modulation[1])
        out += attended
        return out


class DiffusionTransformer(nn.Module):
    """Alg. 23."""

    def __init__(self, c_a: int, c_s: int, c_z: int, depth: Depth, cross: bool = False):
        super().__init__()
        self.blocks = [
            TransformerBlock(c_a, c_s, c_z, depth.n_heads, cross) for _ in range(depth.n_blocks)
        ]

    def pair_biases(self, z: A) -> list[A]:
        """(W, Q, K, c_z) -> for each block (W, heads, Q, K), in the precision of its attention.

        z is normalised once for all, and its product with their weights is one.
        """
        parts = [block.attention_pair_bias for block in self.blocks]
        weights = ops.namespace(z).concatenate([part.pair_weight(z) for part in parts])
        n_windows, n_queries, n_keys, width = z.shape
        flat = ops.layer_norm(z).reshape(n_windows, -1, width)
        biases = weights @ flat.swapaxes(-1, -2)
        biases = biases.reshape(n_windows, len(parts), -1, n_queries, n_keys)
        return [
            ops.contiguous(biases[:, i], part.attention.linear_q) for i, part in enumerate(parts)
        ]

    def modulations(self, s: A) -> list[BlockModulation[A]]:
        return ops.on_cores(lambda block: block.modulation(s), self.blocks)

    def __call__(
        self,
        a: A,
        biases: list[A],
        modulations: list[BlockModulation[A]],
        windows: Windows | None = None,
    ) -> A:
        for block, bias, modulation in zip(self.blocks, biases, modulations, strict=True):
            a = block(a, bias, modulation, windows)
        return a


class AtomTransformer(nn.Module):
    """Alg. 7: a diffusion transformer over local windows of atoms."""

    def __init__(self, config: Config, depth: Depth):
        super().__init__()
        c_atom = config.c_atom
        self.diffusion_transformer = DiffusionTransformer(
            c_atom, c_atom, config.c_atompair, depth, cross=True
        )

    def condition(self, c: A, p: A, windows: Windows) -> AtomCondition[A]:
        transformer = self.diffusion_transformer
        biases = transformer.pair_biases(p)
        outside = np.where(windows.key_exists, 0, -1e10)[:, None, None]  # (W, 1, 1, K)
        mask = ops.array(outside, np.float32)
        biases = [bias + mask.astype(bias.dtype) for bias in biases]
        return AtomCondition(biases, transformer.modulations(c))

    def __call__(self, q: A, condition: AtomCondition[A], windows: Windows) -> A:
        return self.diffusion_transformer(q, condition.biases, condition.modulations, windows)


class AtomCondition(NamedTuple, Generic[A]):
    biases: list[A]
    modulations: list[BlockModulation[A]]


class Windows:
    """Local attention (AF3 section 3.4): 32 queries, the 128 keys around them."""

    def __init__(self, n_atoms: int, n_queries: int, n_keys: int):
        self.count = math.ceil(n_atoms / n_queries)
        self.n_queries, self.n_keys, self.n_atoms = n_queries, n_keys, n_atoms
        self.before = (n_keys - n_queries) // 2  # keys before the first query
        starts = np.arange(self.count)[:, None] * n_queries
        query_index = starts + np.arange(n_queries)
        key_index = starts + np.arange(n_keys) - self.before
        self.query_exists = query_index < n_atoms
        self.key_exists = (key_index >= 0) & (key_index < n_atoms)
        self.query_index = np.minimum(query_index, n_atoms - 1)
        self.key_index = np.clip(key_index, 0, n_atoms - 1)

    def queries(self, x: A) -> A:
        """(S, A, c) -> (S, W, 32, c), zeros after the last atom"""
        after = self.count * self.n_queries - self.n_atoms
        x = ops.pad(x, 0, after)
        return x.reshape(x.shape[0], self.count, self.n_queries, x.shape[-1])

    def keys(self, x: A) -> A:
        """(S, A, c) -> (S, W, 128, c); keys that do not exist are masked by the bias"""
        if isinstance(x, mx.array):
            return mx.take(x, mx.array(self.key_index), axis=1)
        after = (self.count - 1) * self.n_queries + self.n_keys - self.before - self.n_atoms
        x = ops.pad(x, self.before, after)
        windows = sliding_window_view(x, self.n_keys, axis=1)[:, :: self.n_queries]
        return windows.swapaxes(2, 3)  # of the padded atoms' memory

    def query_rows(self, x: A) -> A:
        """(A, c) -> (W, 32, 1, c), zeros for queries that do not exist"""
        rows = ops.namespace(x).take(x, ops.array(self.query_index), axis=0)
        return (rows * ops.array(self.query_exists)[..., None])[:, :, None]

    def key_rows(self, x: A) -> A:
        """(A, c) -> (W, 1, 128, c), zeros for keys that do not exist"""
        rows = ops.namespace(x).take(x, ops.array(self.key_index), axis=0)
        return (rows * ops.array(self.key_exists)[..., None])[:, None]


class AtomInputs(NamedTuple, Generic[A]):
    """The features of the atoms, ready for the encoders."""

    ref_pos: A  # (A, 3)
    ref_charge: A  # (A, 1)
    identity: A  # (A, 1 + 128 + 256): ref_mask, element and name one-hots
    atom_to_token: A  # (A,)
    pool: A  # (T, A): the mean over a token's atoms
    windows: Windows

    @classmethod
    def of(cls, features: Features, ref_pos: np.ndarray, config: Config) -> AtomInputs[Any]:
        n_atoms, of_token = len(ref_pos), features.atom_to_token
        names = one_hot(features.ref_name_chars, 64).reshape(n_atoms, -1)
        identity = [np.ones((n_atoms, 1)), one_hot(features.ref_element, N_ELEMENTS), names]
        pool = one_hot(of_token, features.n_tokens).T
        return cls(
            ops.array(ref_pos, np.float32),
            ops.array(features.ref_charge[:, None], np.float32),
            ops.array(np.concatenate(identity, axis=1), np.float32),
            ops.array(of_token),
            ops.array(pool / pool.sum(1, keepdims=True), np.float32),
            Windows(n_atoms, config.n_queries, config.n_keys),
        )


class ReLU(nn.Module):
    def __call__(self, x: A) -> A:
        return ops.namespace(x).maximum(x, 0)


class AtomAttentionEncoder(nn.Module):
    """Alg. 5: atoms to tokens; with noisy coordinates in the denoiser, without in the embedder."""

    def __init__(self, config: Config, depth: Depth, c_out: int, with_coordinates: bool):
        super().__init__()
        c_atom, c_pair = config.c_atom, config.c_atompair
        self.linear_no_bias_ref_pos = linear(3, c_atom)
        self.linear_no_bias_ref_charge = linear(1, c_atom)
        self.linear_no_bias_f = linear(1 + N_ELEMENTS + N_NAME_CHARS, c_atom)
        self.linear_no_bias_d = linear(3, c_pair)
        self.linear_no_bias_invd = linear(1, c_pair)
        self.linear_no_bias_v = linear(1, c_pair)
        if with_coordinates:
            self.layernorm_z = LayerNorm(config.c_z)
            self.linear_no_bias_z = linear(config.c_z, c_pair)
            self.linear_no_bias_r = linear(3, c_atom)
        self.linear_no_bias_cl = linear(c_atom, c_pair)
        self.linear_no_bias_cm = linear(c_atom, c_pair)
        self.relu = relu = ReLU()
        self.small_mlp = [x for _ in range(3) for x in (relu, linear(c_pair, c_pair))]
        self.atom_transformer = AtomTransformer(config, depth)
        self.linear_no_bias_q = linear(c_atom, c_out)

    def condition(
        self, atoms: AtomInputs[A], pairs: Pairs[A] | None = None
    ) -> tuple[A, A, AtomCondition[A]]:
        """What depends on the task alone: c (A, c_atom), p (W, 32, 128, c_pair), and from them."""
        c = self.linear_no_bias_ref_pos(atoms.ref_pos) + self.linear_no_bias_f(atoms.identity)
        charge = ops.namespace(c).arcsinh(atoms.ref_charge)
        c = c + self.linear_no_bias_ref_charge(charge)
        p = self.reference_pairs(atoms)
        windows = atoms.windows
        if pairs is not None:
            p = p + self.token_pairs(atoms, pairs)
        relu_c = self.relu(c)
        p = p + windows.query_rows(self.linear_no_bias_cl(relu_c))
        p = p + windows.key_rows(self.linear_no_bias_cm(relu_c))
        mlp = p
        for layer in self.small_mlp:
            mlp = layer(mlp)
        p = p + mlp
        return c, p, self.atom_transformer.condition(c, p, windows)

    def reference_pairs(self, atoms: AtomInputs[A]) -> A:
        """Distances within the reference conformer of each residue, (W, 32, 128, c_pair)."""
        windows = atoms.windows
        d = windows.query_rows(atoms.ref_pos) - windows.key_rows(atoms.ref_pos)
        uid = atoms.atom_to_token[:, None]
        same = (windows.query_rows(uid) == windows.key_rows(uid)).astype(d.dtype)
        exists = ops.array(windows.query_exists[:, :, None] & windows.key_exists[:, None, :])
        inverse = 1 / (1 + (d * d).sum(-1, keepdims=True))
        return (
            self.linear_no_bias_d(d) * same * exists[..., None]
            + self.linear_no_bias_invd(inverse) * same
            + self.linear_no_bias_v(same)
        )

    def token_pairs(self, atoms: AtomInputs[A], pairs: Pairs[A]) -> A:
        """The projected pairs of the tokens of each atom pair, (W, 32, 128, c_atompair)."""
        windows = atoms.windows
        uid = atoms.atom_to_token[:, None]
        of_query = windows.query_rows(uid)[..., 0]
        of_key = windows.key_rows(uid)[..., 0]
        projected = self.linear_no_bias_z(self.layernorm_z(pairs.z))
        return ops.namespace(uid).take(projected, pairs.kind[of_query, of_key], axis=0)

    def __call__(self, q: A, condition: AtomCondition[A], atoms: AtomInputs[A]) -> tuple[A, A]:
        """q (S, A, c_atom) -> tokens (S, T, c_out), atoms (S, A, c_atom)"""
        q = self.atom_transformer(q, condition, atoms.windows)
        return atoms.pool @ self.relu(self.linear_no_bias_q(q)), q


class AtomAttentionDecoder(nn.Module):
    """Alg. 6: tokens back to a shift of every atom."""

    def __init__(self, config: Config):
        super().__init__()
        self.linear_no_bias_a = linear(config.c_token, config.c_atom)
        self.atom_transformer = AtomTransformer(config, config.atom_decoder)
        self.layernorm_q = LayerNorm(config.c_atom)
        self.linear_no_bias_out = linear(config.c_atom, 3)

    def __call__(self, a: A, q_skip: A, condition: AtomCondition[A], atoms: AtomInputs[A]) -> A:
        q = ops.namespace(a).take(self.linear_no_bias_a(a), atoms.atom_to_token, axis=1)
        q += q_skip
        q = self.atom_transformer(q, condition, atoms.windows)
        return self.linear_no_bias_out(self.layernorm_q(q))


class Transition(nn.Module):
    """Alg. 11, SwiGLU."""

    def __init__(self, width: int, factor: int = 2):
        super().__init__()
        self.layernorm1 = LayerNorm(width, bias=True)
        self.linear_no_bias_a = linear(width, factor * width)
        self.linear_no_bias_b = linear(width, factor * width)
        self.linear_no_bias = linear(factor * width, width)

    def __call__(self, x: A) -> A:
        x = self.layernorm1(x)
        wide = ops.swish_gated_(self.linear_no_bias_a(x), self.linear_no_bias_b(x))
        return self.linear_no_bias(wide)


class InputEmbedder(nn.Module):
    """Single features of the tokens (Alg. 2, PXDesign's columns)."""

    def __init__(self, config: Config):
        super().__init__()
        self.atom_attention_encoder = AtomAttentionEncoder(
            config, config.condition_embedder_atom_encoder, config.c_token_embedder, False
        )
        # plddt, hotspot and two one-hots of 4 follow the restype
        n_columns = config.c_token_embedder + N_RESTYPES + 1 + 1 + 4 + 4
        self.input_map = linear(n_columns, config.c_s_inputs, bias=True)

    def __call__(self, features: Features, atoms: AtomInputs[A]) -> A:
        c, _, condition = self.atom_attention_encoder.condition(atoms)
        a, _ = self.atom_attention_encoder(c[None], condition, atoms)
        n_tokens = features.n_tokens
        first_of_4 = np.tile(one_hot(np.array(0), 4), (n_tokens, 1))
        columns = [
            one_hot(features.restype, N_RESTYPES),
            np.zeros((n_tokens, 1)),
            features.hotspot[:, None],
            first_of_4,
            first_of_4,
        ]
        rest = ops.array(np.concatenate(columns, axis=1), np.float32)
        return self.input_map(ops.namespace(rest).concatenate([a[0], rest], axis=-1))


class Pairs(NamedTuple, Generic[A]):
    """The pair representation, (T, T, c_z) as z[kind].

    A pair's row depends on its two tokens' distance bin and relative position alone, and is a
    function of them: of a million pairs a few thousand differ.
    """

    z: A  # (U, c_z)
    kind: A  # (T, T), of U


def distinct(classes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The columns of `classes` (n, T, T) that differ (n, U), and which each pair has (T, T)."""
    columns = classes.reshape(len(classes), -1)
    code = np.ravel_multi_index(tuple(columns), tuple(columns.max(1) + 1))
    _, first, kind = np.unique(code, return_index=True, return_inverse=True)
    return columns[:, first], kind.reshape(classes.shape[1:])


class TemplateEmbedder(nn.Module):
    """The target's distance bins, row 0 for pairs that are not known."""

    def __init__(self, config: Config):
        super().__init__()
        self.embedder = nn.Embedding(config.no_templ_bins + 1, config.c_z)

    def __call__(self, bins: A) -> A:
        return ops.namespace(bins).take(ops.parameter(self.embedder.weight, bins), bins, axis=0)

    @staticmethod
    def bins(features: Features) -> np.ndarray:
        """(T, T)"""
        return features.template_mask * (1 + features.template)


class ConditionEmbedder(nn.Module):
    """Gives s_inputs (T, c_s_inputs) and z (T, T, c_z) of a task."""

    def __init__(self, config: Config):
        super().__init__()
        self.input_embedder = InputEmbedder(config)
        self.condition_template_embedder = TemplateEmbedder(config)


class RelativePositionEncoding(nn.Module):
    """Alg. 3, r_max 32 and s_max 2."""

    R_MAX, S_MAX = 32, 2

    def __init__(self, c_z: int):
        super().__init__()
        self.linear_no_bias = linear(4 * self.R_MAX + 4 + 1 + 2 * self.S_MAX + 2, c_z)

    def __call__(self, classes: A) -> A:
        """(..., c_z) of (4, ...): the sum of four looked-up columns, which is the product with
        the concatenated one-hots."""
        n_r = 2 * self.R_MAX + 2
        same_entity, residue, token, sym = classes
        columns = ops.parameter(self.linear_no_bias.weight, classes).T  # (139, c_z)
        out = same_entity.astype(columns.dtype)[..., None] * columns[2 * n_r]
        for index in (residue, n_r + token, 2 * n_r + 1 + sym):
            out += ops.namespace(out).take(columns, index, axis=0)
        return out

    def classes(self, features: Features) -> np.ndarray:
        """(4, T, T): same entity or not, and relative residue, token and chain."""
        same_chain = pairwise_equal(features.asym_id)
        same_residue = same_chain & pairwise_equal(features.residue_index)
        same_entity = pairwise_equal(features.entity_id)
        residue = relative(features.residue_index, self.R_MAX, same_chain)
        token = relative(np.arange(features.n_tokens), self.R_MAX, same_residue)
        sym = relative(features.sym_id, self.S_MAX, same_entity)
        return np.stack([same_entity, residue, token, sym])


def pairwise_equal(x: np.ndarray) -> np.ndarray:
    return x[:, None] == x[None, :]


def relative(x: np.ndarray, limit: int, valid: np.ndarray) -> np.ndarray:
    """Clipped differences as classes 0..2 limit, 2 limit + 1 where not valid."""
    difference = np.clip(x[:, None] - x[None, :] + limit, 0, 2 * limit)
    return np.where(valid, difference, 2 * limit + 1)


class FourierEmbedding(nn.Module):
    """Alg. 22; w and b are stored, not trained."""

    def __init__(self, width: int):
        super().__init__()
        self.w = mx.zeros(width)
        self.b = mx.zeros(width)

    def __call__(self, t: A) -> A:
        w, b = ops.parameter(self.w, t), ops.parameter(self.b, t)
        return ops.namespace(w).cos(2 * math.pi * (t * w + b))


class DiffusionConditioning(nn.Module):
    """Alg. 21, split where the noise level comes in."""

    def __init__(self, config: Config):
        super().__init__()
        c_s, c_z = config.c_s, config.c_z
        self.sigma_data = config.sigma_data
        self.c_s = c_s
        self.relpe = RelativePositionEncoding(c_z)
        self.layernorm_z = LayerNorm(2 * c_z)
        self.linear_no_bias_z = linear(2 * c_z, c_z)
        self.transition_z1 = Transition(c_z)
        self.transition_z2 = Transition(c_z)
        self.layernorm_s = LayerNorm(c_s + config.c_s_inputs)
        self.linear_no_bias_s = linear(c_s + config.c_s_inputs, c_s)
        self.fourier_embedding = FourierEmbedding(config.c_noise)
        self.layernorm_n = LayerNorm(config.c_noise)
        self.linear_no_bias_n = linear(config.c_noise, c_s)
        self.transition_s1 = Transition(c_s)
        self.transition_s2 = Transition(c_s)

    def pair(self, z: A, relative_position: A) -> A:
        """The pair representation (..., c_z), once per task, of template and classes (4, ...)."""
        z = ops.namespace(z).concatenate([z, self.relpe(relative_position)], axis=-1)
        z = self.linear_no_bias_z(self.layernorm_z(z))
        z += self.transition_z1(z)
        z += self.transition_z2(z)
        return z

    def single(self, s_inputs: A) -> A:
        """(T, c_s) before the noise level is added; PXDesign's s_trunk is all zeros."""
        s = ops.namespace(s_inputs).pad(s_inputs, [(0, 0), (self.c_s, 0)])
        return self.linear_no_bias_s(self.layernorm_s(s))

    def at_noise_level(self, single: A, sigma: A) -> A:
        """(T, c_s), once per step."""
        t = ops.namespace(sigma).log(sigma / self.sigma_data) / 4
        s = single + self.linear_no_bias_n(self.layernorm_n(self.fourier_embedding(t)))
        s += self.transition_s1(s)
        s += self.transition_s2(s)
        return s


class Condition(NamedTuple, Generic[A]):
    """All that depends on the task alone."""

    s_inputs: A  # (T, c_s_inputs)
    single: A  # (T, c_s)
    pair_biases: list[A]  # per block of the token transformer: (1, heads, T, T)
    c: A  # (A, c_atom)
    encoder: AtomCondition[A]
    decoder: AtomCondition[A]
    atoms: AtomInputs[A]


class NoiseLevel(NamedTuple, Generic[A]):
    """All that depends on the task and the noise level, shared by the samples of a step."""

    single: A  # (T, c_token), added to the tokens
    modulations: list[BlockModulation[A]]  # per block of the token transformer


class DiffusionModule(nn.Module):
    """Alg. 20."""

    def __init__(self, config: Config):
        super().__init__()
        self.sigma_data = config.sigma_data
        self.diffusion_conditioning = DiffusionConditioning(config)
        self.atom_attention_encoder = AtomAttentionEncoder(
            config, config.atom_encoder, config.c_token, True
        )
        self.layernorm_s = LayerNorm(config.c_s)
        self.linear_no_bias_s = linear(config.c_s, config.c_token)
        self.diffusion_transformer = DiffusionTransformer(
            config.c_token, config.c_s, config.c_z, config.transformer
        )
        self.layernorm_a = LayerNorm(config.c_token)
        self.atom_attention_decoder = AtomAttentionDecoder(config)

    def condition(self, s_inputs: A, pairs: Pairs[A], atoms: AtomInputs[A]) -> Condition[A]:
        c, p, encoder = self.atom_attention_encoder.condition(atoms, pairs)
        return Condition(
            s_inputs=s_inputs,
            single=self.diffusion_conditioning.single(s_inputs),
            pair_biases=self.pair_biases(pairs),
            c=c,
            encoder=encoder,
            decoder=self.atom_attention_decoder.atom_transformer.condition(c, p, atoms.windows),
            atoms=atoms,
        )

    def pair_biases(self, pairs: Pairs[A]) -> list[A]:
        """(1, heads, T, T) for each block of the token transformer."""
        of_kinds = self.diffusion_transformer.pair_biases(pairs.z[None, None])
        take = ops.namespace(pairs.z).take
        return ops.on_cores(lambda bias: take(bias[:, :, 0], pairs.kind, axis=2), of_kinds)

    def at_noise_level(self, sigma: A, condition: Condition[A]) -> NoiseLevel[A]:
        embedded = self.diffusion_conditioning.at_noise_level
        s = ops.on_all_cores(lambda: embedded(condition.single, sigma))
        return NoiseLevel(
            self.linear_no_bias_s(self.layernorm_s(s)), self.diffusion_transformer.modulations(s)
        )

    def __call__(self, x: A, sigma: A, level: NoiseLevel[A], condition: Condition[A]) -> A:
        """Denoised coordinates (S, A, 3) in Å of noisy ones at noise level `sigma` ()."""
        encoder, atoms = self.atom_attention_encoder, condition.atoms
        sqrt, ratio = ops.namespace(sigma).sqrt, sigma / self.sigma_data
        r = x / sqrt(sigma**2 + self.sigma_data**2)
        q = condition.c + encoder.linear_no_bias_r(r)
        a, q = encoder(q, condition.encoder, atoms)
        a += level.single
        a = self.diffusion_transformer(a, condition.pair_biases, level.modulations)
        update = self.atom_attention_decoder(self.layernorm_a(a), q, condition.decoder, atoms)
        return x / (1 + ratio**2) + sigma / sqrt(1 + ratio**2) * update


Step = tuple[Condition[Any], Callable[[mx.array, mx.array], mx.array]]  # a task's, compiled


class PXDesignD(nn.Module):
    """The whole network: `condition` once per task, `denoise` at every step."""

    def __init__(self, config: Config):
        super().__init__()
        self.config = config
        self.design_condition_embedder = ConditionEmbedder(config)
        self.diffusion_module = DiffusionModule(config)
        self._compiled: Step | None = None  # on a GPU: the last task's

    def condition(self, features: Features, ref_pos: np.ndarray) -> Condition[Any]:
        """Everything that depends on the task alone; `ref_pos` (A, 3) are the reference
        conformers as the network shall see them (features.randomly_placed)."""
        mx.eval(self.parameters())
        condition = ops.on_all_cores(lambda: self._condition(features, ref_pos))
        mx.eval(condition[:-1])
        return condition

    def _condition(self, features: Features, ref_pos: np.ndarray) -> Condition[Any]:
        atoms = AtomInputs.of(features, ref_pos, self.config)
        s_inputs = self.design_condition_embedder.input_embedder(features, atoms)
        return self.diffusion_module.condition(s_inputs, self._pairs(features), atoms)

    def _pairs(self, features: Features) -> Pairs[Any]:
        template = self.design_condition_embedder.condition_template_embedder
        conditioning = self.diffusion_module.diffusion_conditioning
        positions = conditioning.relpe.classes(features)
        kinds, kind = map(ops.array, distinct(np.stack([template.bins(features), *positions])))
        return Pairs(conditioning.pair(template(kinds[0]), kinds[1:]), kind)

    def denoise(self, x: mx.array, sigma: float, condition: Condition[Any]) -> mx.array:
        """Denoised coordinates (S, A, 3) in Å of noisy ones `x` at noise level `sigma` > 0.

        On the CPU each sample has a core to itself; on a GPU as many go through the network
        together as GPU_ACTIVATION_BYTES hold, and nothing is evaluated here.
        """
        if isinstance(condition.single, mx.array):
            return self._together(x, mx.array(sigma, mx.float32), condition)
        noise = np.asarray(sigma, np.float32)
        level = self.diffusion_module.at_noise_level(noise, condition)
        samples = np.asarray(x, np.float32)
        parts = ops.on_cores(
            lambda i: self.diffusion_module(samples[i : i + 1], noise, level, condition),
            range(len(samples)),
        )
        return mx.array(np.concatenate(parts))

    def _together(self, x: mx.array, sigma: mx.array, condition: Condition[Any]) -> mx.array:
        """The step as one compiled graph; a task's condition is part of it."""
        if self._compiled is None or self._compiled[0] is not condition:
            module = self.diffusion_module

            def step(x: mx.array, sigma: mx.array) -> mx.array:
                return module(x, sigma, module.at_noise_level(sigma, condition), condition)

            self._compiled = (condition, mx.compile(step))
        compiled = self._compiled[1]
        n = self.samples_at_once(condition)
        return mx.concatenate([compiled(x[i : i + n], sigma) for i in range(0, len(x), n)])

    def reduce_precision(self, dtype: mx.Dtype) -> None:
        """Do the products of the transformer blocks, nearly all there are, in `dtype`.

        Coordinates, conditioning, layer norms and the residual stream stay float32: in
        bfloat16 a coordinate of 20 Å would be known to 0.06 Å only. On a CPU the atoms' attention
        itself is float32, too, and float16 means that the weights are rounded to it.
        """
        for module in self.diffusion_module.modules():
            if isinstance(module, Attention):
                reduced: list[nn.Module] = [module]
            elif isinstance(module, ConditionedTransition):
                reduced = [module.linear_nobias_a1, module.linear_nobias_a2, module.linear_nobias_b]
            else:
                continue
            for part in reduced:
                _reduce(part, dtype)
        mx.eval(self.parameters())

    def samples_at_once(self, condition: Condition[Any]) -> int:
        config = self.config
        n_tokens = condition.single.shape[0]
        n_keys = condition.atoms.windows.count * config.n_keys
        floats = 10 * n_tokens * config.c_token + 6 * n_keys * config.c_atom
        return max(1, GPU_ACTIVATION_BYTES // (4 * floats))

    @staticmethod
    def sanitize(weights: dict[str, W]) -> dict[str, W]:
        """Checkpoint names to the model's.

        The denoiser's projections of s_trunk see only zeros and have no bias: dropped.
        """
        encoder = "diffusion_module.atom_attention_encoder."
        unused = (f"{encoder}layernorm_s.", f"{encoder}linear_no_bias_s.")
        plain = {name.removeprefix("module."): w for name, w in weights.items()}
        return {name: w for name, w in plain.items() if not name.startswith(unused)}


def _reduce(part: nn.Module, dtype: mx.Dtype) -> None:
    if ops.on_cpu() and dtype == mx.bfloat16:
        for layer in part.modules():
            if isinstance(layer, Linear):
                layer.use_bfloat16()
        return
    part.set_dtype(dtype)
    if ops.on_cpu():
        part.set_dtype(mx.float32)


Model = PXDesignD
