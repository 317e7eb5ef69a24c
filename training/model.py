"""PXDesign-d in PyTorch, for training: the same parameter names as pxtools/network/pxdesign.py.

Shapes: B structures of equal size, K noise levels of each sharing one conditioning, T tokens,
A atoms, W local windows of 32 queries x 128 keys.
"""

from __future__ import annotations

import math

import torch
import torch.nn as nn
import torch.nn.functional as F
from data import ATOM_COLUMNS, PAIR_COLUMNS, TOKEN_COLUMNS
from torch import Tensor

from pxtools.network.config import Config, Depth

SIGMA_DATA = Config().sigma_data  # Å
N_FOURIER = Config().c_noise
Batch = dict[str, Tensor]  # data.tensors of several structures


def lin(n_in: int, n_out: int, bias: bool = False) -> nn.Linear:
    return nn.Linear(n_in, n_out, bias=bias)


class LN(nn.Module):
    def __init__(self, width: int, bias: bool = False) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.bias = nn.Parameter(torch.zeros(width)) if bias else None

    def forward(self, x: Tensor) -> Tensor:
        return F.layer_norm(x, x.shape[-1:], self.weight, self.bias)


class AdaLN(nn.Module):
    def __init__(self, c_a: int, c_s: int) -> None:
        super().__init__()
        self.layernorm_s = LN(c_s)
        self.linear_s = lin(c_s, c_a, True)
        self.linear_nobias_s = lin(c_s, c_a)

    def forward(self, a: Tensor, s: Tensor) -> Tensor:
        s = self.layernorm_s(s)
        plain = F.layer_norm(a, a.shape[-1:])
        return torch.sigmoid(self.linear_s(s)) * plain + self.linear_nobias_s(s)


class Attention(nn.Module):
    def __init__(self, width: int, n_heads: int) -> None:
        super().__init__()
        self.n_heads = n_heads
        self.linear_q = lin(width, width, True)
        for name in "kvgo":
            setattr(self, f"linear_{name}", lin(width, width))

    def forward(self, x: Tensor, x_kv: Tensor, bias: Tensor, windows: Windows | None) -> Tensor:
        q, k, v = self.linear_q(x), self.linear_k(x_kv), self.linear_v(x_kv)
        if windows is None:  # (B, K, 1, T, c)
            q, k, v = q[:, :, None], k[:, :, None], v[:, :, None]
        else:  # (B, K, W, n, c)
            q, k, v = windows.queries(q), windows.keys(k), windows.keys(v)
        q, k, v = (y.unflatten(-1, (self.n_heads, -1)).transpose(-2, -3) for y in (q, k, v))
        with torch.autocast(x.device.type, enabled=False):  # it would widen the softmax
            scores = (q * q.shape[-1] ** -0.5) @ k.transpose(-1, -2)
            weights = (scores + bias[:, None].to(scores.dtype)).softmax(-1)
            out = (weights @ v).transpose(-2, -3).flatten(-2).flatten(2, 3)
        return self.linear_o(out[:, :, : x.shape[2]] * torch.sigmoid(self.linear_g(x)))


class AttentionPairBias(nn.Module):
    def __init__(self, c_a: int, c_s: int, c_z: int, n_heads: int, cross: bool) -> None:
        super().__init__()
        self.layernorm_a = AdaLN(c_a, c_s)
        self.layernorm_kv = AdaLN(c_a, c_s) if cross else None
        self.attention = Attention(c_a, n_heads)
        self.layernorm_z = LN(c_z)
        self.linear_nobias_z = lin(c_z, n_heads)
        self.linear_a_last = lin(c_s, c_a, True)

    def pair_bias(self, z: Tensor) -> Tensor:  # (B, W, Q, K, c) -> (B, W, heads, Q, K)
        return self.linear_nobias_z(self.layernorm_z(z)).permute(0, 1, 4, 2, 3)

    def forward(self, a: Tensor, s: Tensor, bias: Tensor, windows: Windows | None) -> Tensor:
        x = self.layernorm_a(a, s)
        x_kv = x if self.layernorm_kv is None else self.layernorm_kv(x, s)
        out = self.attention(x, x_kv, bias, windows)
        return torch.sigmoid(self.linear_a_last(s)) * out


class ConditionedTransition(nn.Module):
    def __init__(self, c_a: int, c_s: int) -> None:
        super().__init__()
        self.adaln = AdaLN(c_a, c_s)
        self.linear_nobias_a1 = lin(c_a, 2 * c_a)
        self.linear_nobias_a2 = lin(c_a, 2 * c_a)
        self.linear_nobias_b = lin(2 * c_a, c_a)
        self.linear_s = lin(c_s, c_a, True)

    def forward(self, a: Tensor, s: Tensor) -> Tensor:
        x = self.adaln(a, s)
        x = self.linear_nobias_b(F.silu(self.linear_nobias_a1(x)) * self.linear_nobias_a2(x))
        return torch.sigmoid(self.linear_s(s)) * x


class Block(nn.Module):
    def __init__(self, c_a: int, c_s: int, c_z: int, n_heads: int, cross: bool) -> None:
        super().__init__()
        self.attention_pair_bias = AttentionPairBias(c_a, c_s, c_z, n_heads, cross)
        self.conditioned_transition_block = ConditionedTransition(c_a, c_s)

    def forward(self, a: Tensor, s: Tensor, bias: Tensor, windows: Windows | None) -> Tensor:
        a = a + self.attention_pair_bias(a, s, bias, windows)
        return a + self.conditioned_transition_block(a, s)


class Transformer(nn.Module):
    def __init__(self, c_a: int, c_s: int, c_z: int, depth: Depth, cross: bool = False) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(
            Block(c_a, c_s, c_z, depth.n_heads, cross) for _ in range(depth.n_blocks)
        )

    def forward(self, a: Tensor, s: Tensor, z: Tensor, windows: Windows | None = None) -> Tensor:
        for block in self.blocks:
            bias = block.attention_pair_bias.pair_bias(z)
            if windows is not None:
                bias = bias + windows.mask[:, None, None, :]
            a = block(a, s, bias, windows)
        return a


class AtomTransformer(nn.Module):
    def __init__(self, cfg: Config, depth: Depth) -> None:
        super().__init__()
        c = cfg.c_atom
        self.diffusion_transformer = Transformer(c, c, cfg.c_atompair, depth, cross=True)

    def forward(self, q: Tensor, c: Tensor, p: Tensor, windows: Windows | None) -> Tensor:
        return self.diffusion_transformer(q, c[:, None], p, windows)


class Windows:
    def __init__(self, n_atoms: int, n_queries: int = 32, n_keys: int = 128) -> None:
        self.count, self.n_atoms = math.ceil(n_atoms / n_queries), n_atoms
        self.n_queries, self.n_keys = n_queries, n_keys
        start = torch.arange(self.count)[:, None] * n_queries
        q = start + torch.arange(n_queries)
        k = start + torch.arange(n_keys) - (n_keys - n_queries) // 2
        self.q_in, self.k_in = q < n_atoms, (k >= 0) & (k < n_atoms)
        self.q, self.k = q.clamp(max=n_atoms - 1), k.clamp(0, n_atoms - 1)
        self.mask = torch.where(self.k_in, 0.0, -1e10)

    def queries(self, x: Tensor) -> Tensor:
        x = F.pad(x, (0, 0, 0, self.count * self.n_queries - self.n_atoms))
        return x.unflatten(-2, (self.count, self.n_queries))

    def keys(self, x: Tensor) -> Tensor:  # by slices: their gradient is faster than an index's
        before = (self.n_keys - self.n_queries) // 2
        n_blocks = self.count + self.n_keys // self.n_queries - 1
        x = F.pad(x, (0, 0, before, n_blocks * self.n_queries - before - self.n_atoms))
        x = x.unflatten(-2, (n_blocks, self.n_queries))
        slices = [x[..., i : i + self.count, :, :] for i in range(n_blocks - self.count + 1)]
        return torch.cat(slices, -2)

    def query_rows(self, x: Tensor) -> Tensor:  # (B, A, c) -> (B, W, 32, 1, c)
        rows = x[:, self.q.flatten()].unflatten(1, self.q.shape)
        return (rows * self.q_in[..., None]).unsqueeze(3)

    def key_rows(self, x: Tensor) -> Tensor:  # (B, A, c) -> (B, W, 1, 128, c)
        rows = x[:, self.k.flatten()].unflatten(1, self.k.shape)
        return (rows * self.k_in[..., None]).unsqueeze(2)


class AtomEncoder(nn.Module):
    def __init__(self, cfg: Config, depth: Depth, c_out: int, with_coordinates: bool) -> None:
        super().__init__()
        c, c_pair = cfg.c_atom, cfg.c_atompair
        self.linear_no_bias_ref_pos = lin(3, c)
        self.linear_no_bias_ref_charge = lin(1, c)
        self.linear_no_bias_f = lin(ATOM_COLUMNS, c)
        self.linear_no_bias_d = lin(3, c_pair)
        self.linear_no_bias_invd = lin(1, c_pair)
        self.linear_no_bias_v = lin(1, c_pair)
        if with_coordinates:  # s_trunk is all zeros: its two parameters only keep their names
            self.layernorm_s = LN(cfg.c_s)
            self.linear_no_bias_s = lin(cfg.c_s, c)
            self.layernorm_z = LN(cfg.c_z)
            self.linear_no_bias_z = lin(cfg.c_z, c_pair)
            self.linear_no_bias_r = lin(3, c)
        self.linear_no_bias_cl = lin(c, c_pair)
        self.linear_no_bias_cm = lin(c, c_pair)
        mlp = (layer for _ in range(3) for layer in (nn.ReLU(), lin(c_pair, c_pair)))
        self.small_mlp = nn.Sequential(*mlp)
        self.atom_transformer = AtomTransformer(cfg, depth)
        self.linear_no_bias_q = lin(c, c_out)

    def forward(self, f: Batch, w: Windows, r: Tensor | None = None, z: Tensor = None) -> Tensor:
        c = self.linear_no_bias_ref_pos(f["ref_pos"]) + self.linear_no_bias_f(f["identity"])
        c = c + self.linear_no_bias_ref_charge(torch.asinh(f["ref_charge"]))
        d = w.query_rows(f["ref_pos"]) - w.key_rows(f["ref_pos"])
        uid = f["atom_to_token"][..., None]
        of_q, of_k = w.query_rows(uid)[..., 0], w.key_rows(uid)[..., 0]
        v = (of_q == of_k)[..., None].float()
        inside = (w.q_in[:, :, None] & w.k_in[:, None, :])[..., None]
        p = self.linear_no_bias_d(d) * v * inside + self.linear_no_bias_v(v)
        p = p + self.linear_no_bias_invd(1 / (1 + (d * d).sum(-1, keepdim=True))) * v
        q = c[:, None]
        if r is not None:
            pairs = self.linear_no_bias_z(self.layernorm_z(z))
            batch = torch.arange(len(z))[:, None, None, None]
            p = p + pairs[batch, of_q, of_k]
            with torch.autocast(r.device.type, enabled=False):  # bfloat16 would round to 0.06 Å
                q = q.float() + self.linear_no_bias_r(r)
        p = p + self.linear_no_bias_cl(F.relu(w.query_rows(c)))
        p = p + self.linear_no_bias_cm(F.relu(w.key_rows(c)))
        p = p + self.small_mlp(p)
        q = self.atom_transformer(q, c, p, w)
        a = f["pool"][:, None] @ F.relu(self.linear_no_bias_q(q))
        return a, q, c, p


class AtomDecoder(nn.Module):
    def __init__(self, cfg: Config) -> None:
        super().__init__()
        self.linear_no_bias_a = lin(cfg.c_token, cfg.c_atom)
        self.atom_transformer = AtomTransformer(cfg, cfg.atom_decoder)
        self.layernorm_q = LN(cfg.c_atom)
        self.linear_no_bias_out = lin(cfg.c_atom, 3)

    def forward(self, a: Tensor, q: Tensor, c: Tensor, p: Tensor, f: Batch, w: Windows) -> Tensor:
        a = self.linear_no_bias_a(a)
        index = f["atom_to_token"][:, None, :, None].expand(-1, a.shape[1], -1, a.shape[-1])
        q = self.atom_transformer(a.gather(2, index) + q, c, p, w)
        return self.linear_no_bias_out(self.layernorm_q(q))


class Transition(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.layernorm1 = LN(width, bias=True)
        self.linear_no_bias_a = lin(width, 2 * width)
        self.linear_no_bias_b = lin(width, 2 * width)
        self.linear_no_bias = lin(2 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        x = self.layernorm1(x)
        return self.linear_no_bias(F.silu(self.linear_no_bias_a(x)) * self.linear_no_bias_b(x))


class Named(nn.Module):
    """A namespace of modules."""

    def __init__(self, **modules: nn.Module) -> None:
        super().__init__()
        for name, module in modules.items():
            setattr(self, name, module)


class Fourier(nn.Module):
    def __init__(self, width: int = N_FOURIER) -> None:
        super().__init__()
        self.register_buffer("w", torch.randn(width))
        self.register_buffer("b", torch.randn(width))

    def forward(self, t: Tensor) -> Tensor:
        return torch.cos(2 * math.pi * (t[..., None] * self.w + self.b))


class Conditioning(nn.Module):
    def __init__(self, cfg: Config) -> None:
        super().__init__()
        c_s, c_z, c_in = cfg.c_s, cfg.c_z, cfg.c_s_inputs
        self.c_s = c_s
        self.relpe = Named(linear_no_bias=lin(PAIR_COLUMNS, c_z))
        self.layernorm_z = LN(2 * c_z)
        self.linear_no_bias_z = lin(2 * c_z, c_z)
        self.transition_z1, self.transition_z2 = Transition(c_z), Transition(c_z)
        self.layernorm_s = LN(c_s + c_in)
        self.linear_no_bias_s = lin(c_s + c_in, c_s)
        self.fourier_embedding = Fourier()
        self.layernorm_n = LN(N_FOURIER)
        self.linear_no_bias_n = lin(N_FOURIER, c_s)
        self.transition_s1, self.transition_s2 = Transition(c_s), Transition(c_s)

    def forward(self, z: Tensor, s_inputs: Tensor, f: Batch, sigma: Tensor) -> Tensor:
        z = torch.cat([z, self.relpe.linear_no_bias(f["relpos"])], -1)
        z = self.linear_no_bias_z(self.layernorm_z(z))
        z = z + self.transition_z1(z)
        z = z + self.transition_z2(z)
        trunk = s_inputs.new_zeros(*s_inputs.shape[:-1], self.c_s)
        s = self.linear_no_bias_s(self.layernorm_s(torch.cat([trunk, s_inputs], -1)))
        noise = self.fourier_embedding(torch.log(sigma / SIGMA_DATA) / 4)
        s = s[:, None] + self.linear_no_bias_n(self.layernorm_n(noise))[:, :, None]
        s = s + self.transition_s1(s)
        return z, s + self.transition_s2(s)


class PXDesignD(nn.Module):
    def __init__(self, cfg: Config) -> None:
        super().__init__()
        self.cfg = cfg
        embedder_depth = cfg.condition_embedder_atom_encoder
        width = cfg.c_token_embedder
        self.design_condition_embedder = Named(
            input_embedder=Named(
                atom_attention_encoder=AtomEncoder(cfg, embedder_depth, width, False),
                input_map=lin(width + TOKEN_COLUMNS, cfg.c_s_inputs, True),
            ),
            condition_template_embedder=Named(
                embedder=nn.Embedding(cfg.no_templ_bins + 1, cfg.c_z)
            ),
        )
        self.diffusion_module = Named(
            diffusion_conditioning=Conditioning(cfg),
            atom_attention_encoder=AtomEncoder(cfg, cfg.atom_encoder, cfg.c_token, True),
            layernorm_s=LN(cfg.c_s),
            linear_no_bias_s=lin(cfg.c_s, cfg.c_token),
            diffusion_transformer=Transformer(cfg.c_token, cfg.c_s, cfg.c_z, cfg.transformer),
            layernorm_a=LN(cfg.c_token),
            atom_attention_decoder=AtomDecoder(cfg),
        )

    def forward(self, x: Tensor, sigma: Tensor, f: Batch) -> Tensor:
        """x (B, K, A, 3) noisy coordinates, sigma (B, K): denoised coordinates."""
        embed, m = self.design_condition_embedder, self.diffusion_module
        w = Windows(x.shape[2])
        a, *_ = embed.input_embedder.atom_attention_encoder(f, w)
        s_inputs = embed.input_embedder.input_map(torch.cat([a[:, 0], f["columns"]], -1))
        z = embed.condition_template_embedder.embedder(f["template"])
        z, s = m.diffusion_conditioning(z, s_inputs, f, sigma)
        level = sigma[..., None, None]
        r = x / (level**2 + SIGMA_DATA**2).sqrt()
        a, q, c, p = m.atom_attention_encoder(f, w, r, z)
        a = a + m.linear_no_bias_s(m.layernorm_s(s))
        a = m.diffusion_transformer(a, s, z[:, None])
        u = m.atom_attention_decoder(m.layernorm_a(a), q, c, p, f, w)
        return (
            x / (1 + (level / SIGMA_DATA) ** 2) + level / (1 + (level / SIGMA_DATA) ** 2).sqrt() * u
        )


def open_gates(model: PXDesignD) -> None:
    """Start with open output gates and AdaLN scales: without them low noise hardly learns."""
    for name, p in model.named_parameters():
        if name.endswith(("linear_a_last.bias", "conditioned_transition_block.linear_s.bias")):
            nn.init.constant_(p, 1.0)
        elif name.endswith("linear_s.bias"):
            nn.init.constant_(p, 2.0)
        elif name.endswith("linear_no_bias_r.weight"):
            p.data *= 4
        elif name.endswith("linear_no_bias_out.weight"):
            p.data *= 2
