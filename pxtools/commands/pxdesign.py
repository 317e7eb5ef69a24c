"""pxdesign: the published pipeline's front command; its words start these tools.

pxdesign pipeline OPTIONS               px-sample OPTIONS | px-write-cif; so is pxdesign infer
pxdesign sample OPTIONS                 px-sample OPTIONS
pxdesign status DIR                     px-status DIR
pxdesign check-input --yaml FILE        px-target -i FILE
pxdesign parse-target --yaml FILE -o D  px-target -i FILE -o D
pxdesign score DIR                      px-score DIR
pxdesign sequence DIR                   px-sequence DIR
pxdesign prepare-msa                    not needed: the generator uses no alignments
"""

from __future__ import annotations

import importlib
import re
import sys

from pxtools import __version__
from pxtools.console import say, warn
from pxtools.errors import shown
from pxtools.interrupt import leave

TOOLS = {
    "pipeline": "sample",  # where its options are asked for
    "infer": "sample",
    "sample": "sample",
    "status": "status",
    "check-input": "target",
    "parse-target": "target",
    "score": "score",
    "sequence": "sequence",
}
COMMANDS = ",".join([*TOOLS, "prepare-msa"])
USAGE = f"""usage: pxdesign {{{COMMANDS}}} ...

{(__doc__ or "").split(chr(10), 2)[2].rstrip()}

Options of pipeline are those of px-sample (px-sample --help), in whatever case; --no_align goes to
px-write-cif. Options of the published pipeline that mean nothing here are named and ignored.
"""
FLAGS = ("quiet", "no_align", "example", "help", "version")
OPTIONS = (
    *("input_json_path", "dump_dir", "preset", "N_sample", "N_step", "seeds", "model", "device"),
    *("sample_diffusion_chunk_size", "dtype", "workers", *FLAGS),
    *("shard", "samples", "gpus", "processes"),
    *("eta_type", "eta_min", "eta_max", "gamma0", "gamma_min"),
)
SYNONYMS = {"input": "input_json_path", "yaml": "input_json_path", "output_dir": "dump_dir"}
WITHOUT_MEANING = {
    *("n_max_runs", "target_template_rmsd_thres", "return_topk", "extended_w_af2", "use_msa"),
    *("extended_w_ptx", "min_total_return", "max_success_return", "early_stop", "model_name"),
    *("min_early_stop_rounds", "min_early_stop_successes", "load_checkpoint_dir", "num_workers"),
    *("load_strict", "use_fast_ln", "use_deepspeed_evo_attention"),
}
OURS = {option.lower(): option for option in OPTIONS} | SYNONYMS


def main() -> None:
    name, *words = sys.argv[1:] or [""]
    if name in ("pipeline", "infer") and not asks_about(words):
        from pxtools.fronts.front import Front
        from pxtools.fronts.pipeline import sample_and_write

        front = Front()
        leave(front.code_of(lambda: sample_and_write(front, translated(words))))
    if name in TOOLS:
        run_here(TOOLS[name], translated(words))
    if name == "prepare-msa":
        say(
            "prepare-msa: there is nothing to do: the generator uses no alignments; use the task "
            "file as it is"
        )
        sys.exit(0)
    if name == "--version":
        print(f"pxdesign {__version__}")
        sys.exit(0)
    asked = bool({"-h", "--help"} & {name, *words})
    if name and not asked:
        from difflib import get_close_matches

        nearest = get_close_matches(name.lower(), COMMANDS.split(","), 1) or ["pxdesign --help"]
        say(f"pxdesign: unknown command {shown(name)}: did you mean {nearest[0]}?")
        sys.exit(2)
    print(USAGE, file=sys.stdout if asked else sys.stderr, end="")
    sys.exit(0 if asked else 2)


def asks_about(words: list[str]) -> bool:
    """Whether px-sample would only tell of itself."""
    return bool({"-h", "--help", "--version"} & set(words))


def run_here(tool: str, words: list[str]) -> None:
    """Become a tool; does not return."""
    sys.argv[1:] = words
    importlib.import_module(f"pxtools.commands.{tool}").main()


def translated(words: list[str]) -> list[str]:
    """The published command line's words in these tools' spelling.

    Options that mean nothing here are named in one warning and left out, with their values.
    """
    out: list[str] = []
    ignored: list[str] = []
    rest = list(words)
    while rest:
        word = rest.pop(0)
        name, equals, value = word.partition("=")
        option = name[2:].lower().replace("-", "_") if name.startswith("--") else ""
        if option in WITHOUT_MEANING or "." in option:
            has_value = not equals and rest and re.match(r"[^-]|-\.?\d|$", rest[0])
            ignored.append(f"{word} {rest.pop(0)}" if has_value else word)
        else:
            out.append(f"--{OURS[option]}{equals}{value}" if option in OURS else word)
    if ignored:
        warn(f"Ignored, as they mean nothing here: {', '.join(ignored)}")
    return out


if __name__ == "__main__":
    main()
