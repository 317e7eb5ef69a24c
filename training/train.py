"""Train the embedded model. Resumes from its own checkpoint; stop it at any time.

    PATH=$PWD/bin:$PATH PYTHONPATH=. MALLOC_MMAP_MAX_=0 MALLOC_TRIM_THRESHOLD_=100000000000 \\
        python training/train.py --data monomers_small.npz --out training/run --minutes 60

Recipe: EDM denoising (Karras et al. 2022) with AF3's rigidly aligned loss and smooth lDDT (AF3
section 3.7); several noise levels of a structure share its conditioning; EMA weights are kept.
"""

import argparse
import json
import shutil
import time
from pathlib import Path

import evaluate
import numpy as np
import torch
from data import Chains, case
from export import export
from model import Batch, PXDesignD, open_gates
from safetensors.torch import load_file, save_file
from torch import Tensor

from pxtools.network.config import Configuration
from pxtools.structure.backbone import CB_OF_IDEAL
from pxtools.structure.residues import DESIGN_RESTYPE

# binder residues, target residues, structures a step, weight
SIZES = [(40, 24, 4, 2), (48, 32, 3, 3), (40, 56, 2, 4), (60, 48, 2, 2), (48, 80, 1, 3)]
SIZES += [(32, 48, 2, 1), (72, 64, 1, 2), (64, 112, 1, 1)]
LEVELS = 16
ONE = (40, 24, 1, 1)
TOKEN_BLOCKS = "diffusion_module.diffusion_transformer.blocks."
RADII = [1.55, 1.70, 1.70, 1.52]  # Å, of N, CA, C, O
BANDS = ((0, 1), (1, 6), (6, 25), (25, 1e9))


def batch(chains: Chains, seed: list[int], size: tuple[int, int, int, int]) -> Batch:
    n_binder, n_target, n, _ = size
    cases = [case(chains, [*seed, i], n_binder, n_target) for i in range(n)]
    return {k: torch.from_numpy(np.stack([c[k] for c in cases])) for k in cases[0]}


def rotations(g: torch.Generator, *shape: int) -> Tensor:
    q = torch.randn(*shape, 4, generator=g)
    w, x, y, z = (q / q.norm(dim=-1, keepdim=True)).unbind(-1)
    rows = [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)]
    rows += [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)]
    rows += [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)]
    return torch.stack(rows, -1).unflatten(-1, (3, 3))


def aligned(truth: Tensor, to: Tensor) -> Tensor:
    """`truth` (B, K, A, 3) laid rigidly on `to`, without gradient."""
    with torch.no_grad():
        t, p = truth - truth.mean(2, keepdim=True), to - to.mean(2, keepdim=True)
        u, _, vt = torch.linalg.svd(t.transpose(-1, -2) @ p)
        sign = torch.ones(*u.shape[:-1])
        sign[..., -1] = torch.linalg.det(u @ vt)
        return t @ (u * sign[..., None, :]) @ vt + to.mean(2, keepdim=True)


def smooth_lddt(x: Tensor, truth: Tensor, is_ca: Tensor) -> Tensor:
    ca = is_ca[0]
    d, d_true = (
        torch.cdist(y[:, :, ca].flatten(0, 1), y[:, :, ca].flatten(0, 1)) for y in (x, truth)
    )
    off = (d - d_true).abs()
    score = sum(torch.sigmoid(limit - off) for limit in (0.5, 1.0, 2.0, 4.0)) / 4
    near = (d_true < 15) & ~torch.eye(d.shape[-1], dtype=torch.bool)
    return 1 - (score * near).sum((-1, -2)) / near.sum((-1, -2))


def loss_of(model: PXDesignD, f: Batch, g: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """Loss, and the per-axis RMSE (B, K) at each noise level."""
    x = f["x"]
    sigma = 16 * torch.exp(-1.8 + 1.7 * torch.randn(len(x), LEVELS, generator=g))
    turned = x[:, None] @ rotations(g, len(x), LEVELS) + torch.randn(
        len(x), LEVELS, 1, 3, generator=g
    )
    noisy = turned + sigma[..., None, None] * torch.randn(turned.shape, generator=g)
    with torch.autocast("cpu", torch.bfloat16):
        out = model(noisy, sigma, f).float()
    truth = aligned(turned, out)
    mse = ((out - truth) ** 2).mean((-1, -2))
    weight = (sigma**2 + 256) / (16 * sigma) ** 2
    # at high noise the fold's handedness is decided, at errors that this weight hardly sees
    weight = weight.maximum(0.03 / (1 + (sigma / 30) ** 2))
    loss = (weight * mse).mean() + smooth_lddt(out, turned, f["is_ca"]).mean()
    near_done = weight / (1 + (sigma / 2) ** 2)
    loss = loss + (near_done * local_error(out, turned, f)).mean()
    loss = loss + (20 * torch.exp(-((sigma / 3) ** 2)) * clash(out, turned, f)).mean()
    return loss, mse.detach().sqrt(), sigma


def clash(x: Tensor, truth: Tensor, f: Batch) -> Tensor:
    """Squared overlap, a binder residue, of the binder's backbone with itself and the target.

    The target is the deposited one, superposed as px-write-cif does it, with its ideal CB atoms.
    Spheres may overlap by 0.6 Å: px-score tolerates 0.8.
    """
    n_tokens = f["columns"].shape[1]
    n_target = int((f["columns"][0, :, DESIGN_RESTYPE] == 0).sum())
    of_target = slice(4 * n_target)
    target = aligned(truth[:, :, of_target], x[:, :, of_target]).unflatten(2, (-1, 4))
    binder = x[:, :, 4 * n_target : 4 * n_tokens]
    b, c = target[..., 1, :] - target[..., 0, :], target[..., 2, :] - target[..., 1, :]
    u, v, w = CB_OF_IDEAL
    cb = u * torch.linalg.cross(b, c) + v * b + w * c + target[..., 1, :]
    n = n_tokens - n_target
    index = torch.arange(n).repeat_interleave(4)
    own = torch.tensor(RADII).repeat(n)
    others = torch.cat([torch.tensor(RADII).repeat(n_target), torch.full((n_target,), RADII[1])])
    outside = overlap(binder, torch.cat([target.flatten(2, 3), cb], 2), own, others).sum((-1, -2))
    apart = (index[:, None] - index).abs() >= 2
    return (outside + (overlap(binder, binder, own, own) * apart).sum((-1, -2)) / 2) / n


def overlap(a: Tensor, b: Tensor, a_radii: Tensor, b_radii: Tensor) -> Tensor:
    square = (a**2).sum(-1)[..., None] + (b**2).sum(-1)[..., None, :] - 2 * a @ b.transpose(-1, -2)
    limit = a_radii[:, None] + b_radii - 0.6
    return torch.relu(limit - square.clamp(min=0.01).sqrt()) ** 2


def local_error(x: Tensor, truth: Tensor, f: Batch) -> Tensor:
    """Squared error of the distances within a residue and to the next one: bonds and angles."""
    token, n = f["atom_to_token"][0], x.shape[2]
    i, j = torch.triu_indices(n, n, 1)
    near = (token[j] - token[i]) <= 1
    i, j = i[near], j[near]
    d, d_true = ((y[:, :, i] - y[:, :, j]).square().sum(-1).add(1e-4).sqrt() for y in (x, truth))
    bonded = d_true < 4  # not across a gap of the target or from target to binder
    return ((d - d_true).square() * bonded).sum(-1) / bonded.sum(-1)


def measured(model: PXDesignD, batches: list[Batch]) -> tuple[float, list[float]]:
    """Loss and RMSE per noise band, always at the same noise."""
    g = torch.Generator().manual_seed(1)
    losses, rmse, sigmas = [], [], []
    for f in batches:
        with torch.no_grad():
            loss, r, s = loss_of(model, f, g)
        losses.append(loss.item())
        rmse.append(r.flatten())
        sigmas.append(s.flatten())
    r, s = torch.cat(rmse), torch.cat(sigmas)
    bands = [r[(s >= a) & (s < b)].mean().item() for a, b in BANDS]
    return float(np.mean(losses)), [round(band, 3) for band in bands]


def scores(model: PXDesignD, data: str, folder: Path) -> dict[str, float]:
    """px-score's figures of 16 designs for held-out targets, made by the tools."""
    folder.mkdir(parents=True, exist_ok=True)
    weights = folder / "weights.safetensors"
    export(model.state_dict(), model.cfg, weights)
    rows = evaluate.design(data, weights, folder, evaluate.SIZES, 4, 4, 100, ["-q"])
    return {name: round(found, 1) for name, found in evaluate.percentages(rows).items()}


def optimizers(model: PXDesignD, lr: float) -> list[torch.optim.Optimizer]:
    """Muon (Jordan et al. 2024) for the matrices of blocks and transitions, AdamW for the rest."""

    def inner(name: str, p: Tensor) -> bool:
        return p.ndim == 2 and min(p.shape) >= 32 and "trans" in name

    named = list(model.named_parameters())
    muon = [p for n, p in named if inner(n, p)]
    rest = [p for n, p in named if not inner(n, p) and "linear_no_bias_r." not in n]
    opts = [
        torch.optim.Muon(muon, lr=lr, weight_decay=0.01, adjust_lr_fn="match_rms_adamw"),
        torch.optim.AdamW(rest, lr=lr / 2, weight_decay=0.0, betas=(0.9, 0.99)),
    ]
    for opt in opts:
        for group in opt.param_groups:
            group["peak"] = group["lr"]
    # coordinates enter here, in units of 16 Å: weights far above the others'
    enters = model.diffusion_module.atom_attention_encoder.linear_no_bias_r.parameters()
    opts[1].add_param_group({"params": list(enters), "lr": lr, "peak": 2 * lr})
    return opts


def deepened(weights: dict[str, Tensor], model: PXDesignD) -> dict[str, Tensor]:
    """The weights for a model of as many token blocks or more; new blocks first add nothing."""
    n_blocks = model.cfg.transformer.n_blocks
    n_old = len({k.split(".")[3] for k in weights if k.startswith(TOKEN_BLOCKS)})
    of_old = {i * n_blocks // n_old: i for i in range(n_old)}
    found = {k: w for k, w in weights.items() if not k.startswith(TOKEN_BLOCKS)}
    for name, w in model.state_dict().items():
        if name.startswith(TOKEN_BLOCKS):
            block, rest = name.removeprefix(TOKEN_BLOCKS).split(".", 1)
            if (i := of_old.get(int(block))) is not None:
                found[name] = weights[f"{TOKEN_BLOCKS}{i}.{rest}"]
            else:
                last = rest.endswith(("linear_o.weight", "linear_nobias_b.weight"))
                found[name] = torch.zeros_like(w) if last else w.clone()
    return found


def arguments() -> argparse.Namespace:
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    ap.add_argument("--data", required=True)
    ap.add_argument("--pairs", help="two-chain complexes, for a share of the cases")
    ap.add_argument("--out", required=True, type=Path)
    ap.add_argument("--config", help="sizes of a new model, config.json")
    ap.add_argument("--start", help=".safetensors weights to start from")
    ap.add_argument("--minutes", type=float, default=60)
    ap.add_argument("--stage-minutes", type=float, help="the learning rate falls to 3%% over these")
    ap.add_argument("--lr", type=float, default=2e-3, help="Muon's; AdamW takes half of it")
    ap.add_argument("--warm-up", type=int, default=100, help="steps")
    ap.add_argument("--threads", type=int, default=2)
    ap.add_argument("--overfit", type=int, default=0, help="train on this many structures only")
    ap.add_argument("--score-every", type=int, default=1000, help="steps, 0: never; needs bin/")
    args = ap.parse_args()
    if args.score_every and not shutil.which("px-sample"):
        ap.error("px-sample is not on PATH: add the project's bin/, or --score-every 0")
    return args


def prepared(args: argparse.Namespace) -> tuple[PXDesignD, PXDesignD]:
    """The model, its running average and its configuration."""
    text = Path(args.config or args.out / "config.json").read_text()
    (args.out / "config.json").write_text(text)
    cfg = Configuration.from_dict(json.loads(text)).sizes
    torch.manual_seed(0)
    model, ema = PXDesignD(cfg), PXDesignD(cfg)
    open_gates(model)
    if args.start:
        weights = deepened(load_file(args.start), model)
        weights = {k: w.float() for k, w in weights.items()}
        missing, unexpected = model.load_state_dict(weights, strict=False)
        assert not unexpected and all("_s." in k for k in missing), (missing, unexpected)
    ema.load_state_dict(model.state_dict())
    return model, ema


def resumed(
    out: Path, model: PXDesignD, ema: PXDesignD, opts: list[torch.optim.Optimizer]
) -> tuple[int, float, float]:
    """Steps and seconds behind the checkpoint, if there is one, and the best held-out loss."""
    if not (out / "checkpoint.pt").exists():
        return 0, 0.0, float("inf")
    ck = torch.load(out / "checkpoint.pt")
    model.load_state_dict(ck["model"])
    ema.load_state_dict(ck["ema"])
    for opt, state in zip(opts, ck["opts"], strict=True):
        opt.load_state_dict(state)
    return ck["step"], ck["seconds"], ck["best"]


def learn(
    model: PXDesignD,
    ema: PXDesignD,
    opts: list[torch.optim.Optimizer],
    f: Batch,
    step: int,
    rate: float,
) -> float:
    """One step of all optimizers; returns the loss."""
    for opt in opts:
        for group in opt.param_groups:
            group["lr"] = rate * group["peak"]
    loss, _, _ = loss_of(model, f, torch.Generator().manual_seed(step))
    model.zero_grad()
    loss.backward()
    norm = torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    if torch.isfinite(norm):
        for opt in opts:
            opt.step()
    keep = min(0.999, (2 + step) / (11 + step))
    with torch.no_grad():
        for a, b in zip(ema.parameters(), model.parameters(), strict=True):
            a.lerp_(b, 1 - keep)
    return float(loss)


def main() -> None:
    args = arguments()
    torch.set_num_threads(args.threads)
    out = args.out
    out.mkdir(parents=True, exist_ok=True)
    train, test = Chains(args.data, False, args.pairs), Chains(args.data, True)
    model, ema = prepared(args)
    opts = optimizers(model, args.lr)
    step, seconds, best = resumed(out, model, ema, opts)
    sizes = [ONE] * args.overfit or [*SIZES, *SIZES]
    unseen = [batch(test, [0, 10**9 + i], size) for i, size in enumerate(sizes)]
    own = [batch(train, [2, i], ONE) for i in range(args.overfit)]
    stage = 60 * (args.stage_minutes or args.minutes)
    weights = np.array([s[3] for s in SIZES], float)
    began, base, losses = time.monotonic(), seconds, []
    while seconds - base < 60 * args.minutes:
        size = SIZES[np.random.default_rng([1, step]).choice(len(SIZES), p=weights / weights.sum())]
        f = own[step % args.overfit] if own else batch(train, [2, step], size)
        rate = min(1, (step + 1) / args.warm_up) * max(0.03, 1 - seconds / stage)
        losses.append(learn(model, ema, opts, f, step, rate))
        step, seconds = step + 1, base + time.monotonic() - began
        if step % 100 == 0 or seconds - base >= 60 * args.minutes:
            value, bands = measured(ema, unseen)
            best = save(out, model, ema, opts, step, seconds, value, best)
            line = {"step": step, "seconds": round(seconds), "rate": round(rate, 4)}
            line |= {"loss": np.mean(losses), "held_out": value, "bands": bands}
            if own:
                line["own"], line["own_bands"] = measured(ema, own)
            if args.score_every and step % args.score_every == 0:
                line["scores"] = scores(ema, args.data, out / f"designs_{step}")
            losses = []
            with (out / "log.jsonl").open("a") as log:
                log.write(json.dumps(line) + "\n")
            print(line, flush=True)


def save(
    out: Path,
    model: PXDesignD,
    ema: PXDesignD,
    opts: list[torch.optim.Optimizer],
    step: int,
    seconds: float,
    value: float,
    best: float,
) -> float:
    if value < best:
        save_file(ema.state_dict(), out / "best.safetensors")
    fields = {
        "model": model.state_dict(),
        "ema": ema.state_dict(),
        "opts": [o.state_dict() for o in opts],
    }
    fields |= {"step": step, "seconds": seconds, "best": min(best, value)}
    torch.save(fields, out / "checkpoint.tmp")
    (out / "checkpoint.tmp").replace(out / "checkpoint.pt")
    return min(best, value)


if __name__ == "__main__":
    main()
