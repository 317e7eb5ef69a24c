"""The designs of a run, in CIFs or in chunks."""

from collections.abc import Iterator

from pxtools.console import warn
from pxtools.errors import DamagedError
from pxtools.runs.chunk import Chunk, read_chunk
from pxtools.runs.design_cif import cif_writer, read_cif
from pxtools.runs.folder import RunDir


def samples_of(run: RunDir) -> set[int]:
    """The samples that a CIF or a chunk holds, by their names."""
    in_chunks = {sample for samples, _ in run.files("msgpack") for sample in samples}
    return run.cif_samples() | in_chunks


def texts_of(run: RunDir, samples: list[int]) -> Iterator[tuple[int, bytes]]:
    """The CIF text of each sample: its file, or what its chunk would give.

    Damaged files are left out with a warning.
    """
    left = set()
    for sample in samples:
        cif = run.cif(sample)
        if not cif.is_file():
            left.add(sample)
            continue
        try:
            yield sample, read_cif(cif)
        except DamagedError as error:
            warn(f"{cif}: {error}; it is left out (px-write-cif writes it again)")
    for in_chunk, path in run.files("msgpack") if left else []:
        if left.intersection(in_chunk):
            try:
                chunk = read_chunk(path)
            except DamagedError as error:
                warn(f"{path}: {error}; it is left out (px-sample makes it again)")
                continue
            yield from ((sample, text) for sample, text in chunk_texts(chunk) if sample in left)
            left -= set(chunk.samples)


def chunk_texts(chunk: Chunk) -> Iterator[tuple[int, bytes]]:
    """The CIF text of each sample of a chunk."""
    write = cif_writer(chunk, align=True)
    for i, sample in enumerate(chunk.samples):
        yield sample, write(i)[0]
