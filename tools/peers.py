"""The published denoiser (PyTorch) beside ours: what `just bench peers --published DIR` prints.

DIR holds checkouts of PXDesign and of the Protenix that PXDesign's install.sh names (v0.5.0+pxd);
--python is one that has torch and what they import, if this one has not. Each side is a process
of its own, with its own memory and settings: it waits for a line, does a step of the whole
denoiser and answers with its seconds. The sides take turns, so that the machine's mood is the
same for all; they have the same task, noisy coordinates and stand-in weights, and their results
are compared. Nothing of the published code is changed but its initialisation, which is left out.
"""

import io
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, redirect_stdout
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import NoReturn

import numpy as np

SIGMA = 16.0  # Å
# glibc gives nothing back to the system, and so needs not ask for it again, page by page
TUNED = {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": str(10**11)}
Step = Callable[[], np.ndarray]  # denoised coordinates (S, A, 3) in Å


@dataclass(frozen=True)
class Side:
    name: str
    whose: str  # "ours" or "published"
    dtype: str
    environment: dict[str, str] = field(default_factory=dict)


SIDES = (
    Side("px-tools float32", "ours", "float32"),  # what the others are compared with
    Side("px-tools bfloat16", "ours", "bfloat16"),
    Side("published", "published", "float32"),
    Side("published + malloc", "published", "float32", TUNED),
    Side("published + malloc + bf16 autocast", "published", "bfloat16", TUNED),
)


def write_inputs(path: Path, n_tokens: int) -> int:
    """Writes a task's features by the published names; gives how many tokens it really has."""
    from targets import target

    from pxtools.network.features import featurize, one_hot, randomly_placed
    from pxtools.structure.residues import N_RESTYPES

    f = featurize(*target(n_tokens))
    tokens, atoms = np.zeros(f.n_tokens, np.float32), np.ones(len(f.ref_pos), np.float32)
    same = ("residue_index", "asym_id", "entity_id", "sym_id", "hotspot", "ref_charge")
    np.savez(
        path,
        **{name: getattr(f, name) for name in same},
        restype=one_hot(f.restype, N_RESTYPES),
        deletion_mean=tokens,
        token_index=np.arange(f.n_tokens),
        conditional_templ=f.template,
        conditional_templ_mask=f.template_mask.astype(int),
        ref_pos=randomly_placed(f.ref_pos, f.atom_to_token, 1),
        ref_mask=atoms,
        ref_element=one_hot(f.ref_element, 128),
        ref_atom_name_chars=one_hot(f.ref_name_chars, 64),
        ref_space_uid=f.atom_to_token,
        atom_to_token_idx=f.atom_to_token,
    )
    return f.n_tokens


def noisy(n_samples: int, n_atoms: int) -> np.ndarray:
    x = np.random.default_rng(0).standard_normal((n_samples, n_atoms, 3), np.float32)
    return np.float32(SIGMA) * x


def ours(n_samples: int, dtype: str, n_tokens: str) -> Step:
    import mlx.core as mx
    from mlx.utils import tree_flatten
    from stand_in import formula_weight
    from targets import target

    from pxtools.network.config import Config
    from pxtools.network.features import featurize, randomly_placed
    from pxtools.network.pxdesign import PXDesignD

    mx.set_default_device(mx.Device(mx.cpu))
    network = PXDesignD(Config())  # of the released model's size
    weights = dict(tree_flatten(network.parameters()))
    network.load_weights([(k, mx.array(formula_weight(k, w.shape))) for k, w in weights.items()])
    if dtype != "float32":
        network.reduce_precision(getattr(mx, dtype))
    features = featurize(*target(int(n_tokens)))
    ref_pos = randomly_placed(features.ref_pos, features.atom_to_token, 1)
    condition = network.condition(features, ref_pos)
    x = mx.array(noisy(n_samples, len(ref_pos)))
    return lambda: np.array(network.denoise(x, SIGMA, condition))


def published(n_samples: int, dtype: str, inputs: str, checkouts: str) -> Step:
    """A step as pxdesign/model/generator.py asks for it, with the chunks of its inference."""
    sys.path[:0] = [f"{checkouts}/{name}" for name in ("PXDesign", "Protenix")]
    import torch
    from protenix.config import parse_configs
    from protenix.model.modules import primitives
    from pxdesign.configs.configs_base import configs as defaults
    from pxdesign.model.pxdesign import ProtenixDesign
    from stand_in import formula_weight

    torch.set_grad_enabled(False)
    primitives.trunc_normal_init_ = lambda *_, **__: None  # 17 s for what is overwritten below
    configs = parse_configs(defaults, fill_required_with_null=True)
    model = ProtenixDesign(configs).eval()
    for name, weight in model.state_dict().items():
        weight.copy_(torch.from_numpy(formula_weight(name, tuple(weight.shape))))
    with np.load(inputs) as file:
        features = {name: torch.from_numpy(file[name]) for name in file.files}
    chunk_size = configs.infer_setting.chunk_size
    s_inputs, s, z = model.get_condition_embedding(features, chunk_size)
    x = torch.from_numpy(noisy(n_samples, len(features["ref_pos"])))

    def step() -> np.ndarray:
        with torch.autocast("cpu", torch.bfloat16, enabled=dtype == "bfloat16"):
            denoised = model.diffusion_module(
                x_noisy=x,
                t_hat_noise_level=torch.full((n_samples,), SIGMA),
                input_feature_dict=features,
                s_inputs=s_inputs,
                s_trunk=s,
                z_trunk=z,
                inplace_safe=True,
                chunk_size=chunk_size,
            )
        result: np.ndarray = denoised.float().numpy()
        return result

    return step


def serve(make: Callable[[], Step], result: Path) -> None:
    """Saves a step's result, then does one for each line: seconds, and peak memory in GB so far."""
    with redirect_stdout(io.StringIO()):  # the published code reports its settings
        step = make()
        np.save(result, step())
    print("ready", flush=True)
    unit = 1e6 if sys.platform == "linux" else 1e9
    for _ in sys.stdin:
        began = time.perf_counter()
        step()
        took = time.perf_counter() - began
        print(took, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit, flush=True)


def refuse(line: str) -> NoReturn:
    print(line, file=sys.stderr)
    sys.exit(2)


@contextmanager
def started(side: Side, words: list[str]) -> Iterator[Callable[[], tuple[float, float]]]:
    """Gives the function that has the side's process do a step: seconds and GB."""
    environment = os.environ | side.environment
    with subprocess.Popen(words, env=environment, stdin=-1, stdout=-1, text=True) as process:
        assert process.stdin and process.stdout
        said, ask = process.stdout, process.stdin

        def answer() -> str:
            line = said.readline()
            if not line:
                if (status := process.wait()) == 2:
                    sys.exit(2)  # it has said why
                sys.exit(f"{side.name}: its process ended with status {status}")
            return line

        def step() -> tuple[float, float]:
            ask.write("step\n")
            ask.flush()
            seconds, memory = map(float, answer().split())
            return seconds, memory

        answer()  # that it is ready
        yield step


def compare(
    sides: list[Side], n_tokens: int, n_samples: int, checkouts: Path, python: str, repeats: int = 5
) -> tuple[str, str]:
    """A row of the table, and how far the results are from the first side's."""
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        exactly = write_inputs(folder / "inputs.npz", n_tokens)
        of = {
            "ours": (sys.executable, [f"{n_tokens}"]),
            "published": (python, [f"{folder / 'inputs.npz'}", f"{checkouts}"]),
        }
        begun = []
        for side in reversed(sides):  # the published ones first: they may not start
            interpreter, words = of[side.whose]
            command = [interpreter, "-W", "ignore", __file__, f"{folder / side.name}.npy"]
            command += [side.whose, f"{n_samples}", side.dtype, *words]
            begun.append(stack.enter_context(started(side, command)))
        measured = np.array([[step() for step in reversed(begun)] for _ in range(repeats)])
        denoised = [np.load(folder / f"{side.name}.npy") for side in sides]
    seconds, memory = measured[..., 0] / n_samples, measured[-1, :, 1]
    ratios = np.median(seconds / seconds[:, :1], axis=0)
    times = zip(np.median(seconds, axis=0), ratios, strict=True)
    cells = [f"{exactly}", f"{n_samples}", *(f"{s:.3f} ({x:.2f} x)" for s, x in times)]
    row = f"| {' | '.join(cells)} | {' / '.join(f'{gb:.2f}' for gb in memory)} |"
    away = [
        f"{side.name} {np.abs(x - denoised[0]).max():.1g}"
        for side, x in zip(sides[1:], denoised[1:], strict=True)
    ]
    return row, f"{exactly} tokens x {n_samples}: {', '.join(away)}"


def table(checkouts: Path, python: str, cases: list[tuple[int, int]]) -> None:
    """Prints a row for each case, whose five processes are there at the same time."""
    from pxtools.network import bfloat16

    for part in ("PXDesign/pxdesign", "Protenix/protenix"):
        if not (checkouts / part).is_dir():
            refuse(f"{checkouts / part} is not there: DIR holds checkouts of PXDesign and Protenix")
    sides = list(SIDES)
    if why := bfloat16.missing():
        print(f"no column for px-tools bfloat16: {why}", file=sys.stderr)
        sides = [side for side in sides if side.name != "px-tools bfloat16"]
    columns = ["tokens", "samples", *(side.name for side in sides), "GB"]
    print(f"| {' | '.join(columns)} |\n|{'---|' * len(columns)}", flush=True)
    differences = []
    for n_tokens, n_samples in cases:
        row, difference = compare(sides, n_tokens, n_samples, checkouts, python)
        print(row, flush=True)
        differences.append(difference)
    print(f"\nSeconds a sample and step (times {sides[0].name}'s); peak memory in the same order.")
    print(f"Largest difference of a coordinate from {sides[0].name}, Å:", *differences, sep="\n- ")


def main() -> None:
    """One side."""
    result, whose, n_samples, dtype, *of = sys.argv[1:]
    make: Callable[..., Step] = ours if whose == "ours" else published
    try:
        serve(partial(make, int(n_samples), dtype, *of), Path(result))
    except ModuleNotFoundError as error:
        refuse(f"the {whose} side needs {error.name}, which {sys.executable} has not")


if __name__ == "__main__":
    main()
