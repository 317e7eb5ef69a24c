"""A run's directory, by its paths and names.

    DUMP_DIR/global_run_0/NAME/seed_SEED/
        run.json   chunks/*.msgpack   predictions/NAME_sample_0.cif ...   SUCCESS_FILE

Every file is written under a temporary name, flushed to disk and renamed.
"""

import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from pxtools.console import warn
from pxtools.errors import InputError

MAX_SAMPLES = 1_000_000
STRUCTURES = (".cif", ".mmcif", ".pdb", ".ent")  # suffixes, also before .gz
GLOBAL_RUN = "global_run_0"


@dataclass(frozen=True)
class RunDir:
    """The directory of one (task, seed)."""

    path: Path
    name: str  # the task's

    @classmethod
    def of(cls, dump_dir: Path, name: str, seed: int) -> "RunDir":
        return cls(dump_dir / GLOBAL_RUN / name / f"seed_{seed}", name)

    @classmethod
    def around(cls, file: Path) -> "RunDir | None":
        """The run that a file of chunks/ or predictions/ belongs to."""
        folder = file.absolute().parent.parent
        return cls(folder, folder.parent.name) if (folder / "run.json").is_file() else None

    @property
    def run_json(self) -> Path:
        return self.path / "run.json"

    @property
    def chunks(self) -> Path:
        return self.path / "chunks"

    @property
    def predictions(self) -> Path:
        return self.path / "predictions"

    @property
    def workers(self) -> Path:
        return self.path / "workers"

    @property
    def sequences(self) -> Path:
        """CIFs with the letters in them, and a predictor's input."""
        return self.path / "sequences"

    @property
    def success(self) -> Path:
        return self.path / "SUCCESS_FILE"

    def cif(self, sample: int) -> Path:
        return self.predictions / f"{self.name}_sample_{sample}.cif"

    @property
    def pdbs(self) -> Path:
        return self.path / "pdb"

    def pdb(self, sample: int) -> Path:
        return self.pdbs / f"{self.name}_sample_{sample}.pdb"

    def chunk(self, samples: list[int]) -> Path:
        return self.chunks / f"samples_{spans(samples)}.msgpack"

    def state(self, samples: list[int]) -> Path:
        return self.chunks / f"samples_{spans(samples)}.state"

    def count_sequences(self) -> int:
        """How many lines sequences.csv has, its header left out; 0 where there is none."""
        try:
            return max(0, (self.path / "sequences.csv").read_bytes().count(b"\n") - 1)
        except OSError:
            return 0

    def cif_samples(self) -> set[int]:
        """The samples whose CIF is there, by name."""
        pattern, names = self._cif_name, names_in(self.predictions)
        return {int(m[1]) for name in names if (m := pattern.fullmatch(name))}

    def sample_of(self, cif: Path) -> int | None:
        """The sample that a CIF's name tells; None if it is no design's."""
        m = self._cif_name.fullmatch(cif.name)
        return int(m[1]) if m else None

    @property
    def _cif_name(self) -> re.Pattern[str]:
        return re.compile(re.escape(self.name) + r"_sample_(0|[1-9]\d{0,8})\.cif")

    def files(self, suffix: str) -> list[tuple[list[int], Path]]:
        """The files samples_A-B.SUFFIX of chunks/ in order, with the samples their names tell."""
        names = names_in(self.chunks, "samples_")
        paths = (self.chunks / name for name in names if name.endswith(f".{suffix}"))
        return sorted((samples, path) for path in paths if (samples := self.samples_of_chunk(path)))

    @staticmethod
    def samples_of_chunk(path: Path) -> list[int]:
        """The samples that the name of a chunk or state tells; empty if it is neither's."""
        return samples_in(path.stem.removeprefix("samples_"))


def names_in(folder: Path, start: str = "") -> list[str]:
    """The names in a folder that begin so; none where there is no such folder.

    Raises InputError where it cannot be listed, which Path.glob takes for an empty one.
    """
    try:
        names = os.listdir(folder)  # noqa: PTH208  (no Path for each of 10,000)
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise InputError(f"{folder}: cannot list this folder: {error.strerror}") from None
    return [name for name in names if name.startswith(start)]


def spans(samples: list[int]) -> str:
    """[0, 1, 2] -> 0-2; [3, 7, 8] -> 3-3+7-8: ascending samples, as file names tell them."""
    return "+".join(f"{run[0]}-{run[-1]}" for run in consecutive(samples))


def samples_in(text: str) -> list[int]:
    """What `spans` wrote; empty for anything else."""
    samples: list[int] = []
    for span in text.split("+"):
        m = re.fullmatch(r"(\d{1,9})-(\d{1,9})", span)
        if not m or not int(m[1]) <= int(m[2]) < int(m[1]) + MAX_SAMPLES:
            return []
        if samples and int(m[1]) <= samples[-1]:
            return []
        samples += range(int(m[1]), int(m[2]) + 1)
    return samples


def consecutive(numbers: list[int]) -> list[list[int]]:
    """[1, 2, 5, 6] -> [[1, 2], [5, 6]]"""
    groups = groupby(enumerate(numbers), key=lambda pair: pair[1] - pair[0])
    return [[number for _, number in group] for _, group in groups]


def find_runs(folder: Path) -> list[RunDir]:
    """The runs below a results folder, by name and seed; an empty folder has none."""
    if not folder.is_dir():
        found = "a file" if folder.exists() else "nothing of that name"
        raise InputError.of(folder, "folder", "a results folder of px-sample", found)
    names = names_in(folder)
    places = [folder, *(folder / name for name in names if name.startswith("seed_"))]
    places += folder.glob("*/seed_*")  # of tasks
    of_tasks = [folder / GLOBAL_RUN / task for task in names_in(folder / GLOBAL_RUN)]
    places += [task / name for task in of_tasks for name in names_in(task, "seed_")]
    runs = [p.absolute() for p in places if (p / "run.json").is_file()]
    if not runs and names and not (folder / GLOBAL_RUN).is_dir():
        expected = f"a results folder of px-sample, with {GLOBAL_RUN}/ in it"
        found = "other files"
        if structures := [name for name in names if is_structure(name)]:
            found = f"structures (px-score and px-sequence take them as files: {min(structures)})"
        raise InputError.of(folder, "folder", expected, found)
    by_seed = sorted(runs, key=lambda p: (p.parent.name, len(p.name), p.name))
    return [RunDir(path, path.parent.name) for path in dict.fromkeys(by_seed)]


def runs_to_work_on(folder: Path) -> list[RunDir]:
    """As `find_runs`; where there are none yet, that is said."""
    runs = find_runs(folder)
    if not runs:
        warn(f"{folder}: no runs yet")
    return runs


def is_structure(name: str) -> bool:
    """Whether a file's name is that of an mmCIF or PDB file."""
    return name.lower().removesuffix(".gz").endswith(STRUCTURES)


def told_apart(runs: Sequence[RunDir]) -> list[str]:
    """bpti seed_7; with the folders above where another run has that name too."""
    names = [f"{run.name} {run.path.name}" for run in runs]
    if len(set(names)) == len(names):
        return names
    above = os.path.commonpath([run.path for run in runs])
    return [str(run.path.relative_to(above)) for run in runs]


def seeds_of(dump_dir: Path, name: str) -> list[int]:
    """The seeds whose directories this task already has."""
    folder = dump_dir / GLOBAL_RUN / name
    matches = (re.fullmatch(r"seed_(\d{1,18})", name) for name in names_in(folder))
    return sorted(int(m[1]) for m in matches if m)


def runs_begun(dump_dir: Path, tasks: Iterable[str], seeds: Sequence[int] | None) -> list[RunDir]:
    """The runs of these tasks, by name, that are there; `seeds` None: all."""
    runs = [
        RunDir.of(dump_dir, name, seed)
        for name in tasks
        for seed in seeds or seeds_of(dump_dir, name)
    ]
    return [run for run in runs if run.run_json.exists()]


def parse_seeds(text: str | None) -> list[int] | None:
    """ "123,456" -> [123, 456]; None stays None. A repeated seed counts once, with a warning."""
    if text is None:
        return None
    parts = str(text).replace(",", " ").split()
    if not parts or not all(p.isascii() and p.isdigit() and len(p) <= 18 for p in parts):
        raise InputError.of_option(
            "--seeds", "whole numbers such as 123,456, of 18 digits at most", text
        )
    seeds = [int(part) for part in parts]
    once = list(dict.fromkeys(seeds))
    if len(once) < len(seeds):
        repeated = next(seed for seed in once if seeds.count(seed) > 1)
        warn(f"--seeds: {repeated} is repeated: the same seed gives the same designs, made once")
    return once
