"""px-write-cif: chunk files to mmCIF files."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from argh import arg

from pxtools.commands import cli
from pxtools.console import warn
from pxtools.errors import InputError


@arg("chunks", nargs="*", help="chunk files; none or -: their paths from stdin")
@arg("-i", "--input-json-path", help="write all runs of these tasks (with -o)")
@arg("-o", "--dump-dir", help="folder with the results of px-sample")
@arg("--seeds", help="with -i: only these seeds, such as 123,456")
@arg("--no-align", help="leave designs in the sampler's frame, not on the input target")
@arg(
    "--residue",
    choices=["GLY", "xpb"],
    help="what the binder is made of: GLY (default), or xpb as in the published pipeline's files",
)
@arg("--pdb", help="PDB files too, in pdb/ beside predictions/; chains of one letter")
@arg("--binder-first", help="with --pdb: the binder is the first chain, not the last")
@arg("--print", dest="prints", help="print each design's path, for px-sequence or px-score")
@arg("-q", "--quiet", help="no progress lines; warnings are still shown")
def px_write_cif(
    *chunks: str,
    input_json_path: str | None = None,
    dump_dir: str = "results",
    seeds: str | None = None,
    no_align: bool = False,
    residue: Literal["GLY", "xpb"] | None = None,
    pdb: bool = False,
    binder_first: bool = False,
    prints: bool = False,
    quiet: bool = False,
) -> None:
    """Write the designs of chunk files as mmCIF into predictions/, skipping those that exist.

    SUCCESS_FILE is written once all samples of a run have their file.
    """
    from pxtools.runs.writing import Form, write_cifs

    if binder_first and not pdb:
        raise InputError("--binder-first is for PDB files: give --pdb too")

    if input_json_path and chunks:
        raise InputError("give either chunk files or a task (-i), not both")
    if seeds and not input_json_path:
        raise InputError("--seeds chooses among a task's runs: give the task too (-i)")
    if input_json_path:
        paths: Iterator[Path] = iter(_chunks_of(input_json_path, dump_dir, seeds))
    else:
        paths = cli.paths(chunks, "give chunk files, pipe their paths in, or use -i TASK -o DIR")
    form = Form(not no_align, residue, pdb, binder_first)
    write_cifs(paths, form, quiet, written=_print if prints else lambda path: None)


def _print(path: Path) -> None:
    print(path, flush=True)


def _chunks_of(input_json_path: str, dump_dir: str, seeds: str | None) -> list[Path]:
    from pxtools.runs.folder import parse_seeds, runs_begun
    from pxtools.runs.progress import RunProgress, progress_of
    from pxtools.task.reading import read_tasks

    names = [task.name for task in read_tasks(input_json_path)]
    runs = runs_begun(Path(dump_dir), names, parse_seeds(seeds))
    if not runs:
        seeds = f" with seeds {seeds}" if seeds else ""
        raise InputError.of(dump_dir, "results", f"runs of this task{seeds}", "none")
    chunks: list[Path] = []
    for run in runs:
        of_run = [path for _, path in run.files("msgpack")]
        chunks += of_run
        how_far = None if of_run else progress_of(run)
        if how_far and not (isinstance(how_far, RunProgress) and how_far.complete):
            warn(f"{run.path}: it has no chunks to write (px-sample makes what is missing)")
    return chunks


def main() -> None:
    cli.run(px_write_cif, "pxtools.runs.writing")


if __name__ == "__main__":
    main()
