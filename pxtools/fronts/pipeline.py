"""From a task to sequences, scores and a page, by the tools in turn."""

import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from pxtools.exit_codes import FAILED_SAMPLES, HELD_BY_OTHERS, INCOMPLETE, gravest
from pxtools.fronts.front import Front
from pxtools.fronts.until import sample_until
from pxtools.runs.folder import runs_begun

# codes after which there are designs
SHOWN_ALL_THE_SAME = (0, FAILED_SAMPLES, INCOMPLETE, HELD_BY_OTHERS)


@dataclass(frozen=True)
class Pipeline:
    """What is asked for, as options of the tools."""

    sampling: list[str]  # px-sample's, and px-write-cif's --no_align
    task: str  # its file
    folder: str
    sequences: str  # of each design; 0: none
    until: int | None  # so many designs pass every check
    n_max: int  # samples of each run at most, until so many pass
    # by `sampling` alone: samples of each run, and seeds (none: all that there are); for later
    sampled: Callable[[], tuple[int, list[int]]]

    def run(self, front: Front) -> int:
        """Sample, write, choose amino acids; say how far all is, list the best, write the page.

        Returns the exit code.
        """
        code = self._sample(front)
        if code not in SHOWN_ALL_THE_SAME:
            return code
        chosen = 0
        if self.sequences != "0":
            device = [word for word in self.sampling if word.startswith("--device=")]
            words = [*self._runs(), f"--num_seqs={self.sequences}", *device]
            chosen = front.run("sequence", words, stdout=subprocess.DEVNULL)
        incomplete = front.run("status", [self.folder])
        if code == HELD_BY_OTHERS and not incomplete:
            code = 0  # the others have made it meanwhile
        scored = front.run("score", ["--quiet", *self._to_score()])
        shown = 0
        if not front.stopped and not scored:
            shown = front.run("report", ["--quiet", self.folder, self._of_task])
        if front.stopped:
            return shown or scored
        return gravest((code, chosen, scored, shown))

    def _sample(self, front: Front) -> int:
        if self.until is None:
            return sample_and_write(front, self.sampling)
        return sample_until(
            front,
            lambda more: sample_and_write(front, [*self.sampling, *more]),
            self._to_score,
            self.until,
            self.n_max,
            self.sampled()[0],
        )

    def _to_score(self) -> list[str]:
        """px-score's words: the runs asked for, alone, and their task."""
        return [*self._runs(), self._of_task]

    @property
    def _of_task(self) -> str:
        return f"--input_json_path={self.task}"

    def _runs(self) -> list[str]:
        """Those asked for; all of the folder where none of them is there."""
        runs = runs_begun(Path(self.folder), self._names, self.sampled()[1])
        return [str(run.path.absolute()) for run in runs] or [self.folder]

    @cached_property
    def _names(self) -> list[str]:
        from pxtools.task.reading import read_tasks  # gemmi, YAML: not before the first tool

        return [task.name for task in read_tasks(self.task)]


def sample_and_write(front: Front, words: list[str]) -> int:
    """px-sample | px-write-cif as two processes; returns their exit code."""
    for_sampler = [word for word in words if word != "--no_align"]
    for_writer = [word for word in words if word in ("-q", "--quiet", "--no_align")]
    return front.pipe("sample", for_sampler, "write_cif", for_writer)
