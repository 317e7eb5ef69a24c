"""All tasks and seeds of a request: which samples are missing, and each chunk in turn."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING

from pxtools.console import (
    Progress,
    already_complete,
    left_to_others,
    nothing_of_it,
    part_of_run,
    resuming,
    say,
    warn,
)
from pxtools.errors import InputError
from pxtools.network import ops
from pxtools.network.config import Help
from pxtools.network.features import randomly_placed
from pxtools.network.weights import ModelFile, load_network, read_model
from pxtools.runs.designs import samples_of
from pxtools.runs.folder import RunDir, seeds_of
from pxtools.runs.inventory import inspect, open_run, precision_begun, raise_n_sample
from pxtools.runs.lock import Lock
from pxtools.runs.record import ChainRecord, ModelRecord, RunRecord, TaskRecord
from pxtools.runs.schedule import Schedule
from pxtools.runs.shards import WHOLE, Part, refuse_range_beyond
from pxtools.runs.workers import Presence, present
from pxtools.sampling.chunks import Finished, Job, Made, make_chunk
from pxtools.sampling.guidance import guide_of
from pxtools.sampling.plan import Piece, grid, plan
from pxtools.sampling.precision import precision
from pxtools.sampling.presets import DEFAULT_SEED, Settings
from pxtools.task.design import Design, prepare
from pxtools.task.target import read_target
from pxtools.task.types import Task

if TYPE_CHECKING:
    from pxtools.network.pxdesign import PXDesignD

    Network = Callable[[str], PXDesignD]  # in a precision


@dataclass(frozen=True)
class SampleRequest:
    """What px-sample is asked for; docs/python.md shows how to make one."""

    tasks: Sequence[Task]
    dump_dir: Path
    settings: Settings
    seeds: Sequence[int] | None = None  # None: those begun, else DEFAULT_SEED
    model: str | None = None  # a name, a folder or a .safetensors file
    dtype: str | None = None  # of the network's products; None: the run's own, or float32
    device: str | None = None  # cpu or gpu; None: a GPU where MLX has one
    workers: int | None = None  # samples computed at once on the CPU; None: its cores
    quiet: bool = False
    part: Part = WHOLE

    def __post_init__(self) -> None:
        refuse_range_beyond(self.part, self.settings.N_sample)

    def cells(self, task: Task, seed: int) -> list[list[int]]:
        """The samples of a run in the chunks that they are made in."""
        length_of = partial(task.binder_lengths.of_sample, seed)
        settings = self.settings
        return grid(range(settings.N_sample), length_of, settings.sample_diffusion_chunk_size)

    @property
    def total(self) -> int:
        """Samples asked for, of all runs."""
        runs = runs_of(self)
        return sum(len(self.part.of(self.cells(task, seed))) for task, seed, _ in runs)

    @property
    def missing(self) -> int:
        """Samples asked for that no file holds, by the names of files."""
        parts = ((run, self.part.of(self.cells(task, seed))) for task, seed, run in runs_of(self))
        return sum(len(set(part) - samples_of(run)) for run, part in parts)


@dataclass(frozen=True)
class Sampled:
    """What became of a request: samples that are not finite, and those that others have claimed."""

    failed: int
    held_by_others: int


def sample(request: SampleRequest, finished: Finished = lambda path: None) -> Sampled:
    """Generate what is missing of a request; `finished` gets each chunk file, old ones first.

    Raises InputError, before anything is written, where the request cannot be met.
    """
    model = read_model(request.model)
    ops.choose_device(request.device, request.workers)
    _name_model(model, request.model, request.settings.schedule)
    network = cache(partial(load_network, model))  # for a run that is new, or that lacks something
    opened = list(_opened(request, model, network))
    for dtype in sorted({one.record.model.dtype for one in opened} - {"float32"}):
        say(f"The network's matrix products are done in {dtype}")
    parts = [_sample_run(one, network, request, finished) for one in opened]
    return Sampled(sum(part.failed for part in parts), sum(part.held_by_others for part in parts))


@dataclass(frozen=True)
class Opened:
    """A run's directory, checked against what is asked for."""

    run: RunDir
    record: RunRecord
    begun_with: dict[str, str]  # versions
    design: Design
    help: Help

    def length_of(self, sample: int) -> int:
        """Residues of a sample's binder."""
        return self.design.task.binder_lengths.of_sample(self.record.seed, sample)


def _opened(request: SampleRequest, model: ModelFile, network: Network) -> Iterator[Opened]:
    """The run of each task and seed, once all tasks are known to be sound."""
    designs = [prepare(task, read_target(task), model) for task in request.tasks]
    of_name = {design.task.name: design for design in designs}
    for task, seed, run in runs_of(request):
        yield _open(request, model, network, of_name[task.name], run, seed)


def _open(
    request: SampleRequest,
    model: ModelFile,
    network: Network,
    design: Design,
    run: RunDir,
    seed: int,
) -> Opened:
    begun_in = precision_begun(run)
    dtype = precision(request.dtype, begun_in, model, run.path)
    record = run_record(design, model, dtype, request.settings.schedule, seed)
    if not run.run_json.exists():
        network(dtype)  # a model that is refused begins no run
    try:
        begun = open_run(run, record, request.settings.N_sample, ops.arithmetic(dtype))
    except InputError:
        if precision_begun(run) == begun_in:
            raise
        return _open(request, model, network, design, run, seed)  # another has just begun it
    return Opened(run, record, begun.versions, design, model.help)


def runs_of(request: SampleRequest) -> Iterator[tuple[Task, int, RunDir]]:
    """Each task and seed, with its directory: there, or to be made."""
    for task in request.tasks:
        begun = seeds_of(request.dump_dir, task.name)
        for seed in request.seeds or begun or [DEFAULT_SEED]:
            yield task, seed, RunDir.of(request.dump_dir, task.name, seed)


def run_record(
    design: Design, model: ModelFile, dtype: str, schedule: Schedule, seed: int
) -> RunRecord:
    """What run.json and every chunk say of a run: all that decides its designs."""
    task = design.task
    return RunRecord(
        TaskRecord(
            name=task.name,
            binder_lengths=str(task.binder_lengths),
            chains={pick.chain: ChainRecord(pick.crop_text, pick.hotspots) for pick in task.chains},
            structure=task.structure.name,
            target_digest=design.features.digest(design.whole_target),
        ),
        ModelRecord(model.name, model.digest, dtype),
        schedule,
        seed,
    )


def _sample_run(
    opened: Opened, network: Network, request: SampleRequest, finished: Finished
) -> Sampled:
    """Generate what a run lacks."""
    run, record, part = opened.run, opened.record, request.part
    n_sample, chunk_size = request.settings.N_sample, request.settings.sample_diffusion_chunk_size
    cells = request.cells(opened.design.task, record.seed)
    asked, wanted = set(range(n_sample)), part.of(cells)
    progress = Progress(n_sample, chunk_size, request.quiet)
    held = inspect(run, record, wanted).set_damaged_aside()
    for path in held.chunks:
        finished(path)
    _drop_states_of(run, held.done)
    existing = len(held.done & wanted)
    if not wanted:
        warn(nothing_of_it(run.name, str(part)))
        return Sampled(0, 0)
    if existing == len(wanted):
        progress.say(already_complete(run.name, existing, str(part)))
        return Sampled(0, 0)
    begun = [samples for samples, _ in run.files("state")]
    if existing or any(wanted.intersection(samples) for samples in begun):
        progress.say(resuming(run.name, existing))
    _warn_of_other_arithmetic(opened)
    progress.start(len(wanted) - existing)
    if len(wanted) < n_sample:
        progress.say(part_of_run(str(part), len(wanted), n_sample))
    pieces = plan(held.done | asked - wanted, begun, cells)
    failed, unclaimed = 0, set[int]()
    dtype = record.model.dtype
    with present(run, part, wanted, ops.arithmetic(dtype)) as presence:
        for piece, made in _made(opened, network(dtype), pieces, presence, progress, finished):
            if made is None:
                unclaimed.update(piece.samples)
                continue
            failed += made.failed
    raise_n_sample(run, record, n_sample)
    if unclaimed:  # the other process may have finished them by now
        unclaimed -= inspect(run, record, unclaimed).set_damaged_aside().done
    if unclaimed:
        say(left_to_others(run.name, len(unclaimed)))
    return Sampled(failed, len(unclaimed))


def _warn_of_other_arithmetic(opened: Opened) -> None:
    before = opened.begun_with.get("blas", "the BLAS of px-tools 0.1.0")
    now = ops.arithmetic(opened.record.model.dtype)
    if before != now:
        warn(
            f"{opened.run.path}: started with {before}, continuing with {now}: from here on the "
            "last bits of its designs may differ from those of an undisturbed run"
        )


def _drop_states_of(run: RunDir, done: set[int]) -> None:
    """Remove the states of samples that are there: nothing to go on with."""
    for samples, state in run.files("state"):
        if done.intersection(samples):
            state.unlink(missing_ok=True)


def _made(
    opened: Opened,
    network: PXDesignD,
    pieces: Sequence[Piece],
    presence: Presence,
    progress: Progress,
    finished: Finished,
) -> Iterator[tuple[Piece, Made | None]]:
    """Each piece with what became of it: None where another process has it to the end."""
    lock = Lock(opened.run)
    job_of = lru_cache(1)(lambda length: _job(opened, network, length))
    while pieces:
        with_others = []
        for piece in pieces:
            if not lock.claim(piece.samples):
                with_others.append(piece)
                continue
            try:
                if not presence.takes(piece.samples):
                    with_others.append(piece)
                elif _is_still_missing(opened, piece):
                    job = job_of(opened.length_of(piece.samples[0]))
                    yield piece, make_chunk(job, piece, progress, finished)
            finally:
                lock.release(piece.samples)
        if len(with_others) == len(pieces):
            yield from ((piece, None) for piece in pieces)
            return
        pieces = with_others


def _is_still_missing(opened: Opened, piece: Piece) -> bool:
    """False if another process has made the chunk since it was planned."""
    wanted = set(piece.samples)
    if not any(wanted.intersection(held) for held, _ in opened.run.files("msgpack")):
        return True
    return bool(wanted - inspect(opened.run, opened.record, wanted).set_damaged_aside().done)


def _job(opened: Opened, network: PXDesignD, length: int) -> Job:
    """What depends on the task and the binder's length alone, for all samples of that length."""
    design = opened.design.of_length(length)
    features = design.features
    ref_pos = randomly_placed(features.ref_pos, features.atom_to_token, opened.record.seed)
    condition = network.condition(features, ref_pos)
    return Job(
        opened.run,
        opened.record,
        design,
        lambda x, sigma: network.denoise(x, sigma, condition),
        guide_of(opened.help, features.atoms, design.deposited),
    )


def _name_model(model: ModelFile, asked: str | None, schedule: Schedule) -> None:
    which = f"{model.path}, sha256 {model.digest[:12]}"
    if model.is_demonstration:
        why = "" if asked else " (the released one is not installed, see README)"
        warn(
            f"Using the embedded demonstration model '{model.name}'{why}: it is small, sees the "
            "target's backbone only, and its designs are not for the laboratory"
        )
        which = "embedded"
    say(f"Model {model.name} ({which}), schedule {schedule.name}")
