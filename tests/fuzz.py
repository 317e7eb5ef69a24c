"""Feed mutated files to everything that reads one: `just fuzz`.

Allowed outcomes: the file is read, or refused with InputError or DamagedError. Anything else is
printed with its kind and seed; such seeds belong into test_fuzz.py.
"""

import gzip
import io
import json
import random
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from contextlib import redirect_stderr
from dataclasses import replace
from importlib.resources import files
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import numpy as np
from conftest import DATA, STRUCTURES, fixture_task

from pxtools.conversion.torch_file import read_checkpoint
from pxtools.errors import DamagedError, InputError
from pxtools.network import protein_mpnn_weights
from pxtools.network.config import Config, Help
from pxtools.network.weights import ModelFile, load_network, read_model
from pxtools.runs.chunk import Chunk, pack_chunk, unpack_chunk
from pxtools.runs.design_cif import cif_writer
from pxtools.runs.folder import RunDir
from pxtools.runs.record import RunJson
from pxtools.runs.schedule import Schedule
from pxtools.runs.seal import seal
from pxtools.runs.tables import as_csv
from pxtools.sampling.runs import run_record
from pxtools.scoring.columns import Scores
from pxtools.scoring.metrics import score
from pxtools.scoring.ranking import best_first
from pxtools.scoring.summary import in_words, summary
from pxtools.sequences.design import read_design
from pxtools.sequences.lettered_cif import lettered_cif
from pxtools.sequences.making import Made
from pxtools.structure.complex import read_complex
from pxtools.task.design import prepare
from pxtools.task.reading import read_tasks
from pxtools.task.target import read_target

Reader = tuple[bytes, Callable[[bytes], object]]  # a valid file, and what reads it
MODEL = ModelFile("none", Path(), "", 0, "pxdesign", Config(), Help(), None)
INTERESTING = (
    b"\0",
    b"\xff",
    b"-1",
    b"99999999999",
    b"nan",
    b"..",
    b"/",
    b"\n",
    b'"',
    b"[",
    b"{",
    b"?",
)


def mutate(data: bytes, rng: random.Random) -> bytes:
    """One to eight flips, cuts, repeats and insertions."""
    out = bytearray(data)
    for _ in range(rng.randint(1, 8)):
        at = rng.randrange(len(out) + 1)
        size = rng.choice([1, 1, 2, 8, 80, 800])
        match rng.randrange(6):
            case 0 if at < len(out):
                out[at] ^= 1 << rng.randrange(8)
            case 1:
                del out[at : at + size]
            case 2:
                out[at:at] = out[at : at + size]
            case 3:
                out[at:at] = rng.choice(INTERESTING)
            case 4:
                out[at : at + size] = rng.randbytes(min(size, 8))
            case 5 if rng.random() < 0.1:
                del out[at:]
    return bytes(out)


def small_structure(name: str) -> bytes:
    """The first few hundred lines of a structure file: mutations hit something."""
    lines = gzip.decompress((STRUCTURES / name).read_bytes()).splitlines(keepends=True)
    if name.endswith(".pdb.gz"):
        return b"".join([line for line in lines if line[:6] in (b"ATOM  ", b"SEQRES")][:300])
    start = next(i for i, line in enumerate(lines) if line.startswith(b"_atom_site.")) - 1
    head = [line for line in lines[:start] if line.startswith((b"data_", b"_entry"))]
    polymers = b"loop_\n_entity.id\n_entity.type\n1 polymer\nloop_\n_entity_poly.entity_id\n"
    polymers += b"_entity_poly.type\n1 polypeptide(L)\nloop_\n_struct_asym.id\n"
    return b"".join(
        [*head[:2], polymers, b"_struct_asym.entity_id\nA 1\n", *lines[start : start + 220]]
    )


def structure_reader(folder: Path, name: str, suffix: str) -> Reader:
    path = folder / f"x{suffix}"
    fields = fixture_task("bpti") | {"hotspot": {}}
    fields["condition"]["structure_file"] = str(path)
    (folder / f"{suffix}.json").write_text(json.dumps([fields]))

    def read(data: bytes) -> None:
        path.write_bytes(data)
        task = read_tasks(str(folder / f"{suffix}.json"))[0]
        prepare(task, read_target(task), MODEL)

    return small_structure(name), read


def task_reader(folder: Path, name: str, text: str) -> Reader:
    def read(data: bytes) -> None:
        path = folder / name
        path.write_bytes(data)
        for task in read_tasks(str(path)):
            read_target(task)

    return text.encode(), read


def a_chunk(folder: Path) -> bytes:
    path = folder / "bpti.json"
    path.write_text(json.dumps([fixture_task("bpti")]))
    task = read_tasks(str(path))[0]
    design = prepare(task, read_target(task), MODEL)
    record = run_record(design, MODEL, "float32", Schedule(), 7)
    xyz = np.zeros((2, len(design.features.atoms), 3), np.float32)
    atoms = design.features.atoms
    return pack_chunk(Chunk(record, [0, 1], xyz, atoms, design.sequences, None))


def read_chunk_bytes(data: bytes) -> None:
    from hashlib import sha256

    body = data[:-32]
    for candidate in (data, body + sha256(body).digest()):
        try:
            chunk = unpack_chunk(candidate)
            if chunk.record.task.name == "bpti":
                cif_writer(chunk, True)
        except DamagedError:
            pass
    seal({})


def summary_text() -> bytes:
    row = score(read_complex("x", complex_text()), run="r")
    return as_csv(
        Scores, [replace(row, design=f"x_sample_{i}", rank=i) for i in range(1, 4)]
    ).encode()


def complex_text() -> bytes:
    """The first 25 residues of both chains of 1HVR."""
    lines = gzip.decompress((STRUCTURES / "1HVR.pdb.gz").read_bytes()).splitlines(keepends=True)
    atoms = [line for line in lines if line.startswith(b"ATOM") and int(line[22:26]) <= 25]
    return b"".join([*atoms, b"END\n"])


def write_letters(data: bytes) -> None:
    design = read_design("x", "x", data, None, ())
    n = len(design.binder.sites)
    lettered_cif(Made(design, 0, "A" * n, 1.0, 1.0, np.ones(n)), "x")


def kinds(folder: Path) -> dict[str, Reader]:
    yaml = (
        f"task_name: x\nbinder_length: 9\ntarget:\n  file: {STRUCTURES}/5PTI.cif.gz\n"
        "  chains:\n    A: {crop: ['1-30'], hotspots: [15, 17]}\n"
    )
    run = RunDir(folder, "x")
    record = {"format": 1, "task": {"name": "x", "target_digest": "y"}, "seed": 1, "N_sample": 4}
    record |= {"model": {"name": "m", "digest": "d"}, "schedule": {"N_step": 5}}

    def read_record(data: bytes) -> None:
        run.run_json.write_bytes(data)
        RunJson.read(run)

    def read_rows(data: bytes) -> None:
        (folder / "summary.csv").write_bytes(data)
        rows = summary(run).read(lambda row: row.run == "r")
        in_words("x", sorted(rows.values(), key=best_first), 5)

    def read_weights(data: bytes) -> None:
        path = folder / "x.safetensors"
        path.write_bytes(data)
        load_network(read_model(str(path)))

    def read_pt(data: bytes) -> None:
        path = folder / "x.pt"
        path.write_bytes(data)
        read_checkpoint(path)

    def read_letters(data: bytes) -> None:
        path = folder / "mpnn.safetensors"
        path.write_bytes(data)
        protein_mpnn_weights.read_weights(str(path))

    letters = Path(str(files("pxtools").joinpath("data/proteinmpnn_v_48_020.safetensors")))
    mpnn = letters.read_bytes()
    mpnn_header = 8 + int.from_bytes(mpnn[:8], "little")
    weights = (DATA / "tiny" / "weights.safetensors").read_bytes()
    config = (DATA / "tiny" / "config.json").read_bytes()
    (folder / "config.json").write_bytes(config)
    header = 8 + int.from_bytes(weights[:8], "little")
    checkpoint = (DATA / "tiny" / "checkpoint.pt").read_bytes()
    pickle_start = checkpoint.index(b"data.pkl")
    return {
        "task.json": task_reader(folder, "t.json", json.dumps([fixture_task("bpti")])),
        "task.yaml": task_reader(folder, "t.yaml", yaml),
        "structure.cif": structure_reader(folder, "5PTI.cif.gz", ".cif"),
        "structure.pdb": structure_reader(folder, "1HVR.pdb.gz", ".pdb"),
        "chunk": (a_chunk(folder), read_chunk_bytes),
        "complex.pdb": (complex_text(), lambda data: score(read_complex("x", data))),
        "design.pdb": (complex_text(), write_letters),
        "summary.csv": (summary_text(), read_rows),
        "letters": (mpnn[:mpnn_header], lambda head: read_letters(head + mpnn[mpnn_header:])),
        "run.json": (json.dumps(record).encode(), read_record),
        # the head of a large file is where mutations matter
        "weights": (
            weights[:header],
            lambda head: read_weights(head + weights[header:]),
        ),
        "checkpoint": (
            checkpoint[pickle_start : pickle_start + 20_000],
            lambda part: read_pt(
                checkpoint[:pickle_start] + part + checkpoint[pickle_start + 20_000 :]
            ),
        ),
    }


def try_one(kind: Reader, name: str, seed: int) -> None:
    data, read = kind
    try:
        with redirect_stderr(io.StringIO()):  # warnings
            read(mutate(data, random.Random(f"{name} {seed}")))
    except DamagedError:
        pass
    except InputError as error:
        assert "\n" not in str(error), "an error of several lines"


def main() -> None:
    times = int(sys.argv[1]) if len(sys.argv) > 1 else 2000
    crashes = 0
    with tempfile.TemporaryDirectory() as folder:
        for name, kind in kinds(Path(folder)).items():
            began, bad = time.monotonic(), 0
            for seed in range(times):
                try:
                    try_one(kind, name, seed)
                except Exception:
                    bad += 1
                    if bad <= 3:
                        print(f"{name} {seed}: {traceback.format_exc(limit=-3)}")
            crashes += bad
            print(
                f"{name}: {times} files, {bad} crashes, {time.monotonic() - began:.0f} s",
                flush=True,
            )
    sys.exit(bool(crashes))


if __name__ == "__main__":
    main()
