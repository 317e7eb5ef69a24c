"""px-write-cif: PDB files beside the mmCIF ones, and what the binder is made of."""

import io
import shutil
from pathlib import Path

import gemmi
import numpy as np
import pytest
from Bio.PDB.PDBParser import PDBParser
from processes import run, small_run

from pxtools.errors import InputError
from pxtools.runs.design_pdb import pdb_letters


@pytest.fixture(scope="module")
def sampled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of the two chains of 1BD2 (A and C), its chunks only."""
    folder = tmp_path_factory.mktemp("pdb")
    words, _ = small_run(folder, n=3, chunk=2, steps=3, name="pmhc")
    assert run("px-sample", *words).returncode == 0
    return folder


@pytest.fixture
def results(sampled: Path, tmp_path: Path) -> Path:
    shutil.copytree(sampled / "out", tmp_path / "out")
    return tmp_path / "out" / "global_run_0" / "pmhc" / "seed_7"


def write(results: Path, *words: object) -> str:
    done = run("px-write-cif", *words, *sorted(results.glob("chunks/*.msgpack")))
    assert done.returncode == 0, done.stderr
    return done.stderr


def coordinates(path: Path, chains: str | None = None) -> np.ndarray:
    model = gemmi.read_structure(str(path))[0]
    order = chains or [chain.name for chain in model]
    return np.array([a.pos.tolist() for name in order for r in model[name] for a in r])


@pytest.mark.parametrize("first", [False, True])
def test_pdb_files_hold_the_designs_with_the_targets_own_letters(
    results: Path, first: bool
) -> None:
    said = write(results, "--pdb", *["--binder-first"][: int(first)])
    assert "3 new PDB files of 3" in said and "target A, C; binder B" in said
    for i in range(3):
        pdb = results / "pdb" / f"pmhc_sample_{i}.pdb"
        structure = PDBParser(QUIET=True).get_structure("x", io.StringIO(pdb.read_text()))
        names = [chain.id for chain in structure[0]]
        assert names == (["B", "A", "C"] if first else ["A", "C", "B"])
        assert {residue.get_resname() for residue in structure[0]["B"]} == {"GLY"}
        cif = coordinates(results / "predictions" / f"pmhc_sample_{i}.cif")
        np.testing.assert_allclose(coordinates(pdb, "ACB"), cif, atol=2e-3)
    numbers = [r.seqid.num for r in gemmi.read_structure(str(pdb))[0]["A"]]
    cif_model = gemmi.read_structure(str(results / "predictions" / "pmhc_sample_2.cif"))[0]
    assert numbers == [r.seqid.num for r in cif_model["A0"]]


def test_pdb_files_that_are_there_stay(results: Path) -> None:
    write(results, "--pdb")
    pdb = results / "pdb" / "pmhc_sample_0.pdb"
    before = pdb.stat().st_mtime_ns
    (results / "pdb" / "pmhc_sample_1.pdb").write_text("cut off")
    assert "1 new PDB files of 3" in write(results, "--pdb")
    assert pdb.stat().st_mtime_ns == before
    assert "3 new PDB files" in write(results, "--pdb", "--binder-first")


def test_designs_without_their_chunk_are_named(results: Path) -> None:
    write(results)
    first = sorted(results.glob("chunks/*.msgpack"))[0]
    done = run("px-write-cif", "--pdb", first)
    assert "1 of 3 designs of pmhc have no chunk" in done.stderr


def residues(results: Path) -> set[str]:
    models = [gemmi.read_structure(str(p))[0] for p in results.glob("predictions/*.cif")]
    return {residue.name for model in models for residue in model["C0"]}


@pytest.mark.slow
def test_the_binder_is_written_as_asked(results: Path) -> None:
    write(results, "--residue", "xpb")
    assert residues(results) == {"xpb"}
    write(results)  # nothing is asked for: what is there stays
    assert residues(results) == {"xpb"}
    scores = run("px-score", results).stdout
    assert run("px-status", results).returncode == 0
    write(results, "--residue", "GLY", "--pdb")
    assert residues(results) == {"GLY"}
    (results / "summary.csv").unlink()
    assert run("px-score", results).stdout == scores


def test_xpb_and_gly_files_differ_in_nothing_else(results: Path) -> None:
    def atoms() -> list[list[str]]:
        text = (results / "predictions" / "pmhc_sample_0.cif").read_text()
        return [line.split() for line in text.splitlines() if line.startswith("ATOM")]

    write(results)
    as_gly = atoms()
    write(results, "--residue", "xpb")
    as_xpb = atoms()
    assert sum("xpb" in words for words in as_xpb) == 4 * 60 + 1
    assert [["GLY" if word == "xpb" else word for word in words] for words in as_xpb] == as_gly


def test_binder_first_without_pdb_is_refused(results: Path) -> None:
    done = run("px-write-cif", "--binder-first", *results.glob("chunks/*.msgpack"))
    assert done.returncode == 2 and "give --pdb too" in done.stderr


@pytest.mark.parametrize(
    ("target", "letters"),
    [
        (["A"], "AB"),
        (["B", "A"], "BAC"),
        (["Axp", "B"], "ABC"),
        (["AA", "BB", "A"], "BCAD"),
        (["_"], "AB"),
        (["1", "a"], "1aA"),
    ],
)
def test_letters_of_pdb_chains(target: list[str], letters: str) -> None:
    assert "".join(pdb_letters(target)) == letters


def test_too_many_chains_for_a_pdb_file() -> None:
    with pytest.raises(InputError, match="63 chains do not fit"):
        pdb_letters([f"A{i}" for i in range(62)])
