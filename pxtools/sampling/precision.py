"""In which precision a run's products are done."""

from pathlib import Path

from pxtools.console import say, warn
from pxtools.network import bfloat16, ops
from pxtools.network.weights import ModelFile

NARROWEST = 512  # channels of a token: below, converting to bfloat16 takes what its products save


def precision(asked: str | None, begun: str | None, model: ModelFile, run: Path) -> str:
    """The precision to use, for what `--dtype` asks for and what the run was begun in.

    A run never mixes them: it stays in its own, also where less precision is asked for later.
    """
    if begun and asked in (None, begun):
        if begun == "bfloat16" and ops.on_cpu() and (lacking := bfloat16.missing()):
            warn(f"{run}: continuing in bfloat16, slower here: {lacking}")
        return begun
    if asked is None:
        if ops.on_cpu() and model.config.c_token >= NARROWEST and not bfloat16.missing():
            say("On this processor --dtype bfloat16 is faster (docs/precision.md)")
        return "float32"
    if asked == "float32":
        return asked
    if begun == "float32":
        warn(f"{run}: it was begun in float32 and stays in it (--dtype {asked})")
        return begun
    if ops.on_cpu():
        no_float16 = "a CPU has no fast products of float16"
        if lacking := no_float16 if asked == "float16" else bfloat16.missing():
            warn(f"--dtype {asked}: {lacking}; float32 is used")
            return "float32"
    return asked
