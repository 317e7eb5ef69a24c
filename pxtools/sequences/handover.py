"""Input files for structure predictors: full target sequences, the binder last, without an MSA.

Each format was checked against its project's own documents and examples (docs/sequences.md).
"""

from __future__ import annotations

import csv
import io
import json
import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pxtools.runs.files import cannot_write, write_atomically
from pxtools.structure.atoms import chain_name


@dataclass(frozen=True)
class Complex:
    """A design with one of its sequences."""

    name: str
    target: tuple[str, ...]
    binder: str

    @property
    def chains(self) -> list[tuple[str, str, bool]]:
        """Id (A, B, ...), sequence and whether it is the binder."""
        sequences = [*self.target, self.binder]
        ids = [chain_name(i).removesuffix("0") for i in range(len(sequences))]
        return [(i, s, i == ids[-1]) for i, s in zip(ids, sequences, strict=True)]


@dataclass(frozen=True)
class Handover:
    """What was written, what to type next, and what the format cannot say."""

    n_complexes: int
    files: list[Path]
    command: str
    note: str = ""


def hand_over(predictor: str, complexes: Sequence[Complex], folder: Path) -> Handover:
    """Write the complexes for a predictor below `folder`. Raises InputError."""
    place = folder / f"for_{predictor}"
    try:
        place.mkdir(parents=True, exist_ok=True)
        return WRITERS[predictor](complexes, place.absolute())
    except OSError as error:
        raise cannot_write(place, error) from None


def earlier_files(made: Handover) -> int:
    """How many files of earlier calls a predictor finds beside those of this one."""
    place, kinds = made.files[0].parent, {path.suffix for path in made.files}
    return len({path for path in place.iterdir() if path.suffix in kinds} - {*made.files})


def _typed(path: Path) -> str:
    return shlex.quote(str(path))


def _one_file_each(
    complexes: Sequence[Complex], place: Path, suffix: str, text: Callable[[Complex], str]
) -> list[Path]:
    files = [place / f"{one.name}.{suffix}" for one in complexes]
    for path, one in zip(files, complexes, strict=True):
        write_atomically(path, text(one).encode(), sync_folder=False)
    return files


def _boltz(complexes: Sequence[Complex], place: Path) -> Handover:
    def text(one: Complex) -> str:
        lines = ["version: 1", "sequences:"]
        for chain, sequence, is_binder in one.chains:
            lines += ["  - protein:", f'      id: "{chain}"', f"      sequence: {sequence}"]
            lines += ["      msa: empty"] * is_binder
        return "\n".join(lines) + "\n"

    files = _one_file_each(complexes, place, "yaml", text)
    return Handover(len(complexes), files, f"boltz predict {_typed(place)} --use_msa_server")


def _af3(complexes: Sequence[Complex], place: Path) -> Handover:
    def text(one: Complex) -> str:
        without = {"unpairedMsa": "", "pairedMsa": "", "templates": []}
        sequences = [
            {"protein": {"id": chain, "sequence": sequence, **(without if is_binder else {})}}
            for chain, sequence, is_binder in one.chains
        ]
        held = {"name": one.name, "modelSeeds": [1], "sequences": sequences}
        return json.dumps({**held, "dialect": "alphafold3", "version": 1}, indent=2) + "\n"

    files = _one_file_each(complexes, place, "json", text)
    command = f"python run_alphafold.py --input_dir={_typed(place)}"
    command += " --output_dir=OUTPUT --model_dir=MODELS"
    return Handover(len(complexes), files, command)


def _protenix(complexes: Sequence[Complex], place: Path) -> Handover:
    # a chain without an MSA makes Protenix search for all of them: every chain names one, the
    # binder's holds the binder alone, the targets' are where `protenix msa` puts them
    unique = sorted({sequence for one in complexes for sequence in one.target})
    fasta = "".join(f">target_{i}\n{sequence}\n" for i, sequence in enumerate(unique))
    write_atomically(place / "targets.fasta", fasta.encode())
    (place / "binder_msa").mkdir(exist_ok=True)
    jobs = []
    for one in complexes:
        alone = place / "binder_msa" / f"{one.name}.a3m"
        write_atomically(alone, f">query\n{one.binder}\n".encode(), sync_folder=False)
        sequences = []
        for chain, sequence, is_binder in one.chains:
            protein = {"sequence": sequence, "count": 1, "id": [chain]}
            if is_binder:
                protein["unpairedMsaPath"] = str(alone)
            else:
                msa = place / "target_msa" / str(unique.index(sequence))
                protein["pairedMsaPath"] = str(msa / "pairing.a3m")
                protein["unpairedMsaPath"] = str(msa / "non_pairing.a3m")
            sequences.append({"proteinChain": protein})
        jobs.append({"name": one.name, "sequences": sequences})
    path = place / "protenix.json"
    write_atomically(path, (json.dumps(jobs, indent=2) + "\n").encode())
    targets, msas = _typed(place / "targets.fasta"), _typed(place / "target_msa")
    search = f"protenix msa --input {targets} --out_dir {msas}"
    return Handover(
        len(complexes), [path], f"{search} && protenix pred -i {_typed(path)} -o OUTPUT"
    )


def _colabfold(complexes: Sequence[Complex], place: Path) -> Handover:
    table = io.StringIO()
    rows = ([one.name, ":".join([*one.target, one.binder])] for one in complexes)
    csv.writer(table, lineterminator="\n").writerows([["id", "sequence"], *rows])
    path = place / "colabfold.csv"
    write_atomically(path, table.getvalue().encode())
    note = (
        "ColabFold's tables cannot leave one chain without an MSA: it will search for the binder "
        "too, and find little or nothing for a designed one"
    )
    return Handover(
        len(complexes), [path], f"colabfold_batch {_typed(path)} OUTPUT --pair-mode unpaired", note
    )


def _chai(complexes: Sequence[Complex], place: Path) -> Handover:
    def text(one: Complex) -> str:
        return "".join(f">protein|name={chain}\n{sequence}\n" for chain, sequence, _ in one.chains)

    files = _one_file_each(complexes, place, "fasta", text)
    note = (
        "--use-msa-server would search for the binder too; to give the target's alignments alone, "
        "put them into MSAS (chai-lab a3m-to-pqt) and add --msa-directory MSAS"
    )
    each = 'chai-lab fold "$f" OUTPUT/$(basename "$f" .fasta)'
    command = f"for f in {_typed(place)}/*.fasta; do {each}; done"
    return Handover(len(complexes), files, command, note)


WRITERS: dict[str, Callable[[Sequence[Complex], Path], Handover]] = {
    "boltz": _boltz,
    "protenix": _protenix,
    "af3": _af3,
    "colabfold": _colabfold,
    "chai": _chai,
}
