"""Write the CIF files of runs from their chunks, and SUCCESS_FILE when all are there."""

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from pxtools.console import LINE_EVERY_FILES, saved, saving, say, warn
from pxtools.errors import DamagedError, InputError
from pxtools.interrupt import uninterrupted
from pxtools.runs.chunk import Chunk
from pxtools.runs.design_cif import cif_writer, read_back
from pxtools.runs.design_pdb import pdb_letters, pdb_writer
from pxtools.runs.files import flush_folder, make_folder, set_aside, write_atomically
from pxtools.runs.folder import RunDir
from pxtools.runs.inventory import damaged_cifs, own_chunk, refuse_links
from pxtools.runs.record import RunJson

RMSD_LIMIT = 3.0  # Å; above it the model has not folded the target it was given


@dataclass(frozen=True)
class Form:
    """How designs are written: `residue` is the binder's, None keeps files that are there."""

    align: bool = True  # on the target as deposited
    residue: Literal["GLY", "xpb"] | None = None
    pdb: bool = False  # as PDB files too
    binder_first: bool = False  # in PDB files


DEFAULT_FORM = Form()


@dataclass(frozen=True)
class Written:
    """What became of a run's CIF files."""

    run: RunDir
    new: int
    skipped: int
    missing: int  # of the samples asked for


def write_cifs(
    chunks: Iterable[Path],
    form: Form = DEFAULT_FORM,
    quiet: bool = False,
    written: Callable[[Path], None] = lambda path: None,
) -> list[Written]:
    """Write the designs of chunk files as mmCIF, skipping those that exist; a result for each run.

    Chunks are taken one by one, as they come; `written` gets the path of each design's file,
    whether new or there already. Raises InputError for what is no chunk file of a run.
    """
    writers: dict[Path, Writer] = {}
    for path in chunks:
        run = run_of(path)
        if run.path not in writers:
            writers[run.path] = Writer(run, form, quiet, written)
        writers[run.path].write_chunk(path)
    return [writer.finish() for writer in writers.values()]


def run_of(chunk: Path) -> RunDir:
    """The run directory that a chunk file lies in."""
    if chunk.is_dir():
        found = f"a folder (-i TASK -o {chunk} writes all of a task's runs)"
        raise InputError.of(chunk, "chunk", "a .msgpack chunk file of px-sample", found)
    if chunk.suffix != ".msgpack":
        raise InputError.of(chunk, "chunk", "a .msgpack chunk file of px-sample", chunk.name)
    if not chunk.is_file():
        raise InputError.of(chunk, "chunk", "an existing chunk file", "none")
    run = RunDir.around(chunk)
    if run is None:
        folder = chunk.absolute().parent.parent
        raise InputError.of(chunk, "chunk", "a chunk file inside a run's chunks/ folder", folder)
    return run


@dataclass
class Writer:
    """The CIF files of one run; counts what is new and what was there."""

    run: RunDir
    form: Form
    quiet: bool
    written: Callable[[Path], None]
    asked: RunJson = field(init=False)
    new: int = 0
    new_pdbs: int = 0
    pdbs: int = 0
    skipped: int = 0
    misfolded: int = 0
    seen: set[int] = field(default_factory=set)
    said: int = -1

    def __post_init__(self) -> None:
        refuse_links(self.run)
        self.asked = RunJson.begun(self.run)

    @property
    def total(self) -> int:
        return self.asked.n_sample

    def write_chunk(self, path: Path) -> None:
        """Write the files of a chunk that are not there yet."""
        try:
            chunk = own_chunk(path, self.asked.record)
        except DamagedError as error:
            set_aside(path, str(error))
            return
        self.asked = RunJson.begun(self.run)  # another process may have raised N_sample
        self._write(chunk)

    def _write(self, chunk: Chunk) -> None:
        write = None
        residue = self.form.residue or "GLY"
        write_pdb = None
        if self.form.pdb:
            write_pdb = pdb_writer(chunk, self.form.align, residue, self.form.binder_first)
        for i, sample in enumerate(chunk.samples):
            if sample in self.seen:
                continue
            self.seen.add(sample)
            if write_pdb:
                self._write_pdb(sample, write_pdb(i))
            cif = self.run.cif(sample)
            if self._is_there(sample):
                self.skipped += 1
                self.written(cif)
                continue
            write = write or cif_writer(chunk, self.form.align, residue)
            text, rmsd = write(i)
            self.misfolded += rmsd > RMSD_LIMIT
            with uninterrupted():
                make_folder(self.run.predictions)
                write_atomically(cif, text, sync_folder=False)
                self.new += 1
            self.written(cif)
            if self.new % LINE_EVERY_FILES == 0:
                self._say_saving()
        if write:
            flush_folder(self.run.predictions)

    def _is_there(self, sample: int) -> bool:
        """Whether the sample has a whole file, with the residue asked for."""
        cif = self.run.cif(sample)
        if not (cif.exists() or cif.is_symlink()) or self._set_aside_if_damaged({sample}):
            return False
        asked = self.form.residue
        return asked is None or (b" xpb " in cif.read_bytes()) == (asked == "xpb")

    def _write_pdb(self, sample: int, text: bytes) -> None:
        path = self.run.pdb(sample)
        self.pdbs += 1
        if path.is_file() and not path.is_symlink() and path.read_bytes() == text:
            return
        with uninterrupted():
            make_folder(path.parent)
            write_atomically(path, text, sync_folder=False)
            self.new_pdbs += 1

    def _say_saving(self) -> None:
        if not self.quiet and self.said != self.new:
            there = self.run.cif_samples().intersection(range(self.total))
            say(saving(self.new, self.total, len(there) - self.new))
            self.said = self.new

    def finish(self) -> Written:
        """Say what was done; check all files and write SUCCESS_FILE if none is missing."""
        wanted = range(self.total)
        there = self.run.cif_samples()
        kept = (there - self._set_aside_if_damaged(there)).intersection(wanted)
        self.skipped = len(kept) - len(kept.intersection(self.seen)) + self.skipped
        if self.new:
            self._say_saving()
        if not self.form.align and self.skipped:
            warn(f"--no_align: {self.skipped} CIFs that were there keep the place they have")
        if self.form.pdb:
            self._say_pdbs(len(kept))
        if self.misfolded:
            warn(
                f"{self.misfolded} of {self.new} new designs do not reproduce the target "
                f"(CA RMSD over {RMSD_LIMIT:.0f} Å): their binders are not placed meaningfully"
            )
        if len(kept) == self.total:
            kept = self._read_back()
        missing = self.total - len(kept)
        if not missing:
            if not self.success_is_current():
                if self.run.success.is_dir():
                    set_aside(self.run.success, "a folder in place of a file")
                with uninterrupted():
                    write_atomically(self.run.success, self._success())
            if not self.quiet:
                say(saved(self.new, self.skipped))
        else:
            if self.run.success.is_file():
                self.run.success.unlink()
            if not self.quiet and self.new:
                say(saved(self.new, self.skipped, missing))
            say(f"⚠ {missing} of {self.total} samples of {self.run.name} are still missing")
        return Written(self.run, self.new, self.skipped, missing)

    def _say_pdbs(self, designs: int) -> None:
        *target, binder = pdb_letters(self.asked.record.task.chains)
        if not self.quiet and self.pdbs:
            say(
                f"✓ Saved {self.new_pdbs} new PDB files of {self.pdbs} in {self.run.pdbs} "
                f"(target {', '.join(target)}; binder {binder})"
            )
        if self.pdbs < designs:
            warn(
                f"{designs - self.pdbs} of {designs} designs of {self.run.name} have no chunk "
                "among those given: no PDB file of them"
            )

    def _set_aside_if_damaged(self, samples: set[int]) -> set[int]:
        damaged = damaged_cifs(self.run, samples)
        for sample, reason in damaged.items():
            set_aside(self.run.cif(sample), reason)
        return set(damaged)

    def success_is_current(self) -> bool:
        try:
            return self.run.success.read_bytes() == self._success()
        except OSError:
            return False

    def _read_back(self) -> set[int]:
        """The samples whose CIFs gemmi reads back whole; others are set aside."""
        kept = set()
        for sample in range(self.total):
            try:
                read_back(self.run.cif(sample))
                kept.add(sample)
            except DamagedError as error:
                set_aside(self.run.cif(sample), str(error))
        return kept

    def _success(self) -> bytes:
        fields = {
            "prediction": True,
            "N_sample": self.total,
            "task": self.run.name,
            "seed": self.asked.record.seed,
        }
        return (json.dumps(fields) + "\n").encode()
