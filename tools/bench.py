"""Benchmarks of px-tools: `just bench` prints docs/performance.md's tables.

    python tools/bench.py [all|step|sequences|tools] [--device gpu] [--dtype bfloat16]
    python tools/bench.py peers --published DIR [--python PYTHON] [--cases 200x1,200x4]

A step is compared with its floor: the same matrix products alone, on the same cores, in turn with
the steps of the same run. Quote the ratio; absolute times depend on the machine and its mood.
On a GPU, PyTorch's time for the same products stands beside, where PyTorch is installed.
"""

import argparse
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from importlib.metadata import version
from itertools import chain
from pathlib import Path
from typing import NamedTuple

import mlx.core as mx
import numpy as np
import peers
from targets import SIZES, STRUCTURES, read, target

from pxtools.machine import cores
from pxtools.network import bfloat16, ops
from pxtools.network.config import Config
from pxtools.network.features import Features, featurize, randomly_placed
from pxtools.network.protein_mpnn import ALPHABET, UNKNOWN, Backbone, Draw, ProteinMPNN
from pxtools.network.protein_mpnn_weights import read_weights
from pxtools.network.pxdesign import PXDesignD
from pxtools.runs.chunk import Chunk
from pxtools.runs.design_cif import cif_writer
from pxtools.runs.record import ChainRecord, ModelRecord, RunJson, RunRecord, TaskRecord
from pxtools.runs.schedule import Schedule
from pxtools.structure.parsing import read_structure
from pxtools.structure.reading import protein_chains
from pxtools.structure.residue_number import ResidueNumber
from pxtools.structure.residues import BACKBONE, letter_of

ROOT = Path(__file__).parent.parent
RECORD = RunRecord(
    TaskRecord("bench", "80", {"A": ChainRecord("all", (ResidueNumber(65),))}, "x.cif", "x"),
    ModelRecord("m", "d"),
    Schedule(),
    seed=1,
)
Product = tuple[int, int, int, int]  # batch, m, k, n
TOOLS = (
    *("px-sample", "px-write-cif", "px-status", "px-target", "px-score", "px-sequence"),
    "px-convert-checkpoint",
)


class Products(NamedTuple):
    """Every matrix product of a step."""

    layers: list[Product]  # of a sample: those of the blocks that may be done in bfloat16
    attention: list[Product]  # of a sample: of tokens, which may be, too
    others: list[Product]  # of a sample
    shared: list[Product]  # by all samples


def products(config: Config, features: Features) -> Products:
    t, a = features.n_tokens, len(features.atoms)
    c, ca, cs = config.c_token, config.c_atom, config.c_s
    windows = -(-a // config.n_queries)

    def layers(rows: int, width: int) -> list[Product]:
        square, wide = [(1, rows, width, width)] * 5, [(1, rows, width, 2 * width)] * 2
        return [*square, *wide, (1, rows, 2 * width, width)]

    def attention(batch: int, d: int, q: int, k: int) -> list[Product]:
        return [(batch, q, d, k), (batch, q, k, d)]

    own = layers(t, c) * config.transformer.n_blocks
    others = [(1, a, 3, ca), (1, a, ca, c), (1, t, a, c), (1, t, c, ca), (1, a, ca, 3)]
    heads = config.transformer.n_heads
    of_tokens = attention(heads, c // heads, t, t) * config.transformer.n_blocks
    for depth in (config.atom_encoder, config.atom_decoder):
        own += layers(a, ca) * depth.n_blocks
        local = (windows * depth.n_heads, ca // depth.n_heads, config.n_queries, config.n_keys)
        others += attention(*local) * depth.n_blocks
    shared = [(1, t, cs, c)] * (6 * config.transformer.n_blocks + 1)
    shared += [(1, t, cs, 2 * cs), (1, t, cs, 2 * cs), (1, t, 2 * cs, cs)] * 2
    return Products(own, of_tokens, others, shared)


def floor(
    config: Config, features: Features, n_samples: int, dtype: mx.Dtype
) -> Callable[[], None]:
    """Runs a step's products and nothing else, spread over the cores as the step's samples are."""
    of = products(config, features)
    if ops.on_cpu():
        layers = {shape: layer_product(shape, dtype) for shape in set(of.layers)}
        made = {shape: plain_product(shape) for shape in {*of.others, *of.shared}}
        made |= {shape: attention_product(shape, dtype) for shape in set(of.attention)}

        def sample(_: int) -> None:
            for shape in of.layers:
                layers[shape]()
            for shape in (*of.attention, *of.others):
                made[shape]()

        def step_on_cpu() -> None:
            for shape in of.shared:
                made[shape]()
            ops.on_cores(sample, range(n_samples))

        return step_on_cpu
    arrays = {}
    for b, m, k, n in set(chain(*of)):
        x, y = mx.random.normal((b * n_samples, m, k)), mx.random.normal((b * n_samples, n, k))
        arrays[b, m, k, n] = (x.astype(dtype), y.astype(dtype))
    mx.eval(list(arrays.values()))

    def step() -> None:
        for shape in chain(*of):
            x, y = arrays[shape]
            mx.async_eval(x @ y.swapaxes(-1, -2))  # handed the next one while it works on this
        mx.synchronize()

    return step


def plain_product(shape: Product) -> Callable[[], object]:
    b, m, k, n = shape
    x, y = normal(b, m, k), normal(b, n, k)  # as a weight lies
    return lambda: x @ y.swapaxes(-1, -2)


def layer_product(shape: Product, dtype: mx.Dtype) -> Callable[[], object]:
    """In bfloat16 with what it costs to round its input."""
    if dtype != mx.bfloat16:
        return plain_product(shape)
    _, m, k, n = shape
    layer = ops.Linear(k, n, bias=False)
    layer.use_bfloat16()
    x = normal(m, k)
    return lambda: layer(x)


def attention_product(shape: Product, dtype: mx.Dtype) -> Callable[[], object]:
    b, m, k, n = shape
    if dtype != mx.bfloat16 or bfloat16.missing():
        return plain_product(shape)
    x, y = bfloat16.rounded(normal(b, m, k)), bfloat16.rounded(normal(b, k, n))
    product = bfloat16.batched_product(b, m, k, n)
    return lambda: product.run(x, np.empty((b, m, n), np.float32), y)


def normal(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).standard_normal(shape, np.float32)


def torch_seconds(
    config: Config, features: Features, n_samples: int, dtype: str, repeats: int
) -> float | None:
    """PyTorch's time for the same products on its GPU; None without PyTorch."""
    try:
        import torch
    except ImportError:
        return None
    where = "cuda" if torch.cuda.is_available() else "mps" if torch.mps.is_available() else "cpu"
    shapes = [*chain(*products(config, features))]
    wait = getattr(torch, where).synchronize
    made = {}
    for b, m, k, n in set(shapes):
        size = b * n_samples
        x, y = torch.randn(size, m, k, device=where), torch.randn(size, k, n, device=where)
        made[b, m, k, n] = (x.to(getattr(torch, dtype)), y.to(getattr(torch, dtype)))

    def step() -> None:
        for shape in shapes:
            torch.matmul(*made[shape])
        wait()

    step()
    return statistics.median(seconds(step) for _ in range(repeats))


def seconds(
    function: Callable[[], object], clock: Callable[[], float] = time.perf_counter
) -> float:
    began = clock()
    function()
    return clock() - began


def denoiser_step(
    dtype: str, features: Features, ref_pos: np.ndarray, n_samples: int
) -> tuple[Callable[[], None], float]:
    """A step of the released model's size with random weights, run once; seconds once per task."""
    network = PXDesignD(Config())
    mx.eval(network.parameters())
    if dtype != "float32":
        network.reduce_precision(getattr(mx, dtype))
    began = time.perf_counter()
    condition = network.condition(features, ref_pos)
    once = time.perf_counter() - began
    x = 16 * mx.random.normal((n_samples, len(ref_pos), 3))

    def step() -> None:
        mx.eval(network.denoise(x, 16.0, condition))

    step()
    return step, once


def measure(n_tokens: int, n_samples: int, dtype: str, repeats: int = 5) -> None:
    """One row, in a process of its own: peak memory is that of this case."""
    chains, length = target(n_tokens)
    features = featurize(chains, length)
    ref_pos = randomly_placed(features.ref_pos, features.atom_to_token, 1)
    step, once = denoiser_step(dtype, features, ref_pos, n_samples)
    kilobyte = 1e6 if sys.platform == "linux" else 1e9
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / kilobyte
    if not ops.on_cpu():
        memory = mx.get_peak_memory() / 1e9
    products_alone = floor(Config(), features, n_samples, getattr(mx, dtype))
    products_alone()
    in_turn = [step, products_alone]
    if dtype != "float32":
        in_turn.append(denoiser_step("float32", features, ref_pos, n_samples)[0])
    times = [[seconds(what) for what in in_turn] for _ in range(repeats)]
    steps, floors, *_ = (statistics.median(column) for column in zip(*times, strict=True))
    row = [features.n_tokens, len(ref_pos), n_samples, f"{steps / n_samples:.3f}"]
    row += [f"{floors / n_samples:.3f}", f"{ratio(times, 0, 1):.2f}", f"{memory:.2f}"]
    row.append(f"{once:.1f}")
    if dtype != "float32":
        row.append(f"{ratio(times, 2, 0):.2f}")
    if not ops.on_cpu():
        torch = torch_seconds(Config(), features, n_samples, dtype, repeats)
        row.append(f"{torch / n_samples:.3f}" if torch else "-")
    print("| " + " | ".join(map(str, row)) + " |", flush=True)


def ratio(times: list[list[float]], this: int, that: int) -> float:
    return statistics.median(row[this] / row[that] for row in times)


def step_table(device: str, dtype: str) -> None:
    columns = ["tokens", "atoms", "samples", "step, s/sample", "products alone", "ratio", "GB"]
    columns += ["once, s", *([f"float32 / {dtype}"] if dtype != "float32" else [])]
    columns += ["PyTorch's products"] if device == "gpu" else []
    print(f"| {' | '.join(columns)} |\n|{'---|' * len(columns)}")
    for n_tokens in SIZES:
        for n_samples in (1, 4, 10):
            words = ["measure", str(n_tokens), str(n_samples)]
            words += ["--device", device, "--dtype", dtype]
            subprocess.run([sys.executable, __file__, *words], check=True)


def tools_table() -> None:
    print("| what | median |\n|---|---|")
    commands = Path(sys.executable).parent
    for tool in TOOLS:
        words = [str(commands / tool), "--help"]
        times = [seconds(lambda: subprocess.run(words, stdout=-3, check=True)) for _ in range(7)]  # noqa: B023
        print(f"| {tool} --help | {statistics.median(times):.3f} s |")
    refused = [str(ROOT / "tools" / "recipe"), "pipeline", "nonsense"]
    times = [seconds(lambda: subprocess.run(refused, stderr=-3)) for _ in range(7)]
    print(f"| a recipe of just, before its first tool | {statistics.median(times):.3f} s |")
    times = [seconds(lambda: featurize(*target(200))) for _ in range(5)]
    print(f"| read 1BD2.cif.gz and featurize 200 tokens | {statistics.median(times):.3f} s |")
    chains = read("5PTI.cif.gz", {"A": ""})
    features = featurize(chains, 40)
    n_atoms = len(features.atoms)
    xyz = np.random.default_rng(0).normal(0, 20, (1, n_atoms, 3)).astype(np.float32)
    sequences = [list(chain.sequence) for chain in chains]
    write = cif_writer(Chunk(RECORD, [0], xyz, features.atoms, sequences, None), True)
    with tempfile.TemporaryDirectory() as folder:
        status = status_folder(Path(folder))
        words = [str(commands / "px-status"), folder]
        times = [seconds(lambda: subprocess.run(words, stdout=-3)) for _ in range(7)]
        print(f"| px-status on {status:,} CIFs | {statistics.median(times):.3f} s |")
        from pxtools.runs.files import write_atomically

        def files() -> None:
            for i in range(200):
                write_atomically(Path(folder) / f"{i}.cif", write(0)[0], sync_folder=False)

        def texts() -> None:
            for _ in range(200):
                write(0)

        rate = [200 / statistics.median(seconds(f) for _ in range(3)) for f in (texts, files)]
        print(f"| CIFs of {n_atoms} atoms, one core, text made | {rate[0]:.0f} a second |")
        print(f"| ... written, flushed to disk and renamed | {rate[1]:.0f} a second |")
        time_score(Path(folder) / "scored")


def time_score(folder: Path, n: int = 1000) -> None:
    """px-score on a run of `n` designs of 200 tokens, as a process."""
    from pxtools.runs.folder import RunDir

    chains, length = target(200)
    atoms = featurize(chains, length).atoms
    rng = np.random.default_rng(0)
    run = RunDir.of(folder, "bench", 1)
    run.predictions.mkdir(parents=True)
    run.chunks.mkdir()
    RunJson(RECORD, n).write(run)
    sequences = [list(chain.sequence) for chain in chains]
    for i in range(n):  # random walks: every one a cluster of its own, the slowest case
        walk = np.cumsum(rng.normal(0, 1.0, atoms.xyz.shape), 0) + np.nanmean(atoms.xyz, 0)
        xyz = np.where(np.isfinite(atoms.xyz), atoms.xyz, walk).astype(np.float32)
        write = cif_writer(Chunk(RECORD, [i], xyz[None], atoms, sequences, None), True)
        run.cif(i).write_bytes(write(0)[0])
    words = [str(Path(sys.executable).parent / "px-score"), "-q", str(folder)]
    for workers in (1, 2):
        (run.path / "summary.csv").unlink(missing_ok=True)
        command = [*words, "--workers", str(workers)]
        took = seconds(partial(subprocess.run, command, stdout=-3, check=True))
        print(f"| px-score on {n:,} CIFs of 200 tokens, --workers {workers} | {took:.1f} s |")


def status_folder(folder: Path, n: int = 10_000) -> int:
    """A finished run of `n` designs, its CIFs empty: px-status reads their names alone."""
    from pxtools.runs.folder import RunDir

    run = RunDir.of(folder, "bench", 1)
    run.predictions.mkdir(parents=True)
    run.chunks.mkdir()
    RunJson(RECORD, n).write(run)
    for i in range(n):
        run.cif(i).touch()
    return n


def backbone_of_190(shake: float) -> Backbone:
    """130 fixed residues and 60 to design, two pieces of 1BD2 moved by some 0.1 Å."""
    chains = protein_chains(Path("1BD2"), read_structure(STRUCTURES / "1BD2.cif.gz"))
    picked = [*chains["A"].sites[:130], *chains["E"].sites[:60]]
    xyz = np.array([[site[name][0].pos.tolist() for name in BACKBONE] for site in picked])
    xyz += np.random.default_rng(int(1000 * shake)).normal(0, 0.1, xyz.shape)
    row = np.arange(len(picked))
    whole, numbers = np.ones(len(row), bool), np.where(row < 130, row, row - 130)
    letters = np.array([ALPHABET.index(letter_of(site.name)) for site in picked])
    return Backbone(
        xyz.astype(np.float32), letters, (row >= 130).astype(int), numbers, row >= 130, whole
    )


def sequences_of(network: ProteinMPNN, backbone: Backbone, n: int) -> None:
    graph = network.encode([backbone])
    designed = np.flatnonzero(backbone.designed)
    context = network.context(graph, backbone.letters, np.flatnonzero(~backbone.designed))
    rng, shape = np.random.default_rng(0), (len(backbone.designed), len(ALPHABET))
    draws = [Draw(i, 0, rng.permutation(designed), rng.gumbel(size=shape)) for i in range(n)]
    bias = np.where(np.arange(len(ALPHABET)) == UNKNOWN, -np.inf, 0.0)
    network.sample(graph, context, draws, 0.1, bias)


def mpnn_products(length: int, n_designed: int, n: int) -> Callable[[], None]:
    """Runs the matrix products of `n` sequences of a backbone and nothing else."""
    k, c, fixed = 48, 128, length - n_designed
    edges = [(length, k, 400, c), *[(length, k, c, c)] * 16, *[(fixed, k, c, c)] * 6]
    edges += [(n_designed, k, c, c)] * 3
    step = [(n, k, c, c), *[(1, n, c, c)] * 3, (1, n, c, 4 * c), (1, n, 4 * c, c)] * 3
    made = {}
    for b, m, inner, out in {*edges, *step}:
        made[b, m, inner, out] = (normal(b, m, inner), normal(inner, out))

    def run() -> None:
        for shape in edges + step * n_designed:
            x, y = made[shape]
            np.matmul(x, y)

    return run


def measure_sequences(n: int, repeats: int = 5) -> None:
    """A row, in a process of its own: peak memory is that of this case."""
    network = read_weights("vanilla").network()
    backbones = [backbone_of_190(i) for i in range(4 * cores())]
    alone = mpnn_products(190, 60, n)
    sequences_of(network, backbones[0], n)
    alone()
    # one core's own time, whatever else the machine does
    clock = time.thread_time if ops.on_cpu() else time.perf_counter
    pairs = [
        (seconds(lambda: sequences_of(network, backbones[0], n), clock), seconds(alone, clock))
        for _ in range(repeats)
    ]
    took, floors = (statistics.median(times) for times in zip(*pairs, strict=True))
    ratio = statistics.median(a / b for a, b in pairs)
    with ThreadPoolExecutor(cores()) as threads:
        everywhere = seconds(
            lambda: list(threads.map(lambda b: sequences_of(network, b, n), backbones))
        )
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    memory = peak / (1e6 if sys.platform == "linux" else 1e9)
    row = [n, f"{took:.3f}", f"{floors:.3f}", f"{ratio:.2f}", f"{n / took:.1f}"]
    row += [f"{n * len(backbones) / everywhere:.1f}", f"{memory:.2f}"]
    print("| " + " | ".join(map(str, row)) + " |", flush=True)


def sequences_table(device: str) -> None:
    columns = ["sequences a backbone", "s", "products alone", "ratio", "a second, one core"]
    columns += ["all cores", "GB"]
    print(f"| {' | '.join(columns)} |\n|{'---|' * len(columns)}", flush=True)
    for n in (1, 8):
        words = ["measure-sequences", str(n), "--device", device]
        subprocess.run([sys.executable, __file__, *words], check=True)


def machine() -> str:
    cpu = platform.processor() or platform.machine()
    if Path("/proc/cpuinfo").exists():
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        cpu = next((line.split(": ")[1] for line in lines if line.startswith("model name")), cpu)
    return f"{cores()} cores of {cpu}, {platform.system()}, mlx {version('mlx')}"


def cases(words: str) -> list[tuple[int, int]]:
    """Of 200x1,200x4: tokens and samples."""
    found = [(int(tokens), int(n)) for tokens, n in (word.split("x") for word in words.split(","))]
    if not all(tokens in SIZES and n > 0 for tokens, n in found):
        raise ValueError
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "what", nargs="?", default="all", help="all, step, sequences, tools or peers"
    )
    parser.add_argument("sizes", nargs="*", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--device", choices=["cpu", "gpu"], default=mx.default_device().type.name)
    parser.add_argument("--dtype", choices=["float32", "bfloat16", "float16"], default="float32")
    group = parser.add_argument_group("peers: the published denoiser beside ours, on the CPU")
    group.add_argument(
        "--published",
        type=Path,
        metavar="DIR",
        help="DIR holds checkouts of PXDesign and of Protenix, at the tag that PXDesign's "
        "install.sh names (v0.5.0+pxd)",
    )
    group.add_argument(
        "--python",
        default=sys.executable,
        help="a Python that has what their denoiser imports: torch, scipy, optree, "
        "ml_collections, PyYAML (default: this one)",
    )
    group.add_argument(
        "--cases",
        type=cases,
        default="200x1,200x4,200x10,400x4,700x4",
        help="tokens (200, 400 or 700) x samples (%(default)s)",
    )
    args = parser.parse_args()
    mx.set_default_device(mx.Device(getattr(mx, args.device)))
    if args.what == "measure":
        n_tokens, n_samples = args.sizes
        measure(n_tokens, n_samples, args.dtype)
        return
    if args.what == "measure-sequences":
        measure_sequences(*args.sizes)
        return
    if args.what not in ("all", "step", "sequences", "tools", "peers"):
        parser.error(f"expected all, step, sequences, tools or peers, found {args.what}")
    if args.what == "peers":
        if args.published is None:
            peers.refuse("peers needs --published DIR, with checkouts of PXDesign and Protenix")
        print(f"{machine()}\n", flush=True)
        peers.table(args.published, args.python, args.cases)
        return
    print(f"{machine()}, {mx.default_device()}, {args.dtype}\n")
    if args.what in ("all", "step"):
        step_table(args.device, args.dtype)
        print()
    if args.what in ("all", "sequences"):
        sequences_table(args.device)
        print()
    if args.what in ("all", "tools"):
        tools_table()


if __name__ == "__main__":
    main()
