"""The Slurm scripts of a submission, for people to read and edit."""

import shlex
import sys
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path

SAVE_SECONDS = 120  # before the time limit: long enough to end a step and write a state

SAMPLE = """\
#!/bin/bash
# One shard of the sampling. Written by px-submit; edited, submit it as it is: sbatch {script}
{directives}

{path}
px-sample {options} \\
    --shard "$SLURM_ARRAY_TASK_ID/{shards}" &

# At either signal px-sample saves its state and ends; the same shard goes on from there.
stopped="" signals=0
trap 'stopped=time; signals=$((signals + 1)); kill -TERM $!' USR1 # the time limit is near
trap 'stopped=slurm; signals=$((signals + 1)); kill -TERM $!' TERM # preempted, or cancelled
until
    before=$signals
    wait $!
    code=$?
    [ "$signals" = "$before" ] # else a signal has cut the wait short
do :; done

# Preempted, Slurm puts it back into the queue. At the time limit, or where another process holds
# some of its samples (75), it does so itself.
if [ "$stopped" = time ] || [ "$code" = 75 ]; then
    echo "shard $SLURM_ARRAY_TASK_ID goes back into the queue"
    scontrol requeue "${{SLURM_ARRAY_JOB_ID}}_$SLURM_ARRAY_TASK_ID" && sleep 60
fi
exit "$code"
"""

FINISH = """\
#!/bin/bash
# What follows the sampling, whatever became of the shards. Written by px-submit.
{directives}

{path}
code=0
px-write-cif -i {task} -o {results}{seeds} || code=$?
{sequence}px-score --quiet -i {task} {results} || code=$?
px-report --quiet -i {task} {results} || code=$?
px-status {results} || code=$? # 1: samples are missing; type `just submit` again
exit $code
"""


@dataclass(frozen=True)
class Resources:
    """What is asked of Slurm for a job, as sbatch takes it; None where Slurm is to decide."""

    partition: str | None = None
    account: str | None = None
    qos: str | None = None
    time: str | None = None
    gres: str | None = None
    mem: str | None = None
    cpus_per_task: int | None = None
    constraint: str | None = None

    def directives(self) -> dict[str, str]:
        given = {f.name.replace("_", "-"): getattr(self, f.name) for f in fields(self)}
        return {name: str(value) for name, value in given.items() if value is not None}


@dataclass(frozen=True)
class Job:
    """What the scripts of a submission run, and where."""

    name: str
    folder: Path  # of the scripts and logs
    shards: int
    options: Mapping[str, object]  # of px-sample
    resources: Resources
    finish_resources: Resources
    sequences: int = 1  # of each design
    sbatch: str = ""  # further options of sbatch, for both

    @property
    def sample(self) -> Path:
        return self.folder / "sample.sh"

    @property
    def finish(self) -> Path:
        return self.folder / "finish.sh"

    def sample_script(self) -> str:
        array = {"array": f"0-{self.shards - 1}", "signal": f"B:USR1@{SAVE_SECONDS}"}
        options = (
            f"--{name}" if value is True else f"--{name} {shlex.quote(str(value))}"
            for name, value in self.options.items()
        )
        return SAMPLE.format(
            script=self.sample.name,
            directives=self._directives("shard_%a.log", self.resources, array),
            path=_path(),
            options=" \\\n    ".join(options),
            shards=self.shards,
        )

    def finish_script(self) -> str:
        seeds = self.options.get("seeds")
        results = shlex.quote(str(self.options["dump_dir"]))
        sequence = f"px-sequence --quiet --num_seqs {self.sequences} {results}"
        return FINISH.format(
            directives=self._directives("finish.log", self.finish_resources, {}),
            path=_path(),
            task=shlex.quote(str(self.options["input_json_path"])),
            results=results,
            sequence=f"{sequence} > /dev/null || code=$?\n" if self.sequences else "",
            seeds=f" --seeds {shlex.quote(str(seeds))}" if seeds else "",
        )

    def _directives(self, log: str, resources: Resources, more: Mapping[str, str]) -> str:
        named = {
            "job-name": f"px-{self.name}",
            "output": str(self.folder).replace("%", "%%") + f"/{log}",
            **more,
            **resources.directives(),
        }
        words = [shlex.quote(f"--{name}={value}") for name, value in named.items()]
        words += ["--requeue", "--open-mode=append"]
        words += [shlex.join(shlex.split(self.sbatch))] if self.sbatch else []
        return "\n".join(f"#SBATCH {word}" for word in words)


def _path() -> str:
    return f"export PATH={shlex.quote(str(Path(sys.executable).parent))}:$PATH"
