"""px-sample: generate binder backbones for design tasks, chunk by chunk."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from argh import arg

from pxtools.commands import cli
from pxtools.console import warn
from pxtools.errors import InputError
from pxtools.exit_codes import FAILED_SAMPLES, HELD_BY_OTHERS
from pxtools.shipped import EXAMPLE

if TYPE_CHECKING:
    from pxtools.sampling.runs import SampleRequest

# the published pipeline's names and the usual ones
DTYPES = {"fp32": "float32", "bf16": "bfloat16", "fp16": "float16"}


OPTIONS = (
    arg("-i", "--input-json-path", help="design tasks, JSON or YAML (- for stdin)"),
    arg("--example", action="store_true", help="run the example task instead"),
    arg("-o", "--dump-dir", default="results", help="folder the results go to"),
    arg(
        "-p",
        "--preset",
        help="quick, preview, extended or custom; other options override it",
    ),
    arg("-n", "--N-sample", type=int, help="designs per task and seed"),
    arg("--N-step", type=int, help="diffusion steps"),
    arg("--sample-diffusion-chunk-size", type=int, help="samples generated together"),
    arg(
        "--seeds",
        help="one run for each, such as 123,456; default: the run's existing seeds, or 12345",
    ),
    arg("-m", "--model", help="name, folder or .safetensors file"),
    arg("--device", choices=["cpu", "gpu"], help="default: the GPU where MLX has one"),
    arg(
        "--dtype",
        choices=[*DTYPES.values(), *DTYPES],
        help="precision of the network's products; default: the run's own, or float32",
    ),
    arg("-w", "--workers", type=int, help="samples at once on the CPU; default: its cores"),
    arg("--eta-type", help="step scale schedule; the published command line uses const_2.5"),
    arg("--eta-min", type=float, help="its first value"),
    arg("--eta-max", type=float, help="its last value"),
    arg("--gamma0", type=float, help="noise added at each step, relative to the noise level"),
    arg("--gamma-min", type=float, help="noise level (Å) below which none is added"),
    arg("-q", "--quiet", action="store_true", help="no progress lines; warnings are still shown"),
)


def with_sampling_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options of `sample_request`, but for its part of the samples."""
    for option in reversed(OPTIONS):
        command = option(command)
    return command


@with_sampling_options
@arg("--shard", help="K/N: only every Nth chunk from chunk K on, counted from 0, such as 0/16")
@arg("--samples", help="A-B: only these samples, counted from 0, such as 100-199")
@arg("--gpus", type=int, help="number of CUDA cards to use, one process for each")
@arg("--processes", type=int, help="number of processes, which share the cores")
def px_sample(**options: Any) -> None:
    """Generate binder backbones for design tasks; print the path of each finished chunk file.

    Stop it at any time; run the same command to continue.
    """
    from pxtools.sampling.runs import sample

    gpus, processes = options.pop("gpus"), options.pop("processes")
    request = sample_request(**options)
    if gpus is not None or processes is not None:
        sys.exit(_together(request, options, gpus, processes))
    sampled = sample(request, finished=lambda path: print(path, flush=True))
    if sampled.failed:
        warn(f"{sampled.failed} samples became NaN or infinite and were left out")
        sys.exit(FAILED_SAMPLES)
    if sampled.held_by_others:
        sys.exit(HELD_BY_OTHERS)


def _together(
    request: SampleRequest, options: dict[str, Any], gpus: int | None, processes: int | None
) -> int:
    from pxtools.fronts.together import Together, for_gpus, for_processes
    from pxtools.machine import cores

    if gpus is not None and processes is not None:
        raise InputError.of_option("--gpus", "either --gpus or --processes", "both")
    if options["input_json_path"] == "-":
        raise InputError.of_option("-i", "a file, which all processes read", "-")
    given = cli.those_given(options)
    if processes is not None:
        environments = for_processes(processes)
        given = {"device": "cpu", "workers": max(1, cores() // processes)} | given
    else:
        environments = for_gpus(gpus or 0)
    words = [f"--{name}" if value is True else f"--{name}={value}" for name, value in given.items()]
    return Together(words, request).sample(environments)


def sample_request(
    *,
    input_json_path: str | None = None,
    example: bool = False,
    dump_dir: str = "results",
    preset: str | None = None,
    N_sample: int | None = None,
    N_step: int | None = None,
    sample_diffusion_chunk_size: int | None = None,
    seeds: str | None = None,
    shard: str | None = None,
    samples: str | None = None,
    model: str | None = None,
    device: str | None = None,
    dtype: str | None = None,
    workers: int | None = None,
    eta_type: str | None = None,
    eta_min: float | None = None,
    eta_max: float | None = None,
    gamma0: float | None = None,
    gamma_min: float | None = None,
    quiet: bool = False,
) -> SampleRequest:
    """The request that the words of the command line make. Raises InputError."""
    from pxtools.runs.folder import parse_seeds
    from pxtools.runs.shards import parse_part
    from pxtools.sampling.presets import settings
    from pxtools.sampling.runs import SampleRequest
    from pxtools.task.reading import read_tasks

    wanted = settings(
        preset,
        N_sample=N_sample,
        N_step=N_step,
        sample_diffusion_chunk_size=sample_diffusion_chunk_size,
        eta_type=eta_type,
        eta_min=eta_min,
        eta_max=eta_max,
        gamma0=gamma0,
        gamma_min=gamma_min,
    )
    return SampleRequest(
        seeds=parse_seeds(seeds),
        tasks=read_tasks(task_file(input_json_path, example)),
        dump_dir=Path(dump_dir),
        settings=wanted,
        model=model,
        dtype=DTYPES.get(dtype or "", dtype),
        device=device,
        workers=workers,
        quiet=quiet,
        part=parse_part(shard, samples),
    )


def task_file(input_json_path: str | None, example: bool) -> str:
    """The file that is asked for. Raises InputError if none or two are."""
    if (input_json_path is None) != example:
        found = "both" if example else "nothing"
        raise InputError(f"-i: expected a task file, or --example to try the tools, found {found}")
    return str(EXAMPLE) if input_json_path is None else input_json_path


def main() -> None:
    cli.run(px_sample, "pxtools.sampling.runs")


if __name__ == "__main__":
    main()
