"""The recipes of the justfile: their key=value words, and just's variables, become options.

Started as: recipe NAME [key=value | --option [value] | folder] ...
"""

import os
import re
import shutil
import signal
import sys
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path
from typing import NoReturn

from pxtools.commands.pxdesign import FLAGS, OURS, asks_about, run_here, translated
from pxtools.console import say
from pxtools.errors import InputError
from pxtools.interrupt import FRONT, leave
from pxtools.shipped import EXAMPLE

VARIABLES = "PX_VARIABLES"  # the justfile's settings, as lines of name=value
STARTER = "PX_STARTER"  # the process id of bin/just, where it has started just
NOHUP = "PX_NOHUP"  # not empty where that one was started by nohup
SYNONYMS = {"i": "input_json_path", "o": "dump_dir"}
PATHS = ("input_json_path", "dump_dir")
SAMPLING = ("preset", "N_sample", "N_step", "sample_diffusion_chunk_size", "model", "device")
USED = {  # the variables that mean something to a recipe
    "pipeline": (*PATHS, *SAMPLING, "seeds", "sequences", "until", "N_max"),
    "sample": (*PATHS, *SAMPLING, "seeds"),
    "submit": (*PATHS, *SAMPLING, "seeds", "sequences"),
    "write-cif": (*PATHS, "seeds"),
    "target": ("input_json_path", "model"),
    "status": ("dump_dir",),
    "score": PATHS,
    "sequence": ("dump_dir", "device"),
    "report": PATHS,
    "clean": ("dump_dir",),
}
FLAGS_OF_RECIPES = {*FLAGS, "q", "h", "json", "watch", "yes", "y", "cif"}
OF_PIPELINE = ("sequences", "until", "N_max")
NAMES = OURS | {name.lower(): name for name in OF_PIPELINE}
DUMP_DIR_FIRST = ("status", "score", "sequence", "report", "clean")


@dataclass
class Asked:
    """What the words and variables ask for; None where they do not say."""

    input_json_path: str | None = None
    dump_dir: str | None = None
    sequences: str = "1"  # of each design, in a pipeline
    until: str = ""  # so many designs pass every check, in a pipeline
    N_max: str = ""  # samples of each run at most, until so many pass
    options: list[str] = field(default_factory=list)


class WrongWord(Exception):
    """A word that is no setting."""


def main() -> None:
    recipe, *words = sys.argv[1:]
    if os.environ.pop(NOHUP, ""):
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
    os.environ[FRONT] = f"{os.getppid()} {os.environ.pop(STARTER, '')}"
    try:
        asked = read(recipe, words, os.environ.pop(VARIABLES, "").splitlines())
    except WrongWord as error:
        say(f"just {recipe}: {error}")
        sys.exit(2)
    folder = "results" if asked.dump_dir is None else asked.dump_dir
    if folder.startswith("-"):
        folder = f"./{folder}"  # not an option
    if recipe == "clean":
        sys.exit(clean(folder, asked.options))
    if recipe in DUMP_DIR_FIRST:
        of = [f"--input_json_path={asked.input_json_path}"] if asked.input_json_path else []
        run_here(recipe, [folder, *of, *asked.options])
    path = asked.input_json_path or _example(asked.input_json_path)
    task = f"--input_json_path={path}"
    if recipe == "target":
        out = [] if asked.dump_dir is None else [f"--dump_dir={folder}"]
        run_here("target", [task, *out, *asked.options])
    words = translated([task, f"--dump_dir={folder}", *asked.options])
    if recipe == "pipeline" and not asks_about(words):
        run_pipeline(asked, words, path, folder)
    run_here("sample" if recipe == "pipeline" else recipe.replace("-", "_"), words)


def run_pipeline(asked: Asked, words: list[str], task: str, folder: str) -> NoReturn:
    from pxtools.fronts.front import Front
    from pxtools.fronts.pipeline import Pipeline
    from pxtools.fronts.until import N_MAX

    if task == "-":
        say("just pipeline: expected a task file, which all its tools read, found -")
        sys.exit(2)
    wanted = Pipeline(
        words,
        task,
        folder,
        sequences=asked.sequences,
        until=int(asked.until) if asked.until else None,
        n_max=int(asked.N_max or N_MAX),
        sampled=cache(partial(sampled_by, words)),
    )
    front = Front()
    leave(front.code_of(lambda: wanted.run(front)))


def sampled_by(words: list[str]) -> tuple[int, list[int]]:
    """px-sample's samples of each run, and its seeds; 0 where it will refuse the words."""
    from pxtools.commands.cli import Parser
    from pxtools.commands.sample import px_sample
    from pxtools.sampling.presets import settings

    try:
        asked = Parser("px-sample", px_sample).parse_args([w for w in words if w != "--no_align"])
        n_sample = settings(asked.preset, N_sample=asked.N_sample).N_sample
        return n_sample, [int(seed) for seed in re.findall(r"\d+", asked.seeds or "")]
    except InputError:
        return 0, []


def read(recipe: str, words: list[str], variables: list[str]) -> Asked:
    """The settings of the words; the last one counts, and words before variables."""
    asked = Asked()
    given: set[str] = set()

    def take(option: str, value: str) -> None:
        given.add(option)
        if option == "input_json_path" and option not in USED[recipe]:
            raise WrongWord(f"expected settings of this recipe, found {option}")
        if option in PATHS or (recipe == "pipeline" and option in OF_PIPELINE):
            setattr(asked, option, value)
        else:
            asked.options.append(f"--{option}={value}")

    rest = list(words)
    while rest:
        word = rest.pop(0)
        name, equals, value = word.partition("=")
        option = name.lstrip("-").replace("-", "_")
        option = SYNONYMS.get(option) or NAMES.get(option.lower(), _in_full(option))
        is_flag = option in FLAGS_OF_RECIPES or (recipe, word) == ("status", "-w")
        if equals and (name.startswith("--") or name.isidentifier()):
            take(option, value)
        elif (name.startswith("--") and not is_flag) or name in ("-i", "-o"):
            if not rest:
                raise WrongWord(f"expected a value after {word}, found nothing")
            take(option, rest.pop(0))
        elif name.startswith("-"):
            asked.options += [word] if is_flag else [word, *rest[:1]]
            del rest[: not is_flag]
        elif recipe in DUMP_DIR_FIRST and "dump_dir" not in given:
            take("dump_dir", word)
        else:
            raise WrongWord(f"expected settings such as preset=extended, found {word}")
    for line in variables:
        name, _, value = line.partition("=")
        if value and name in USED[recipe] and name not in given:
            take(name, value)
    _check_numbers(asked)
    return asked


def _in_full(option: str) -> str:
    """Of a path's option, which the tools take abbreviated, too."""
    named = (path for path in PATHS if len(option) > 3 and path.startswith(option))
    return next(named, option)


def _check_numbers(asked: Asked) -> None:
    for name in ("until", "N_max"):
        number = getattr(asked, name)
        if number and not re.fullmatch(r"[1-9]\d{0,6}", number):
            raise WrongWord(f"expected a number of designs such as {name}=100, found {number}")
    if not re.fullmatch(r"[0-9]{1,4}|10000", asked.sequences):
        raise WrongWord(
            f"expected a number such as sequences=8, 0 for none, found sequences={asked.sequences}"
        )


def _example(given: str | None) -> str:
    if given is not None:
        return given  # an empty path, for the tool to refuse
    path = str(EXAMPLE)
    say(f"No input_json_path given: using the example {path}")
    return path


def clean(folder: str, options: list[str]) -> int:
    """Remove all results in a folder after asking. Returns the exit code."""
    results = Path(folder) / "global_run_0"
    if not results.is_dir() or results.is_symlink():
        say(f"{results}: no such folder, nothing to remove")
        return 0
    runs = len(list(results.glob("*/seed_*")))
    designs = len(list(results.glob("*/seed_*/predictions/*.cif")))
    if not {"-y", "--yes"} & set(options):
        print(
            f"Remove {results.absolute()} with all its designs, chunks and saved states "
            f"({runs} runs, {designs} designs)? [y/N] ",
            end="",
            file=sys.stderr,
            flush=True,
        )
        if sys.stdin.readline().strip().lower() not in ("y", "yes"):
            say("Nothing was removed.")
            return 1
    try:
        shutil.rmtree(results)
    except OSError as error:
        say(f"{error.filename}: cannot remove it: {error.strerror}")
        return 2
    say(f"Removed {results}")
    return 0


if __name__ == "__main__":
    main()
