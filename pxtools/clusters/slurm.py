"""Submit a request to Slurm as an array of shards and a job that finishes; only what is missing."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from pxtools.clusters.scripts import Job
from pxtools.console import say, warn
from pxtools.errors import InputError
from pxtools.runs.designs import samples_of
from pxtools.runs.files import write_atomically
from pxtools.runs.folder import RunDir, consecutive
from pxtools.runs.progress import RunProgress, progress_of
from pxtools.runs.sequences import table
from pxtools.runs.shards import Shard
from pxtools.sampling.runs import SampleRequest, runs_of


@dataclass(frozen=True)
class Submitted:
    """The jobs that were submitted from a results folder, as slurm/submitted.json keeps them."""

    shards: int
    arrays: tuple[str, ...]
    finish: tuple[str, ...]
    request: str = ""  # tells it from another; "" where an older version has not said

    @classmethod
    def read(cls, folder: Path) -> Submitted | None:
        """None where nothing was submitted, or nothing tells."""
        try:
            held = json.loads((folder / "submitted.json").read_bytes())
            jobs = (tuple(held["arrays"]), tuple(held["finish"]))
            return cls(int(held["shards"]), *jobs, str(held.get("request", "")))
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def write(self, folder: Path) -> None:
        write_atomically(folder / "submitted.json", (json.dumps(asdict(self)) + "\n").encode())


def write_scripts(job: Job) -> list[Path]:
    """Write both scripts; their paths."""
    job.folder.mkdir(parents=True, exist_ok=True)
    for path, text in ((job.sample, job.sample_script()), (job.finish, job.finish_script())):
        write_atomically(path, text.encode())
        path.chmod(0o755)
    return [job.sample, job.finish]


def submit(job: Job, request: SampleRequest) -> list[str]:
    """Write the scripts, submit the shards that lack samples and are not in the queue.

    Returns the ids of the new jobs. Raises InputError where Slurm refuses, or jobs of another
    request, or of this one in other shards, are in the queue.
    """
    queued, asked = _queue(), _told_apart(request)
    before = Submitted.read(job.folder) or Submitted(job.shards, (), ())
    arrays = [id_ for id_ in before.arrays if id_ in queued]
    if arrays and (before.shards != job.shards or (before.request or asked) != asked):
        now = f"now {job.shards} are" if before.shards != job.shards else "now other designs are"
        raise InputError(
            f"{job.folder}: {before.shards} shards are in the queue, {now} asked for; "
            f"wait for them, or end them first: scancel {' '.join(arrays)}"
        )
    write_scripts(job)
    waiting = {task for id_ in arrays for task in queued[id_]}
    missing = [k for k in incomplete_shards(request, job.shards) if k not in waiting]
    finish = [id_ for id_ in before.finish if id_ in queued]
    if not missing and (finish or (not arrays and _is_complete(job, request))):
        why = "all samples and CIFs are there"
        if arrays:
            why = f"{len(waiting)} are in the queue (job {', '.join(arrays)})"
        elif finish:
            why = f"{job.finish.name} is in the queue (job {', '.join(finish)})"
        say(f"Nothing to submit: {why}")
        return []
    new = [_sbatch(f"--array={_spans(missing)}", str(job.sample))] if missing else []
    arrays += new
    submitted = Submitted(job.shards, tuple(arrays), tuple(finish), asked)
    submitted.write(job.folder)  # should what follows be refused
    if finish:  # the new one waits for the new shards too
        try:
            _call("scancel", *finish)
        except InputError as error:
            warn(f"{error}: {job.finish.name} may run twice")
    after = [f"--dependency=afterany:{':'.join(arrays)}"] if arrays else []
    finishing = _sbatch(*after, str(job.finish))
    replace(submitted, finish=(finishing,)).write(job.folder)
    if missing:
        say(f"Submitted shards {_spans(missing)} of {job.shards} (job {new[0]})")
    say(f"Submitted {job.finish.name}, after them (job {finishing})")
    return [*new, finishing]


def incomplete_shards(request: SampleRequest, count: int) -> list[int]:
    """The shards of which a run of the request lacks samples, by the names of its files."""
    incomplete: set[int] = set()
    for task, seed, run in runs_of(request):
        cells = request.cells(task, seed)
        if count > len(cells):
            warn(f"{task.name}: {count} shards for {len(cells)} chunks: some have nothing to do")
        done = samples_of(run)
        incomplete.update(k for k in range(count) if not done.issuperset(Shard(k, count).of(cells)))
    return sorted(incomplete)


def _is_complete(job: Job, request: SampleRequest) -> bool:
    """Whether all samples are there and all that finish.sh makes of them."""
    runs = [progress_of(run) for _, _, run in runs_of(request)]
    return (request.dump_dir / "report.html").is_file() and all(
        isinstance(run, RunProgress)
        and run.complete
        and run.total >= request.settings.N_sample
        and _sequences(run.run, job.sequences) >= run.total * job.sequences
        for run in runs
    )


def _sequences(run: RunDir, of_each: int) -> int:
    """How many of so many sequences of each design a run has, whatever they were made with."""
    rows = table(run.path).read(lambda row: row.number < of_each).values()
    return len({(row.design, row.number) for row in rows})


def _told_apart(request: SampleRequest) -> str:
    """The same for requests of the same designs."""
    asked = (request.tasks, request.settings, request.seeds, request.model, request.dtype)
    return hashlib.sha256(repr(asked).encode()).hexdigest()[:12]


def _queue() -> dict[str, set[int]]:
    """The user's jobs in the queue, and the array tasks of each that wait or run."""
    listed = _call("squeue", "--noheader", "--array", f"--user={os.getuid()}", "--format=%F %K")
    queued: dict[str, set[int]] = {}
    for line in listed.splitlines():
        job, _, task = line.partition(" ")
        queued.setdefault(job, set()).update([int(task)] if task.strip().isdigit() else [])
    return queued


def _sbatch(*words: str) -> str:
    """Submit a script; the job's id."""
    return _call("sbatch", "--parsable", *words).strip().partition(";")[0]


def _call(tool: str, *words: str) -> str:
    try:
        done = subprocess.run([tool, *words], capture_output=True, text=True)
    except FileNotFoundError:
        raise InputError(
            f"{tool}: not found here: submit where Slurm is, or only write the scripts (dry=1)"
        ) from None
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
        raise InputError(f"{tool}: {reason.removeprefix(f'{tool}: ').removeprefix('error: ')}")
    return done.stdout


def _spans(numbers: Sequence[int]) -> str:
    """[0, 3, 4, 5] -> 0,3-5, as sbatch reads it."""
    stretches = ((run[0], run[-1]) for run in consecutive(list(numbers)))
    return ",".join(str(a) if a == b else f"{a}-{b}" for a, b in stretches)
