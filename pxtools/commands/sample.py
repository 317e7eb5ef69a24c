"""px-sample: generate binder backbones for design tasks, chunk by chunk."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from argh import arg

from pxtools.commands import cli
from pxtools.console import Progress, already_complete, resuming, say, warn
from pxtools.errors import InputError

if TYPE_CHECKING:
    from pxtools.network.pxdesign import PXDesignD
    from pxtools.network.weights import ModelFile
    from pxtools.runs.folder import RunDir
    from pxtools.sampling.chunks import Job

EXIT_FAILED_SAMPLES = 3
# the published pipeline's names and the usual ones
DTYPES = {"fp32": "float32", "bf16": "bfloat16", "fp16": "float16"}


@arg("-i", "--input-json-path", help="design tasks, JSON or YAML (- for stdin)")
@arg("-o", "--dump-dir", help="folder the results go to")
@arg("-p", "--preset", help="quick, preview or extended (presets/); other options win over it")
@arg("-n", "--N-sample", type=int, help="designs per task and seed")
@arg("--N-step", type=int, help="diffusion steps")
@arg("--sample-diffusion-chunk-size", type=int, help="samples generated together")
@arg("--seeds", help="one run for each, such as 123,456; default: those begun, else 12345")
@arg("-m", "--model", help="name, folder or .safetensors file")
@arg("--device", choices=["cpu", "gpu"], help="default: the GPU where MLX has one")
@arg(
    "--dtype",
    choices=[*DTYPES.values(), *DTYPES],
    help="precision of the network's products; else float32",
)
@arg("-w", "--workers", type=int, help="samples computed at once on the CPU; default: its cores")
@arg("--eta-type", help="step scale schedule")
@arg("--eta-min", type=float, help="its first value")
@arg("--eta-max", type=float, help="its last value")
@arg("--gamma0", type=float, help="noise added at each step, relative to the level")
@arg("--gamma-min", type=float, help="noise level (Å) below which none is added")
@arg("-q", "--quiet", help="no progress lines; warnings are still shown")
def px_sample(
    *,
    input_json_path: str,
    dump_dir: str = "results",
    preset: str | None = None,
    N_sample: int | None = None,
    N_step: int | None = None,
    sample_diffusion_chunk_size: int | None = None,
    seeds: str | None = None,
    model: str | None = None,
    device: str | None = None,
    dtype: str = "float32",
    workers: int | None = None,
    eta_type: str | None = None,
    eta_min: float | None = None,
    eta_max: float | None = None,
    gamma0: float | None = None,
    gamma_min: float | None = None,
    quiet: bool = False,
) -> None:
    """Generate binder backbones for design tasks; print the path of each finished chunk file.

    Stop it at any time and go on with the same command.
    """
    options = dict(locals())
    if failed := sample(finished=lambda path: print(path, flush=True), **options):
        warn(f"{failed} samples became NaN or infinite and were left out")
        sys.exit(EXIT_FAILED_SAMPLES)


def sample(
    finished: Callable[[Path], None],
    input_json_path: str,
    dump_dir: str,
    preset: str | None,
    seeds: str | None,
    model: str | None,
    device: str | None,
    dtype: str,
    workers: int | None,
    quiet: bool,
    **numbers: int | float | str | None,
) -> int:
    """All tasks and seeds of a command; `finished` gets every chunk. Returns failed samples."""
    from pxtools.network import ops  # before mlx
    from pxtools.network.weights import load_network, read_model
    from pxtools.runs.folder import RunDir, seeds_of
    from pxtools.runs.inventory import open_run
    from pxtools.sampling.chunks import Job
    from pxtools.sampling.presets import DEFAULT_SEED, parse_seeds, settings
    from pxtools.task.design import prepare, run_record
    from pxtools.task.reading import read_tasks
    from pxtools.task.target import read_target

    dtype = DTYPES.get(dtype, dtype)
    wanted = settings(preset, **numbers)
    given_seeds = parse_seeds(seeds)
    tasks = read_tasks(input_json_path)
    model_file = read_model(model)
    _choose_device(device, workers)
    _name_model(model_file, model)
    if dtype != "float32" and ops.on_cpu():
        warn(f"--dtype {dtype} saves time on a GPU only; on a CPU it is slower than float32")
    designs = [prepare(task, read_target(task), model_file) for task in tasks]
    jobs: list[tuple[RunDir, Job]] = []
    for design in designs:
        name = design.task.name
        for seed in given_seeds or seeds_of(dump_dir, name) or [DEFAULT_SEED]:
            run = RunDir.of(dump_dir, name, seed)
            record = run_record(design, model_file, dtype, wanted.schedule, seed)
            open_run(run, record, wanted.N_sample)
            jobs.append((run, Job(design, wanted.schedule, seed, record)))
    network = cache(lambda: load_network(model_file, dtype))
    return sum(
        _sample_run(
            run, job, network, wanted.N_sample, wanted.sample_diffusion_chunk_size, quiet, finished
        )
        for run, job in jobs
    )


def _sample_run(
    run: RunDir,
    job: Job,
    network: Callable[[], PXDesignD],
    n_sample: int,
    chunk_size: int,
    quiet: bool,
    finished: Callable[[Path], None],
) -> int:
    from pxtools.runs.inventory import done_samples, valid_chunks
    from pxtools.sampling.chunks import generate, plan

    progress = Progress(n_sample, chunk_size, quiet)
    chunks = valid_chunks(run, job.record)
    done = done_samples(run, chunks)
    for path in chunks:
        finished(path)
    pieces = plan(run, done, n_sample, chunk_size)
    existing = len(done.intersection(range(n_sample)))
    if existing == n_sample:
        progress.say(already_complete(run.name, n_sample))
        return 0
    if existing:
        progress.say(resuming(run.name, existing))
    progress.start()
    failed, unclaimed = generate(run, job, network(), pieces, progress, finished)
    if unclaimed:  # the other process may have finished them by now
        left = len(unclaimed - done_samples(run, valid_chunks(run, job.record)))
        if left:
            say(f"Nothing left to claim: {left} samples of {run.name} are with another process")
    return failed


def _choose_device(device: str | None, workers: int | None) -> None:
    from pxtools.network import ops  # before mlx

    import mlx.core as mx  # isort: skip

    if device == "gpu" and not mx.is_available(mx.Device(mx.gpu)):
        raise InputError.of("--device", "device", "cpu (MLX has no GPU here)", device)
    if device is not None:
        mx.set_default_device(mx.Device(mx.cpu if device == "cpu" else mx.gpu))
    if workers is not None:
        if not 1 <= workers <= ops.MAX_WORKERS:
            raise InputError.of("--workers", "number", f"1 to {ops.MAX_WORKERS}", workers)
        ops.set_workers(workers)


def _name_model(model: ModelFile, asked: str | None) -> None:
    if model.is_demonstration:
        why = "" if asked else " (the released one is not installed, see README)"
        warn(
            f"Using the embedded demonstration model '{model.name}'{why}: it is small, sees the "
            "target's backbone only, and its designs are not for the laboratory"
        )
    else:
        say(f"Model {model.name} ({model.path}, sha256 {model.digest[:12]})")


def main() -> None:
    cli.run(px_sample)


if __name__ == "__main__":
    main()
