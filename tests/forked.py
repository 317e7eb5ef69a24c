"""A tool's process that starts fast: forked from one that has imported what the tools import.

It has its own memory, descriptors, signals and end. All of a worker's share a hash seed and were
imported once: test_fresh_starts.py starts each afresh. A graphics card's library cannot be forked.
"""

import os
import sys
from collections.abc import Mapping
from contextlib import suppress
from importlib import import_module
from importlib.util import find_spec
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from tempfile import TemporaryDirectory

import mlx.core as mx

POSSIBLE = sys.platform == "linux" and mx.default_device() == mx.Device(mx.cpu)
SECONDS = 300
IMPORTED = [
    "pxtools.conversion.checkpoints",
    "pxtools.picking.choosing",
    "pxtools.report.gathering",
    "pxtools.sampling.runs",
    "pxtools.scoring.summary",
    "pxtools.sequences.runs",
    "pxtools.task.inspection",
    "pxtools.runs.writing",
]
assert all(map(find_spec, IMPORTED))  # else none of them would be imported, without a word


def run(
    module: str, words: list[str], stdin: str, environment: Mapping[str, str], cwd: Path
) -> tuple[int, str, str]:
    """The exit code of a tool, by its module's name; what it wrote to stdout and to stderr."""
    context = get_context("forkserver")
    context.set_forkserver_preload(["pxtools.commands", *IMPORTED])
    reads, writes = context.Pipe(duplex=False)
    with TemporaryDirectory() as folder:
        said = [Path(folder) / name for name in ("stdout", "stderr")]
        process = context.Process(target=_be, args=(module, words, environment, cwd, reads, *said))
        process.start()
        reads.close()
        with suppress(BrokenPipeError):
            os.write(writes.fileno(), stdin.encode())
        writes.close()
        process.join(SECONDS)
        if process.exitcode is None:
            process.kill()
            raise TimeoutError(f"{module} {words}: {[path.read_text() for path in said]}")
        stdout, stderr = (path.read_text() for path in said)
        return process.exitcode, stdout, stderr


def _be(
    module: str,
    words: list[str],
    environment: Mapping[str, str],
    cwd: Path,
    stdin: Connection,
    stdout: Path,
    stderr: Path,
) -> None:
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(environment)
    os.dup2(stdin.fileno(), 0)
    stdin.close()
    for number, path in enumerate((stdout, stderr), 1):
        file = os.open(path, os.O_WRONLY | os.O_CREAT)
        os.dup2(file, number)
        os.close(file)
    sys.stdin = os.fdopen(0, closefd=False)
    sys.argv = [module, *words]
    import_module(module).main()
