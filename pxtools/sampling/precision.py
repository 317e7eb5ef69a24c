"""In which precision a run's products are done: bfloat16 is twice as fast where a CPU has it."""

from pathlib import Path

from pxtools.console import warn
from pxtools.network import bfloat16, ops
from pxtools.network.weights import ModelFile

NARROWEST = 512  # channels of a token: below, converting to bfloat16 takes what its products save


def precision(asked: str | None, begun: str | None, model: ModelFile, run: Path) -> str:
    """The `--dtype` to use for a run, by what it was begun in, if it was.

    Unless asked for another one a run stays in its precision; a new one is float32, or bfloat16
    on a CPU that is faster in it, with a model large enough.
    """
    if not ops.on_cpu():
        return asked or begun or "float32"
    if begun and asked in (None, begun):
        if begun == "bfloat16" and (lacking := bfloat16.missing()):
            warn(f"{run}: continuing in bfloat16, slower here: {lacking}")
        return begun
    if asked is None:
        pays = model.config.c_token >= NARROWEST and not bfloat16.missing()
        return "bfloat16" if pays else "float32"
    if asked == "float32":
        return asked
    no_float16 = "a CPU has no fast products of float16"
    if lacking := no_float16 if asked == "float16" else bfloat16.missing():
        warn(f"--dtype {asked}: {lacking}; float32 is used")
        return "float32"
    return asked
