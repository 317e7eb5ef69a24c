"""px-sequence as a process: the same letters however it is run, killed and resumed."""

import csv
import io
import json
import re
import shutil
import signal
import subprocess
from pathlib import Path

import gemmi
import numpy as np
import pytest
import yaml
from conftest import DATA, STRUCTURES
from processes import command, environment, run, small_run

from pxtools.conversion.protein_mpnn import as_safetensors
from pxtools.network.protein_mpnn_weights import read_weights
from pxtools.runs.sequences import Sequence
from pxtools.runs.tables import as_markdown
from pxtools.sequences.design import read_design
from pxtools.structure.parsing import structure_text

DOCS = Path(__file__).parents[2] / "docs"
TCR = STRUCTURES / "1BD2.cif.gz"
N, LENGTH = 4, 16


def write_designs(folder: Path, n: int, target: int = 30, length: int = LENGTH) -> list[Path]:
    """Small complexes: a piece of a chain as target, another, shaken, as binder."""
    folder.mkdir(parents=True, exist_ok=True)
    whole = gemmi.read_structure(str(TCR))
    paths = []
    for i in range(n):
        rng = np.random.default_rng(i)
        structure = gemmi.Structure()
        model = gemmi.Model(1)
        for name, source, size in (("A", "A", target), ("B", "E", length)):
            chain = gemmi.Chain(name)
            for number, residue in enumerate(list(whole[0][source])[20 : 20 + size], 1):
                made = chain.add_residue(residue)
                made.seqid = gemmi.SeqId(number, " ")
                for atom in made:
                    atom.pos += gemmi.Position(*rng.normal(0, 0.05, 3))
            model.add_chain(chain)
        structure.add_model(model)
        paths.append(folder / f"design_{i}.pdb")
        structure.write_pdb(str(paths[-1]))
    return paths


@pytest.fixture(scope="module")
def designs(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return write_designs(tmp_path_factory.mktemp("designs"), N)


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "sequences.csv").open() as file:
        return list(csv.DictReader(file))


WORDS = ("--num_seqs", 3, "--temperature", 0.1)


@pytest.fixture(scope="module")
def undisturbed(designs: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("undisturbed")
    done = run("px-sequence", *designs, *WORDS, "-o", folder)
    assert done.returncode == 0, done.stderr
    assert done.stdout == (folder / "sequences.fasta").read_text()
    return folder


def assert_same(folder: Path, undisturbed: Path) -> None:
    for name in ("sequences.csv", "sequences.fasta"):
        assert (folder / name).read_bytes() == (undisturbed / name).read_bytes()


def test_rows_say_what_was_made(undisturbed: Path) -> None:
    made = rows(undisturbed)
    assert [(r["design"], r["number"]) for r in made] == [
        (f"design_{i}", str(k)) for i in range(N) for k in range(3)
    ]
    for row in made:
        assert re.fullmatch(f"[ADEFGHIKLMNPQRSTVWY]{{{LENGTH}}}", row["sequence"])  # no C, no X
        assert 0.3 < float(row["score"]) < 2.5 and float(row["global_score"]) > 0.5
        assert (row["temperature"], row["weights"], row["seed"]) == ("0.1", "vanilla", "12345")
    assert len({row["sequence"] for row in made}) > N  # they differ at this temperature


@pytest.mark.slow
def test_order_workers_and_number_of_sequences_do_not_matter(
    designs: list[Path], undisturbed: Path, tmp_path: Path
) -> None:
    done = run("px-sequence", *designs[::-1], *WORDS, "-o", tmp_path / "a", "--workers", 1)
    assert done.returncode == 0, done.stderr
    assert_same(tmp_path / "a", undisturbed)
    for number in (1, 2, 3):  # one more each time
        words = ["--num_seqs", number, "--temperature", 0.1, "-o", tmp_path / "b"]
        done = run("px-sequence", *words, stdin="\n".join(map(str, designs)))
        assert done.returncode == 0, done.stderr
        assert f"{N} new, {N * number} sequences" in done.stderr
    assert_same(tmp_path / "b", undisturbed)


@pytest.mark.slow
def test_other_options_give_other_sequences_and_keep_the_first(
    designs: list[Path], undisturbed: Path, tmp_path: Path
) -> None:
    shutil.copytree(undisturbed, tmp_path, dirs_exist_ok=True)
    first = rows(tmp_path)
    for words in (
        ["--seed", 1],
        ["--temperature", 0.2],
        ["--weights", "soluble"],
        ["--omit", "CM"],
        ["--bias", "A:-0.5"],
        ["--fix", "B:1-5"],
    ):
        done = run("px-sequence", designs[0], *WORDS, *words, "-o", tmp_path)
        assert done.returncode == 0 and "3 new" in done.stderr, (words, done.stderr)
    assert len({row["made_from"] for row in rows(tmp_path)}) == N + 6
    assert [row for row in rows(tmp_path) if row in first] == first
    again = run("px-sequence", designs[0], *WORDS, "--seed", 1, "-o", tmp_path)
    assert "0 new" in again.stderr


def test_omitted_biased_and_fixed_letters(designs: list[Path], tmp_path: Path) -> None:
    options = ["--temperature", 1, "--num_seqs", 4, "--omit", "EK", "--fix", "B:1-5,8"]
    done = run("px-sequence", designs[0], *options, "--bias", "W:9", "-o", tmp_path)
    assert done.returncode == 0, done.stderr
    native = gemmi.one_letter_code([r.name for r in gemmi.read_structure(str(designs[0]))[0]["B"]])
    for row in rows(tmp_path):
        letters = row["sequence"]
        assert letters[:5] == native[:5] and letters[7] == native[7]
        free = letters[5:7] + letters[8:]
        assert not set("EK") & set(free) and free.count("W") > len(free) / 2
    assert float(rows(tmp_path)[0]["score"]) > 2  # the score knows nothing of the bias


def test_greedy_is_the_default_and_lists_no_cysteine(designs: list[Path], tmp_path: Path) -> None:
    done = run("px-sequence", designs[0], "-o", tmp_path)
    assert done.returncode == 0 and done.stdout.count(">") == 1
    assert "T=0.0001, weights=vanilla, seed=12345" in done.stdout


def test_cif_with_letters(undisturbed: Path, designs: list[Path], tmp_path: Path) -> None:
    done = run("px-sequence", designs[0], *WORDS, "-o", tmp_path, "--cif")
    paths = [Path(line) for line in done.stdout.splitlines()]
    assert [p.name for p in paths] == [f"design_0_seq_{i}.cif" for i in range(3)]
    for path, row in zip(paths, rows(tmp_path), strict=True):
        design = read_design(str(path), path.stem, structure_text(path), None, ())
        letters = gemmi.one_letter_code([site.name for site in design.binder.sites])
        assert letters == row["sequence"]
        chances = [site["CA"][0].b_iso for site in design.binder.sites]
        assert -np.log(np.maximum(chances, 0.005)).mean() == pytest.approx(
            float(row["score"]), abs=0.1
        )
        assert {len(site) for site in design.binder.sites} == {4}
    assert_same_rows(tmp_path, undisturbed)
    paths[1].unlink()
    again = run("px-sequence", designs[0], *WORDS, "-o", tmp_path, "--cif")
    assert paths[1].is_file() and "0 new" in again.stderr


def assert_same_rows(folder: Path, undisturbed: Path) -> None:
    theirs = rows(undisturbed)
    assert all(row in theirs for row in rows(folder))


def handed_over(predictor: str, designs: list[Path], folder: Path) -> tuple[list[Path], str]:
    done = run("px-sequence", designs[0], "-o", folder, "--for", predictor)
    assert done.returncode == 0, done.stderr
    return [Path(line) for line in done.stdout.splitlines()], done.stderr


@pytest.mark.slow
def test_hand_over(designs: list[Path], tmp_path: Path) -> None:
    """Every chain, the binder last and without an MSA, in each project's own format."""
    structure = gemmi.read_structure(str(designs[0]))
    target = gemmi.one_letter_code([r.name for r in structure[0]["A"]])
    run("px-sequence", designs[0], "-o", tmp_path)
    binder = rows(tmp_path)[0]["sequence"]

    (path,), said = handed_over("boltz", designs, tmp_path)
    assert yaml.safe_load(path.read_text()) == {
        "version": 1,
        "sequences": [
            {"protein": {"id": "A", "sequence": target}},
            {"protein": {"id": "B", "sequence": binder, "msa": "empty"}},
        ],
    }
    assert f"boltz predict {path.parent} --use_msa_server" in said and "earlier" not in said
    path.with_name("before.yaml").touch()  # boltz predicts all that lies in the folder
    assert "1 files of earlier calls are in it" in handed_over("boltz", designs, tmp_path)[1]

    (path,), said = handed_over("af3", designs, tmp_path)
    job = json.loads(path.read_text())
    assert (job["dialect"], job["version"], job["name"]) == ("alphafold3", 1, "design_0_seq_0")
    first, last = (one["protein"] for one in job["sequences"])
    assert first == {"id": "A", "sequence": target}
    no_msa = {"unpairedMsa": "", "pairedMsa": "", "templates": []}
    assert last == {"id": "B", "sequence": binder, **no_msa}
    assert len(job["modelSeeds"]) == 1 and f"--input_dir={path.parent}" in said

    (path,), said = handed_over("protenix", designs, tmp_path)
    ((first, last),) = (
        [one["proteinChain"] for one in job["sequences"]] for job in json.loads(path.read_text())
    )
    assert (first["sequence"], first["count"], last["sequence"]) == (target, 1, binder)
    alone = Path(last["unpairedMsaPath"]).read_text()
    assert alone == f">query\n{binder}\n" and "pairedMsaPath" not in last
    ((fasta, msas),) = re.findall(r"protenix msa --input (\S+) --out_dir (\S+)", said)
    assert Path(fasta).read_text() == f">target_0\n{target}\n"
    assert first["unpairedMsaPath"] == f"{msas}/0/non_pairing.a3m"

    (path,), said = handed_over("colabfold", designs, tmp_path)
    assert path.read_text() == f"id,sequence\ndesign_0_seq_0,{target}:{binder}\n"
    assert "cannot leave one chain without an MSA" in said

    (path,), said = handed_over("chai", designs, tmp_path)
    assert path.read_text() == f">protein|name=A\n{target}\n>protein|name=B\n{binder}\n"


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["--temperature", -1], "--temperature: expected a number from 0 to 100"),
        (["--num_seqs", 0], "--num_seqs: expected 1 to 10,000, found 0"),
        (["--omit", "CZ"], "--omit: expected one-letter codes"),
        (["--omit", "ACDEFGHIKLMNPQRSTVWY"], "at least one amino acid left"),
        (["--bias", "A=2"], "--bias: "),
        (["--bias", "A:inf"], "letters and numbers such as A:-0.5,K:0.3, found A:inf"),
        (["--fix", "1-5"], "--fix: expected a chain and numbers such as C0:1-5,8"),
        (["--fix", "A:1-5"], "residues of the binder B (others are fixed), found A:1-5"),
        (["--fix", "B:1-99"], "a residue of chain B (1 to 16), found 99"),
        (["--fix", "B:1-16"], "a binder residue left to design, found all are fixed"),
        (["--binder", "X"], "--binder: expected a protein chain (A, B), found X"),
        (["--weights", "none"], "--weights: expected vanilla, soluble"),
        (["--device", "gpu"], "--device: expected cpu"),
        (["--seed", -1], "--seed: expected 0 to"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(
    designs: list[Path], tmp_path: Path, words: list[object], named: str
) -> None:
    refused = run("px-sequence", designs[0], *words, "-o", tmp_path / "out")
    assert refused.returncode == 2 and named in refused.stderr, refused.stderr
    assert len(refused.stderr.splitlines()) == 1


def test_chains_that_are_no_protein_are_named(designs: list[Path], tmp_path: Path) -> None:
    structure = gemmi.read_structure(str(designs[0]))
    dna = gemmi.Chain("D")
    for number in range(1, 4):
        residue = gemmi.Residue()
        residue.name, residue.seqid = "DA", gemmi.SeqId(number, " ")
        atom = gemmi.Atom()
        atom.name, atom.pos = "P", gemmi.Position(50 + 6 * number, 50, 50)
        atom.element = gemmi.Element("P")
        residue.add_atom(atom)
        dna.add_residue(residue)
    structure[0].add_chain(dna, pos=0)
    structure.setup_entities()
    structure.write_pdb(str(tmp_path / "with_dna.pdb"))
    done = run("px-sequence", tmp_path / "with_dna.pdb", "-o", tmp_path)
    assert done.returncode == 0 and "left out: chain D (Dna)" in done.stderr


@pytest.mark.slow
def test_structures_that_cannot_be_used(designs: list[Path], tmp_path: Path) -> None:
    text = designs[0].read_text()
    broken = tmp_path / "broken.pdb"
    lines = text.splitlines(keepends=True)
    no_oxygen = [
        x for x in lines if not (x[12:16].strip() == "O" and x[21] == "B" and x[22:26] == "   7")
    ]
    broken.write_text("".join(no_oxygen))
    refused = run("px-sequence", broken, "-o", tmp_path / "out")
    assert "binder residue 7: expected atoms N, CA, C and O, found" in refused.stderr
    no_oxygen = [
        x for x in lines if not (x[12:16].strip() == "O" and x[21] == "A" and x[22:26] == "   7")
    ]
    broken.write_text("".join(no_oxygen))
    done = run("px-sequence", broken, "-o", tmp_path / "out")
    assert done.returncode == 0
    assert "1 target residues lack N, CA, C or O and are left out" in done.stderr
    for path, named in ((tmp_path / "none.pdb", "found nothing"), (tmp_path, "px-sample")):
        refused = run("px-sequence", path, "-o", tmp_path / "out")
        assert refused.returncode == 2 and named in refused.stderr
    same = tmp_path / "other" / "design_0.pdb"
    same.parent.mkdir()
    shutil.copy(designs[1], same)
    refused = run("px-sequence", designs[0], same, "-o", tmp_path / "out")
    assert refused.returncode == 2 and "has the same name" in refused.stderr


@pytest.mark.slow
def test_a_run_that_is_killed_ten_times_equals_an_undisturbed_one(tmp_path: Path) -> None:
    paths = write_designs(tmp_path / "designs", 30, target=20, length=12)
    words = [*paths, "--num_seqs", 2, "--temperature", 0.1]
    done = run("px-sequence", *words, "-o", tmp_path / "whole")
    assert done.returncode == 0, done.stderr
    table = tmp_path / "killed" / "sequences.csv"

    def n_lines() -> int:
        return table.read_bytes().count(b"\n") if table.exists() else 0

    rng, codes = np.random.default_rng(0), []
    for number in ([signal.SIGKILL, signal.SIGTERM, signal.SIGINT] * 4)[:10]:
        wanted = n_lines() + int(rng.integers(2, 6))
        process = subprocess.Popen(
            command("px-sequence", *words, "-o", tmp_path / "killed"),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment(),
        )
        assert process.stdout
        while n_lines() < wanted:  # some more than there were
            assert process.stdout.readline()
        process.send_signal(number)
        process.communicate(timeout=60)
        codes.append(process.returncode)
        if number == signal.SIGKILL:  # and in the middle of a line
            table.write_bytes(table.read_bytes()[: -int(rng.integers(1, 40))])
    assert {-signal.SIGKILL, 143, 130} == set(codes)  # none had come to its end
    done = run("px-sequence", *words, "-o", tmp_path / "killed")
    assert done.returncode == 0, done.stderr
    assert_same(tmp_path / "killed", tmp_path / "whole")


def test_two_at_once_do_not_write_one_table(designs: list[Path], tmp_path: Path) -> None:
    first = subprocess.Popen(
        command("px-sequence", "-o", tmp_path, "--num_seqs", 2),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=environment(),
        text=True,
    )
    assert first.stdin and first.stdout
    first.stdin.write(f"{designs[0]}\n")
    first.stdin.flush()
    assert first.stdout.readline().startswith(">design_0_seq_0")  # while its input is open
    second = run("px-sequence", designs[1], "-o", tmp_path)
    assert second.returncode == 75 and "another px-sequence is at work there" in second.stderr
    first.stdin.close()
    assert first.wait(timeout=60) == 0
    assert [row["design"] for row in rows(tmp_path)] == ["design_0", "design_0"]


def test_a_folder_under_two_names_has_one_table(designs: list[Path], tmp_path: Path) -> None:
    """Of a run; both names are given to one process."""
    shutil.copytree(DATA / "old_runs/finished", tmp_path / "one")
    (tmp_path / "two").symlink_to("one")
    places = [next((tmp_path / name).rglob("predictions")) for name in ("one", "two")]
    cifs = [place / f"bpti_sample_{i}.cif" for i, place in enumerate(places)]
    assert run("px-sequence", *cifs).returncode == 0
    assert len(rows(places[0].parent)) == 2


@pytest.mark.slow
def test_a_run_of_px_sample_from_noise_to_letters(tmp_path: Path) -> None:
    words, folder = small_run(tmp_path, n=4, chunk=2, steps=5)
    ours = " | ".join(
        " ".join(map(str, one))
        for one in (
            command("px-sample", *words),
            command("px-write-cif", "--print"),
            command("px-sequence", "--num_seqs", 2),
        )
    )
    done = subprocess.run(ours, shell=True, capture_output=True, text=True, env=environment())
    assert done.returncode == 0 and done.stdout.count(">bpti_sample_") == 8, done.stderr
    table = rows(folder)
    assert [row["design"] for row in table] == [f"bpti_sample_{i}" for i in range(4) for _ in "ab"]
    again = run("px-sequence", tmp_path / "out", "--num_seqs", 2)
    assert "0 new, 8 sequences" in again.stderr and again.stdout == done.stdout
    status = json.loads(run("px-status", tmp_path / "out", "--json").stdout)
    assert status[0]["sequences"] == 8
    scored = run("px-score", tmp_path / "out")
    best = min(
        (r for r in table if r["design"] == "bpti_sample_2"), key=lambda r: float(r["score"])
    )
    assert re.search(rf"bpti_sample_2 +{best['sequence']}", scored.stdout)
    summary = list(csv.DictReader(io.StringIO((folder / "summary.csv").read_text())))
    by_name = {row["design"]: row["mpnn_score"] for row in summary}
    assert float(by_name["bpti_sample_2"]) == float(best["score"])
    (folder / "sequences.csv").unlink()
    run("px-score", tmp_path / "out")
    summary = list(csv.DictReader(io.StringIO((folder / "summary.csv").read_text())))
    assert {row["mpnn_score"] for row in summary} == {""}
    cif = folder / "predictions" / "bpti_sample_1.cif"
    cif.write_bytes(cif.read_bytes().replace(b"GLY", b"ALA", 1))
    damaged = run("px-sequence", tmp_path / "out")
    assert damaged.returncode == 0 and "it gets no sequence" in damaged.stderr
    assert len(rows(folder)) == 3


def test_a_structure_and_its_pdb_file_get_the_same_letters(tmp_path: Path) -> None:
    """Gaps and insertions by label numbers: 1BD2's PDB file has SEQRES."""
    designs = [
        read_design(name, "x", structure_text(STRUCTURES / name), None, ())
        for name in ("1BD2.cif.gz", "1BD2.pdb.gz")
    ]
    assert designs[0].digest == designs[1].digest
    assert designs[0].target == {**designs[0].target} and len(designs[0].target) == 4


@pytest.mark.slow
def test_weights_from_a_file(designs: list[Path], tmp_path: Path) -> None:
    tensors = read_weights("vanilla").tensors
    path = tmp_path / "mine.safetensors"
    path.write_bytes(as_safetensors(tensors, {"num_edges": "48"}, "float16"))
    done = run("px-sequence", designs[0], "--weights", path, "-o", tmp_path / "a")
    assert done.returncode == 0 and "weights=mine" in done.stdout
    run("px-sequence", designs[0], "-o", tmp_path / "b")
    assert rows(tmp_path / "a")[0]["sequence"] == rows(tmp_path / "b")[0]["sequence"]
    del tensors["W_out.bias"]
    path.write_bytes(as_safetensors(tensors, {"num_edges": "48"}, "float16"))
    refused = run("px-sequence", designs[0], "--weights", path, "-o", tmp_path / "c")
    assert refused.returncode == 2 and "it has no tensor W_out.bias" in refused.stderr
    path.write_bytes(path.read_bytes()[:5000])
    refused = run("px-sequence", designs[0], "--weights", path, "-o", tmp_path / "c")
    assert refused.returncode == 2 and "not the weights of ProteinMPNN" in refused.stderr


def test_documented_columns_are_the_tables() -> None:
    assert as_markdown(Sequence) in (DOCS / "sequences.md").read_text()
