"""The tools as a user runs them: words, files, resuming, wrong input."""

import json
import re
import shutil
import subprocess
import sys
import warnings
from pathlib import Path

import gemmi
import numpy as np
import pytest
from Bio.PDB.MMCIFParser import MMCIFParser
from conftest import DATA, STRUCTURES, fixture_task
from processes import TINY, command, environment, run, small_run, write_task

from pxtools.network.weights import read_model
from pxtools.runs.chunk import read_chunk
from pxtools.structure.geometry import superposition

FILES_MD = Path(__file__).parents[2] / "docs" / "files.md"
JUST = Path(sys.prefix) / "bin" / "just"
WORDS = """\
============================================================
Starting chunked diffusion: 5 samples in chunks of 2
============================================================

[Chunk 1/3] Generating samples 1-2/5
  Diffusion step [1/120] for samples [1-2/5]
  Diffusion step [51/120] for samples [1-2/5]
  Diffusion step [101/120] for samples [1-2/5]
  Diffusion step [120/120] for samples [1-2/5]
✓ Completed chunk 1/3 (samples 1-2)

[Chunk 2/3] Generating samples 3-4/5
  Diffusion step [1/120] for samples [3-4/5]
  Diffusion step [51/120] for samples [3-4/5]
  Diffusion step [101/120] for samples [3-4/5]
  Diffusion step [120/120] for samples [3-4/5]
✓ Completed chunk 2/3 (samples 3-4)

[Chunk 3/3] Generating samples 5-5/5
  Diffusion step [1/120] for samples [5-5/5]
  Diffusion step [51/120] for samples [5-5/5]
  Diffusion step [101/120] for samples [5-5/5]
  Diffusion step [120/120] for samples [5-5/5]
✓ Completed chunk 3/3 (samples 5-5)
"""


def lines_of_run(stderr: str) -> str:
    """stderr without the line that names the model."""
    return re.sub(r"^Model .*\n", "", stderr)


@pytest.mark.slow
def test_the_printed_words_are_the_documented_ones(tmp_path: Path) -> None:
    words, folder = small_run(tmp_path, steps=120)
    sampled = run("px-sample", *words)
    assert sampled.returncode == 0, sampled.stderr
    assert lines_of_run(sampled.stderr) == WORDS
    chunks = sampled.stdout.split()
    assert [c.rsplit("/", 1)[1] for c in chunks] == [
        "samples_0-1.msgpack",
        "samples_2-3.msgpack",
        "samples_4-4.msgpack",
    ]
    written = run("px-write-cif", stdin=sampled.stdout)
    assert written.returncode == 0, written.stderr
    assert written.stderr.splitlines()[0] == "  Saving CIF files: 5/5 (skipped 0 existing)"
    assert written.stderr.splitlines()[-1] == "✓ Saved all 5 samples"
    success = json.loads((folder / "SUCCESS_FILE").read_text())
    assert success["prediction"] is True

    again = run("px-sample", *words)
    assert lines_of_run(again.stderr) == (
        "✓ Skip sample=bpti: already completed (5 samples exist).\n"
    )
    assert again.stdout == sampled.stdout
    for sample in (1, 3):
        (folder / "predictions" / f"bpti_sample_{sample}.cif").unlink()
    rewritten = run("px-write-cif", *chunks)
    assert "  Saving CIF files: 2/5 (skipped 3 existing)\n" in rewritten.stderr
    assert "✓ Saved 2 new samples, skipped 3 existing samples\n" in rewritten.stderr

    more = run("px-sample", *words, "--N_sample", 6)
    assert lines_of_run(more.stderr).splitlines()[0] == (
        "⚠ Resuming sample=bpti: 5 samples already exist, continuing generation..."
    )
    assert "[Chunk 3/4]" not in more.stderr and "Generating samples 6-6/6" in more.stderr
    assert not (folder / "SUCCESS_FILE").exists()
    quiet = run("px-sample", *words, "--quiet")
    assert lines_of_run(quiet.stderr) == ""
    said = [done.stderr for done in (sampled, written, again, rewritten, more)]
    documented = FILES_MD.read_text().split("## Progress lines")[1].split("\n## ")[0]
    lines = [line[4:] for line in documented.splitlines() if line.startswith("    ")]
    assert len(lines) == 15 and set(lines) <= set("\n".join(said).splitlines())


@pytest.mark.slow
def test_saving_lines_come_every_50_files(tmp_path: Path) -> None:
    words, _ = small_run(tmp_path, n=120, chunk=60, steps=1)
    sampled = run("px-sample", *words)
    written = run("px-write-cif", stdin=sampled.stdout).stderr.splitlines()
    assert [line for line in written if "Saving" in line] == [
        "  Saving CIF files: 50/120 (skipped 0 existing)",
        "  Saving CIF files: 100/120 (skipped 0 existing)",
        "  Saving CIF files: 120/120 (skipped 0 existing)",
    ]


@pytest.mark.slow
def test_existing_files_count_from_the_first_line_on_without_their_chunks(tmp_path: Path) -> None:
    words, folder = small_run(tmp_path, n=10, chunk=10, steps=1)
    run("px-write-cif", stdin=run("px-sample", *words).stdout)
    for chunk in folder.glob("chunks/*.msgpack"):
        chunk.unlink()
    more = run("px-sample", *words, "--N_sample", 70, "--sample_diffusion_chunk_size", 60)
    written = run("px-write-cif", stdin=more.stdout).stderr.splitlines()
    assert [line for line in written if "Saving" in line] == [
        "  Saving CIF files: 50/70 (skipped 10 existing)",
        "  Saving CIF files: 60/70 (skipped 10 existing)",
    ]


@pytest.mark.slow
def test_a_run_begun_and_not_saved_is_told_to_resume(tmp_path: Path) -> None:
    words, folder = small_run(tmp_path, n=2, chunk=2, steps=120)
    sampler = subprocess.Popen(
        command("px-sample", *words), stderr=subprocess.PIPE, text=True, env=environment()
    )
    assert sampler.stderr
    while "step [51/" not in sampler.stderr.readline():
        assert sampler.poll() is None
    sampler.terminate()
    sampler.communicate()
    assert list(folder.glob("chunks/*.state")) and not list(folder.glob("chunks/*.msgpack"))
    resumed = run("px-sample", *words)
    assert "⚠ Resuming sample=bpti: 0 samples already exist, continuing" in resumed.stderr


@pytest.fixture(scope="module")
def pmhc(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small run on two target chains, all atoms."""
    folder = tmp_path_factory.mktemp("pmhc")
    words, path = small_run(folder, n=2, steps=8, name="pmhc")
    sampled = run("px-sample", *words)
    assert run("px-write-cif", stdin=sampled.stdout).returncode == 0
    return path


def test_cifs_read_back_with_the_same_coordinates(pmhc: Path) -> None:
    chunk = read_chunk(pmhc / "chunks" / "samples_0-1.msgpack")
    fixed = np.isfinite(chunk.atoms.xyz).all(1) & (chunk.atoms.name == "CA")
    for i in range(2):
        structure = gemmi.read_structure(str(pmhc / "predictions" / f"pmhc_sample_{i}.cif"))
        assert [c.name for c in structure[0]] == ["A0", "B0", "C0"]
        sites = list(structure[0].all())
        assert [cra.atom.name for cra in sites] == chunk.atoms.name.tolist()
        assert [cra.residue.seqid.num for cra in sites] == chunk.atoms.number.tolist()
        assert {(cra.atom.occ, cra.atom.b_iso) for cra in sites} == {(1.0, 0.0)}
        xyz = np.array([cra.atom.pos.tolist() for cra in sites])
        r, t, _ = superposition(chunk.xyz[i][fixed], chunk.atoms.xyz[fixed])
        np.testing.assert_allclose(xyz, chunk.xyz[i] @ r.T + t, atol=0.001)
        entities = {e.name: e for e in structure.entities}
        assert [entities[n].subchains for n in "123"] == [["A0"], ["B0"], ["C0"]]
        assert len(entities["1"].full_sequence) == 275
        assert entities["3"].full_sequence == ["GLY"] * 60


def test_biopython_opens_the_cifs_and_the_binder_is_last(pmhc: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        path = str(pmhc / "predictions" / "pmhc_sample_0.cif")
        (model,) = MMCIFParser().get_structure("x", path)
    chains = list(model)
    assert [(chain.id, len(list(chain))) for chain in chains] == [
        ("A0", 180),
        ("B0", 9),
        ("C0", 60),
    ]
    assert {residue.resname for residue in chains[-1]} == {"GLY"}


def test_no_align_leaves_the_samplers_frame(tmp_path: Path) -> None:
    words, folder = small_run(tmp_path, n=1)
    sampled = run("px-sample", *words)
    run("px-write-cif", "--no-align", stdin=sampled.stdout)
    structure = gemmi.read_structure(str(folder / "predictions" / "bpti_sample_0.cif"))
    xyz = np.array([cra.atom.pos.tolist() for cra in structure[0].all()])
    np.testing.assert_allclose(
        xyz, read_chunk(folder / "chunks" / "samples_0-0.msgpack").xyz[0], atol=0.001
    )
    again = run("px-write-cif", "--no-align", stdin=sampled.stdout)
    assert "--no_align: 1 CIFs that were there keep the place they have" in again.stderr


def test_the_embedded_model_is_named_and_keeps_the_deposited_target(tmp_path: Path) -> None:
    words, folder = small_run(tmp_path, n=1)
    at = words.index("-m")
    sampled = run("px-sample", *words[:at], *words[at + 2 :])
    assert "demonstration model 'nano'" in sampled.stderr
    run("px-write-cif", stdin=sampled.stdout)
    structure = gemmi.read_structure(str(folder / "predictions" / "bpti_sample_0.cif"))
    deposited = gemmi.read_structure(str(STRUCTURES / "5PTI.cif.gz"))
    (lys,) = (r for r in structure[0]["A0"] if r.seqid.num == 15)
    (there,) = (r for r in deposited[0]["A"] if r.seqid.num == 15)
    heavy = [a.pos.tolist() for a in there if not a.is_hydrogen()]
    np.testing.assert_allclose([a.pos.tolist() for a in lys], heavy, atol=0.001)


def test_a_model_of_that_name_is_not_taken_for_the_embedded_one(tmp_path: Path) -> None:
    shutil.copytree(TINY, tmp_path / "nano")
    assert not read_model(str(tmp_path / "nano")).is_demonstration
    assert read_model("nano").is_demonstration


@pytest.mark.slow
def test_1hvr_as_it_comes_from_the_pdb(tmp_path: Path) -> None:
    task = fixture_task("bpti")
    task["condition"] |= {
        "structure_file": str(STRUCTURES / "1HVR.pdb.gz"),
        "filter": {"chain_id": ["A", "B"], "crop": {}},
    }
    write_task(tmp_path, condition=task["condition"], hotspot={"B": [50]})
    words, folder = small_run(tmp_path, n=1, steps=2)
    done = run("pxdesign", "pipeline", *words)
    assert done.returncode == 0, done.stderr
    assert "modified residue CSO 67 is taken as CYS" in done.stderr
    assert (folder / "SUCCESS_FILE").exists()


def test_hyphens_and_underscores_are_the_same(tmp_path: Path) -> None:
    words, folder = small_run(tmp_path, n=1, steps=2)
    hyphens = [str(w).replace("_", "-") if str(w).startswith("--") else w for w in words]
    assert run("px-sample", *hyphens).returncode == 0
    assert (folder / "chunks" / "samples_0-0.msgpack").exists()


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (["--preset", "huge"], "extended, preview, quick"),
        (["--N_sample", "0"], "--N_sample"),
        (["--N_sample", "many"], "--N_sample: expected a whole number, found many"),
        (["--N_step", "0"], "--N_step"),
        (["--eta_type", "magic"], "piecewise_65"),
        (["--gamma0", "nan"], "--gamma0"),
        (["--seeds", "-1"], "--seeds"),
        (["--model", "/none"], "--model"),
        (["--device", "gpu"], "MLX has no GPU here"),
        (["--no-such"], "unknown option --no-such"),
    ],
)
def test_wrong_options_are_refused_in_one_line(tmp_path: Path, words: list[str], part: str) -> None:
    import mlx.core as mx

    if "gpu" in words and mx.is_available(mx.Device(mx.gpu)):
        pytest.skip("there is a GPU")
    more, folder = small_run(tmp_path)
    result = run("px-sample", *more, *words)
    assert result.returncode == 2
    assert part in result.stderr and "Traceback" not in result.stderr
    assert not folder.exists()


def test_a_task_too_large_is_refused_with_the_memory_it_needs(tmp_path: Path) -> None:
    write_task(tmp_path, generation=[{"type": "protein", "length": 10**6}])
    words, folder = small_run(tmp_path)
    result = run("px-sample", *words)
    assert result.returncode == 2 and "limit is 5,000" in result.stderr and "GB" in result.stderr
    assert not folder.exists()


@pytest.mark.slow
def test_several_tasks_and_seeds(tmp_path: Path) -> None:
    tasks = [fixture_task("bpti") | {"name": name} for name in ("one", "two")]
    (tmp_path / "tasks.json").write_text(json.dumps(tasks))
    words = ["-i", tmp_path / "tasks.json", "-o", tmp_path / "out", "-m", TINY]
    words += ["--N_sample", 1, "--N_step", 2]
    done = run("pxdesign", "pipeline", *words, "--seeds", "1,2")
    assert done.returncode == 0, done.stderr
    status = run("px-status", tmp_path / "out", "--json")
    rows = json.loads(status.stdout)
    assert status.returncode == 0
    assert [(r["task"], r["seed"], r["complete"]) for r in rows] == [
        ("one", 1, True),
        ("one", 2, True),
        ("two", 1, True),
        ("two", 2, True),
    ]
    # no seeds: those that are there
    again = run("px-sample", *words)
    assert again.stderr.count("already completed") == 4


def test_task_from_stdin(tmp_path: Path) -> None:
    task = json.dumps([fixture_task("bpti")])
    words = ["-i", "-", "-o", tmp_path, "-m", TINY, "--N_sample", 1, "--N_step", 1]
    done = run("px-sample", *words, stdin=task)
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("samples_0-0.msgpack\n")


def test_write_cif_from_a_task(tmp_path: Path) -> None:
    words, folder = small_run(tmp_path, n=2)
    run("px-sample", *words)
    done = run("px-write-cif", "-i", tmp_path / "bpti.json", "-o", tmp_path / "out")
    assert done.returncode == 0 and (folder / "SUCCESS_FILE").exists()
    for wrong in (tmp_path / "bpti.json", tmp_path / "none.msgpack"):
        refused = run("px-write-cif", wrong)
        assert refused.returncode == 2 and "chunk file" in refused.stderr
    task = ["-i", tmp_path / "bpti.json", "-o", tmp_path / "out"]
    for wrong_words in ([*task, "--seeds", 999], [*task, tmp_path], ["--seeds", 7, tmp_path]):
        assert run("px-write-cif", *wrong_words).returncode == 2
    shutil.rmtree(folder / "chunks")
    assert run("px-write-cif", *task).stderr == ""
    (folder / "predictions/bpti_sample_0.cif").unlink()
    assert "it has no chunks to write" in run("px-write-cif", *task).stderr


@pytest.mark.slow
def test_status_of_all_kinds_of_folders(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    empty = run("px-status", tmp_path / "empty")
    assert (empty.returncode, empty.stdout) == (1, "no runs yet\n")
    assert run("px-status", tmp_path / "none").returncode == 2
    (tmp_path / "file").write_text("x")
    assert run("px-status", tmp_path / "file").returncode == 2
    assert run("px-status", tmp_path).returncode == 2

    words, folder = small_run(tmp_path, n=3)
    run("px-sample", *words)
    status = run("px-status", tmp_path / "out")
    assert status.returncode == 1
    assert re.search(r"bpti +7 +3/3 +2 +0/3 +- +tiny +incomplete", status.stdout)
    run("px-write-cif", *sorted((folder / "chunks").glob("*.msgpack")))
    complete = run("px-status", folder)
    assert complete.returncode == 0 and re.search(
        r"3/3 +2 +3/3 +- +tiny +complete", complete.stdout
    )
    (folder / "run.json").write_text("{")
    broken = run("px-status", tmp_path / "out")
    assert broken.returncode == 1 and "not a readable run.json" in broken.stdout


def test_a_reader_that_goes_away_is_no_error(tmp_path: Path) -> None:
    words, _ = small_run(tmp_path, n=4, chunk=1, steps=2)
    sampler = subprocess.Popen(
        command("px-sample", *words),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(),
    )
    assert sampler.stdout
    sampler.stdout.readline()
    sampler.stdout.close()
    _, stderr = sampler.communicate(timeout=60)
    assert "Traceback" not in stderr


@pytest.mark.slow
def test_just_reads_settings_before_and_after_the_recipe(tmp_path: Path) -> None:
    root = DATA.parent.parent
    task = write_task(tmp_path)
    for i, words in enumerate(
        (
            ["pipeline", "preset=quick", "N_sample=1", "N_step=2", "sample_diffusion_chunk_size=1"],
            [
                *("preset=quick", "N_sample=1", "N_step=2", "sample_diffusion_chunk_size=1"),
                *("sequences=0", "pipeline"),
            ],
        )
    ):
        own = [f"model={TINY}", f"input_json_path={task}", f"dump_dir={tmp_path / f'r {i}'}"]
        at = words.index("pipeline")
        order = words[: at + 1] + own + words[at + 1 :] if at == 0 else own + words
        done = subprocess.run(
            [JUST, "--justfile", root / "justfile", *order],
            capture_output=True,
            text=True,
            env=environment(),
            cwd=tmp_path,
        )
        assert done.returncode == 0, done.stderr
        assert list((tmp_path / f"r {i}").rglob("SUCCESS_FILE"))
        assert "✓ Saved all 1 samples" in done.stderr
        assert "bpti seed_12345: 1 design in 1 cluster; pass every check: " in done.stdout
        letters = list((tmp_path / f"r {i}").rglob("sequences.csv"))
        assert len(letters) == (i == 0) and ("MPNN_SCORE" in done.stdout) == (i == 0)
        assert bool(re.search(r"^  bpti_sample_0  [A-Y]{10}$", done.stdout, re.M)) == (i == 0)
    wrong = subprocess.run(
        [JUST, "--justfile", root / "justfile", "pipeline", "extended"],
        capture_output=True,
        text=True,
        env=environment(),
        cwd=tmp_path,
    )
    assert wrong.returncode == 2 and "expected settings such as preset=extended" in wrong.stderr
