"""Sequences for all structures of a request, in the folders that they belong to."""

from __future__ import annotations

import hashlib
import json
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from pxtools.console import LINE_EVERY_FILES, say, warn
from pxtools.errors import DamagedError, InputError
from pxtools.interrupt import results_of, stop_if_told, uninterrupted
from pxtools.network import ops
from pxtools.network.protein_mpnn import ProteinMPNN
from pxtools.network.protein_mpnn_weights import MPNNFile, read_weights
from pxtools.runs.design_cif import read_cif
from pxtools.runs.files import write_atomically
from pxtools.runs.folder import STRUCTURES, RunDir, runs_to_work_on
from pxtools.runs.inventory import refuse_links
from pxtools.runs.record import RunJson
from pxtools.runs.sequences import Sequence
from pxtools.runs.shards import WHOLE, Part, refuse_range_beyond
from pxtools.sequences.arriving import as_they_come
from pxtools.sequences.design import Design, read_design
from pxtools.sequences.folder import Folder, title
from pxtools.sequences.handover import Complex, Handover, earlier_files, hand_over
from pxtools.sequences.lettered_cif import lettered_cif, was_made_from
from pxtools.sequences.making import Made, make
from pxtools.sequences.options import MAX_SEQUENCES, Options
from pxtools.structure.parsing import structure_text

GPU_DESIGNS_AT_ONCE = 16
SEQUENCES_AT_ONCE = 64  # of a design: what a killed process may lose
SUFFIXES = (".gz", *STRUCTURES)


@dataclass(frozen=True)
class SequenceRequest:
    """What px-sequence is asked for."""

    paths: Iterable[Path]  # structure files and results folders, taken as they come
    num_seqs: int = 1
    options: Options = field(default_factory=Options)
    weights: str = "vanilla"  # or soluble, or a .safetensors file
    folder: Path = Path("sequences")  # of structures that lie in no run
    cif: bool = False  # write structures with the letters in them
    predictor: str | None = None  # whose input files to write
    device: str | None = None  # cpu or gpu; None: a GPU where MLX has one
    workers: int | None = None  # designs at once on the CPU; None: its cores
    quiet: bool = False
    part: Part = WHOLE  # of each run's designs

    def __post_init__(self) -> None:
        if not 1 <= self.num_seqs <= MAX_SEQUENCES:
            raise InputError.of_option("--num_seqs", f"1 to {MAX_SEQUENCES:,}", self.num_seqs)


@dataclass(frozen=True)
class Finished:
    """A structure whose sequences, or a part of them, are in the table."""

    rows: list[Sequence]
    cifs: list[Path]  # with the letters in them, if they were asked for


@dataclass(frozen=True)
class Sequenced:
    """What became of a request."""

    handovers: list[Handover]
    held_by_others: list[Path]  # folders that another process is at work in


def sequence(request: SequenceRequest, finished: Callable[[Finished], None]) -> Sequenced:
    """Make the sequences that are not there yet; `finished` gets them in order.

    A sequence depends on backbone, weights, options, seed and its number, and on nothing else.
    Raises InputError.
    """
    weights = read_weights(request.weights)
    ops.choose_device(request.device, request.workers)
    work = _Work(request, weights, weights.network())
    try:
        for outcome in work.outcomes():
            finished(work.keep(outcome))
        return work.finish()
    finally:
        work.close()


@dataclass(frozen=True)
class _Job:
    folder: Folder
    path: Path
    name: str
    is_of_run: bool
    numbers: range


@dataclass(frozen=True)
class _Outcome:
    job: _Job
    design: Design
    made_from: str
    made: list[Made]


class _Work:
    """A request at work: structures in, outcomes out in the same order, on all cores or a GPU."""

    def __init__(self, request: SequenceRequest, weights: MPNNFile, network: ProteinMPNN):
        self.request, self.weights, self.network = request, weights, network
        self.folders: dict[Path, Folder] = {}
        self.loose: dict[str, Path] = {}
        self.complexes: dict[Path, list[Complex]] = {}
        self.said: set[str] = set()
        self.count = 0
        n = request.workers or ops.default_workers()
        self.pool = ThreadPoolExecutor(n) if ops.on_cpu() else None
        self.at_once, self.most_in_work = (1, 2 * n) if self.pool else (GPU_DESIGNS_AT_ONCE, 0)
        self.in_work: deque[Future[list[_Outcome]]] = deque()

    def outcomes(self) -> Iterator[_Outcome]:
        gathered: list[_Job] = []
        for path in as_they_come(self.request.paths):
            stop_if_told()
            gathered += self._jobs(path) if path else []
            while len(gathered) >= self.at_once or (gathered and path is None):
                self._submit(gathered[: self.at_once])
                gathered = gathered[self.at_once :]
                yield from self._done(self.most_in_work)
            yield from self._done(self.most_in_work)
        self._submit(gathered)
        yield from self._done(0)

    def _done(self, most_left: int) -> Iterator[_Outcome]:
        """What is done, in order; waits until no more than `most_left` pieces are in work."""
        while self.in_work and (len(self.in_work) > most_left or self.in_work[0].done()):
            (outcomes,) = results_of([self.in_work.popleft()])
            yield from outcomes

    def close(self) -> None:
        if self.pool:
            self.pool.shutdown(wait=False, cancel_futures=True)

    def _jobs(self, path: Path) -> list[_Job]:
        if path.is_dir():
            return [job for run in runs_to_work_on(path) for job in self._jobs_of(run)]
        if not path.is_file():
            raise InputError.of(path, "path", "a structure file or a results folder", "nothing")
        if path.suffix == ".msgpack":
            found = "a chunk (px-write-cif --print makes structures of it)"
            raise InputError.of(path, "path", "a structure file or a results folder", found)
        run = RunDir.around(path)
        if run and path.absolute().parent == run.predictions:
            sample = run.sample_of(path)
            if sample is not None and not self.request.part.owns(sample):
                return []
            return self._job(self._folder_of(run), path, path.stem, True)
        name = path.name
        while Path(name).suffix.lower() in SUFFIXES:
            name = Path(name).stem
        if (first := self.loose.setdefault(name, path)) != path:
            raise InputError(f"{path}: {first} has the same name; give them a folder (-o) each")
        if not self.request.part.owns(len(self.loose) - 1):
            return []
        return self._job(self._folder(self.request.folder, ""), path, name, False)

    def _jobs_of(self, run: RunDir) -> list[_Job]:
        in_chunks = {sample for samples, _ in run.files("msgpack") for sample in samples}
        if unwritten := in_chunks - run.cif_samples():
            warn(f"{run.path}: {len(unwritten)} designs have no CIF yet (px-write-cif writes it)")
        folder = self._folder_of(run)
        return [job for cif in self._cifs_of(run) for job in self._job(folder, cif, cif.stem, True)]

    def _cifs_of(self, run: RunDir) -> list[Path]:
        """Those of the samples that are asked for."""
        samples = sorted(run.cif_samples())
        return [run.cif(sample) for sample in samples if self.request.part.owns(sample)]

    def _job(self, folder: Folder, path: Path, name: str, is_of_run: bool) -> list[_Job]:
        if not folder.is_ours:
            return []
        every = range(self.request.num_seqs)
        parts = [every[i : i + SEQUENCES_AT_ONCE] for i in every[::SEQUENCES_AT_ONCE]]
        return [_Job(folder, path, name, is_of_run, numbers) for numbers in parts]

    def _folder_of(self, run: RunDir) -> Folder:
        if folder := self.folders.get(run.path.resolve()):
            return folder
        refuse_links(run)
        begun = RunJson.begun(run)
        refuse_range_beyond(self.request.part, begun.n_sample)
        return self._folder(run.path, begun.record.identity)

    def _folder(self, path: Path, run: str) -> Folder:
        place = path.resolve()
        if place not in self.folders:
            folder = self.folders[place] = Folder(path, run, self.request.part)
            if not folder.claim():
                warn(f"{path}: another px-sequence is at work there, it is left to that one")
        return self.folders[place]

    def _submit(self, jobs: list[_Job]) -> None:
        stop_if_told()
        if self.pool:
            with uninterrupted():  # a thread begun and not yet known to its pool would never end
                self.in_work.append(self.pool.submit(self._make, jobs))
        else:
            done: Future[list[_Outcome]] = Future()
            done.set_result(self._make(jobs))
            self.in_work.append(done)

    def _make(self, jobs: list[_Job]) -> list[_Outcome]:
        """Read the structures and make what is missing of their sequences, in a worker."""
        read = [(job, design) for job in jobs if (design := self._read(job))]
        ids = [self._identity(design) for _, design in read]
        wanted = [
            (design, self._missing(job, design, made_from))
            for (job, design), made_from in zip(read, ids, strict=True)
        ]
        made = make(self.network, [pair for pair in wanted if pair[1]], self.request.options)
        return [
            _Outcome(job, design, made_from, [one for one in made if one.design is design])
            for (job, design), made_from in zip(read, ids, strict=True)
        ]

    def _read(self, job: _Job) -> Design | None:
        options = self.request.options
        try:
            text = read_cif(job.path) if job.is_of_run else structure_text(job.path)
        except DamagedError as error:
            warn(f"{job.path}: {error}; it gets no sequence (px-write-cif writes it again)")
            return None
        return read_design(str(job.path), job.name, text, options.binder, options.fix)

    def _identity(self, design: Design) -> str:
        options = self.request.options
        deciding = [design.digest.hex(), self.weights.digest, options.temperature, options.seed]
        deciding += [options.omit, options.bias]
        return hashlib.sha256(json.dumps(deciding).encode()).hexdigest()[:12]

    def _missing(self, job: _Job, design: Design, made_from: str) -> list[int]:
        """The numbers without a row, or without a file if those were asked for."""
        return [
            number
            for number in job.numbers
            if (design.name, number, made_from) not in job.folder.rows
            or (self.request.cif and not was_made_from(_cif(job, number), made_from))
        ]

    def keep(self, outcome: _Outcome) -> Finished:
        """Put an outcome into its table and files; its rows, those that were there too."""
        folder, design = outcome.job.folder, outcome.design
        cifs = []
        for made in outcome.made:
            row = self._row(folder, made, outcome.made_from)
            with uninterrupted():
                if self.request.cif:
                    _write_cif(
                        _cif(outcome.job, made.number), lettered_cif(made, outcome.made_from)
                    )
                if row.key not in folder.rows:
                    folder.add(row)
        if self.request.cif:
            cifs = [_cif(outcome.job, number) for number in outcome.job.numbers]
        rows = [folder.rows[design.name, n, outcome.made_from] for n in outcome.job.numbers]
        target = tuple(design.target.values())
        complexes = self.complexes.setdefault(folder.path, [])
        if self.request.predictor:
            complexes += [Complex(title(row), target, row.sequence) for row in rows]
        self._say(outcome)
        return Finished(rows, cifs)

    def _row(self, folder: Folder, made: Made, made_from: str) -> Sequence:
        options = self.request.options
        return Sequence(
            design=made.design.name,
            number=made.number,
            sequence=made.sequence,
            score=round(made.score, 4),
            global_score=round(made.global_score, 4),
            temperature=options.temperature,
            weights=self.weights.name,
            seed=options.seed,
            made_from=made_from,
            run=folder.run,
        )

    def _say(self, outcome: _Outcome) -> None:
        design = outcome.design
        self.count += outcome.job.numbers.stop == self.request.num_seqs
        if not self.request.quiet and self.count and self.count % LINE_EVERY_FILES == 0:
            new = sum(folder.new for folder in self.folders.values())
            say(f"  Choosing amino acids: {self.count} designs, {new} new sequences")
        remarks = []
        if design.left_out:
            remarks.append(f"{design.left_out} target residues lack N, CA, C or O and are left out")
        if design.others:
            remarks.append(f"no protein, and left out: chain {', '.join(design.others)}")
        for remark in remarks:
            if remark not in self.said:
                self.said.add(remark)
                warn(f"{outcome.job.path}: {remark}")

    def finish(self) -> Sequenced:
        """Put the tables in order and write a predictor's files."""
        ours = [folder for folder in self.folders.values() if folder.is_ours]
        for folder in ours:
            folder.finish()
            if not self.request.quiet:
                say(f"✓ {folder.table.path}: {folder.new} new, {len(folder.rows)} sequences")
        handovers = [
            hand_over(self.request.predictor, complexes, path)
            for path, complexes in self.complexes.items()
            if self.request.predictor and complexes
        ]
        for made in handovers if self.request.part == WHOLE else []:  # else there are its sisters'
            if earlier := earlier_files(made):
                warn(f"{made.files[0].parent}: {earlier} files of earlier calls are in it, too")
        return Sequenced(handovers, [f.path for f in self.folders.values() if not f.is_ours])


def _cif(job: _Job, number: int) -> Path:
    return job.folder.path / "sequences" / f"{job.name}_seq_{number}.cif"


def _write_cif(path: Path, text: bytes) -> None:
    path.parent.mkdir(exist_ok=True)
    write_atomically(path, text, sync_folder=False)
