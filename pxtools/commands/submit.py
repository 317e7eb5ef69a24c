"""px-submit: sample on a Slurm cluster, as an array of shards and a job that finishes."""

from __future__ import annotations

import shlex
from argparse import SUPPRESS
from pathlib import Path
from typing import TYPE_CHECKING, Any

from argh import arg

from pxtools.commands import cli
from pxtools.commands.sample import sample_request, task_file, with_sampling_options
from pxtools.errors import InputError

if TYPE_CHECKING:
    from pxtools.clusters.scripts import Job
    from pxtools.sampling.runs import SampleRequest

MAX_SHARDS = 10_000
ONE_PROCESS = ("shard", "samples")  # options of px-sample that mean nothing here


@arg("--shards", type=int, default=16, help="array tasks that divide the chunks among themselves")
@arg("--partition", help="partition of the shards")
@arg("--gres", help="resources of each shard, such as gpu:1")
@arg("--time", help="time limit of each shard; one that reaches it is queued again")
@arg("--cpus-per-task", type=int, help="CPUs of each shard")
@arg("--mem", help="memory of each shard, such as 16G")
@arg(
    "--constraint",
    help="kind of node, such as one processor type for designs equal to the last bit",
)
@arg("--account", help="Slurm account of all jobs")
@arg("--qos", help="quality of service of all jobs")
@arg("--finish-partition", help="partition of the finishing job; default: that of the shards")
@arg("--sbatch", default="", help="options of sbatch for all jobs: --sbatch='-x n3'")
@arg("--sequences", type=int, default=1, help="sequences per design, by px-sequence; 0: none")
@arg("--dry", nargs="?", const="1", help="only write the scripts; print their paths")
@arg("--shard", help=SUPPRESS)
@arg("--samples", help=SUPPRESS)
@with_sampling_options
def px_submit(**options: Any) -> None:
    """Write the scripts of a Slurm array into slurm/ of the results folder, and submit them.

    The job ids go to stdout. Run again, it submits what is missing and not in the queue.
    """
    from pxtools.clusters.slurm import submit, write_scripts

    is_dry = options.pop("dry") not in (None, "0")
    job, request = submission(**options)
    for line in write_scripts(job) if is_dry else submit(job, request):
        print(line)


def submission(
    *,
    shards: int,
    partition: str | None,
    gres: str | None,
    time: str | None,
    cpus_per_task: int | None,
    mem: str | None,
    constraint: str | None,
    account: str | None,
    qos: str | None,
    finish_partition: str | None,
    sequences: int,
    sbatch: str,
    **sampling: Any,
) -> tuple[Job, SampleRequest]:
    """The job that the words of the command line ask for. Raises InputError."""
    from pxtools.clusters.scripts import Job, Resources
    from pxtools.sequences.options import MAX_SEQUENCES

    given = cli.those_given(sampling)
    for name in ONE_PROCESS:
        if name in given:
            raise InputError(f"--{name}: it is for one px-sample; --shards shares out all samples")
    if not 1 <= shards <= MAX_SHARDS:
        raise InputError.of_option("--shards", f"1 to {MAX_SHARDS:,}", shards)
    if not 0 <= sequences <= MAX_SEQUENCES:
        raise InputError.of_option("--sequences", f"0 to {MAX_SEQUENCES:,}", sequences)
    try:
        shlex.split(sbatch)
    except ValueError:
        raise InputError.of_option("--sbatch", "closed quotes", sbatch) from None
    tasks = task_file(given.get("input_json_path"), given.pop("example", False))
    given["input_json_path"] = tasks
    if tasks == "-":
        raise InputError.of_option("-i", "a file, which the jobs read", "-")
    for name in given.keys() & {"input_json_path", "dump_dir", "model"}:
        path = Path(given[name])
        if name == "dump_dir" or path.is_file() or (name == "model" and path.is_dir()):
            given[name] = str(path.absolute())
    request = sample_request(**given)
    job = Job(
        name=request.tasks[0].name,
        folder=request.dump_dir / "slurm",
        shards=shards,
        options=given,
        resources=Resources(
            partition=partition,
            gres=gres,
            time=time,
            cpus_per_task=cpus_per_task,
            mem=mem,
            constraint=constraint,
            account=account,
            qos=qos,
        ),
        finish_resources=Resources(
            partition=finish_partition or partition, account=account, qos=qos
        ),
        sequences=sequences,
        sbatch=sbatch,
    )
    return job, request


def main() -> None:
    cli.run(px_submit, "pxtools.sampling.runs")


if __name__ == "__main__":
    main()
