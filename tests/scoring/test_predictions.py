"""What predictors say: found by their own file names, matched to designs, compared with them."""

import csv
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import gemmi
import numpy as np
import pytest
from conftest import DATA
from processes import run

from pxtools.errors import DamagedError
from pxtools.network.features import random_rotations
from pxtools.runs import sequences
from pxtools.runs.folder import RunDir, find_runs
from pxtools.runs.record import RunJson
from pxtools.scoring.checks import bucket, passed, read_limits, standard_limits
from pxtools.scoring.predictions import Prediction
from pxtools.scoring.predictors import Output, outputs_in, read_confidence, recognised
from pxtools.structure.complex import read_chains

NAME = "bpti_sample_0_seq_1"
IPTM, PTM = 0.86, 0.9
Written = tuple[Path, Path]


@pytest.fixture
def design(tmp_path: Path) -> RunDir:
    shutil.copytree(DATA / "old_runs" / "finished", tmp_path / "out")
    (found,) = find_runs(tmp_path / "out")
    return found


def structure(run_: RunDir, chains: int = 2, shift: float = 0.0) -> gemmi.Structure:
    """A prediction: the design turned, its binder moved away by `shift` Å; pLDDT of 91."""
    turn = random_rotations(np.random.default_rng(0), 1)[0]
    made = gemmi.read_structure(str(run_.cif(0)))
    for chain in made[0]:
        for residue in chain:
            residue.seqid = gemmi.SeqId(residue.label_seq or 0, " ")
            for atom in residue:
                place = np.array(atom.pos.tolist())
                place[0] += shift * (chain.name == "B0")
                atom.pos = gemmi.Position(*(place @ turn + 7))
                atom.b_iso = 91
    for chain, letter in zip(list(made[0]), "AB", strict=True):
        chain.name = letter
    if chains == 1:
        made[0].remove_chain("A")
    return made


def save(made: gemmi.Structure, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".pdb":
        made.write_pdb(str(path))
        return
    made.setup_entities()
    made.assign_label_seq_id()
    made.make_mmcif_document().write_file(str(path))


def errors_of(run_: RunDir) -> np.ndarray:
    """PAE: 1 within the target, 2 within the binder, 5 and 7 between them."""
    target, binder = (len(chain) for chain in read_chains("x", run_.cif(0).read_bytes()))
    pae = np.ones((target + binder, target + binder))
    pae[target:, target:] = 2
    pae[:target, target:], pae[target:, :target] = 5, 7
    return pae


def boltz(folder: Path, pae: np.ndarray) -> Written:
    folder = folder / "boltz_results_x" / "predictions" / NAME
    folder.mkdir(parents=True)
    told = {"confidence_score": 0.85, "ptm": PTM, "iptm": IPTM, "complex_plddt": 0.9}
    (folder / f"confidence_{NAME}_model_0.json").write_text(json.dumps(told))
    np.savez(folder / f"pae_{NAME}_model_0.npz", pae=pae)
    return folder / f"{NAME}_model_0.cif", folder


def protenix(folder: Path, pae: np.ndarray, seed: str = "") -> Written:
    name = NAME + seed
    folder = folder / NAME / "seed_101" / "predictions"
    folder.mkdir(parents=True)
    told = {"plddt": 91.0, "gpde": 0.4, "ptm": PTM, "iptm": IPTM, "has_clash": False}
    (folder / f"{name}_summary_confidence_sample_0.json").write_text(json.dumps(told))
    full = {"token_pair_pae": pae.tolist(), "atom_plddt": []}
    (folder / f"{name}_full_data_sample_0.json").write_text(json.dumps(full))
    return folder / f"{name}_sample_0.cif", folder


def protenix_with_seed(folder: Path, pae: np.ndarray) -> Written:
    """As its docs/infer_json_format.md names files since 2025: with the seed."""
    return protenix(folder, pae, seed="_101")


def af3(folder: Path, pae: np.ndarray) -> Written:
    folder = folder / NAME
    sample = f"{NAME}_seed-1_sample-0"
    (folder / "seed-1_sample-0").mkdir(parents=True)
    told = {"iptm": IPTM, "ptm": PTM, "chain_pair_iptm": [[0.9, IPTM], [IPTM, 0.9]]}
    for place, name in ((folder, NAME), (folder / "seed-1_sample-0", sample)):
        (place / f"{name}_summary_confidences.json").write_text(json.dumps(told))
        (place / f"{name}_confidences.json").write_text(json.dumps({"pae": pae.tolist()}))
    return folder / f"{NAME}_model.cif", folder


def af3_server(folder: Path, pae: np.ndarray) -> Written:
    folder.mkdir(parents=True)
    told = {"iptm": IPTM, "ptm": PTM, "ranking_score": 0.9}
    (folder / f"fold_{NAME}_summary_confidences_0.json").write_text(json.dumps(told))
    (folder / f"fold_{NAME}_full_data_0.json").write_text(json.dumps({"pae": pae.tolist()}))
    return folder / f"fold_{NAME}_model_0.cif", folder


def colabfold(folder: Path, pae: np.ndarray) -> Written:
    folder.mkdir(parents=True)
    model = "rank_001_alphafold2_multimer_v3_model_1_seed_000"
    told = {"plddt": [91.0] * len(pae), "max_pae": 31, "pae": pae.tolist()}
    told |= {"ptm": PTM, "iptm": IPTM}
    (folder / f"{NAME}_scores_{model}.json").write_text(json.dumps(told))
    return folder / f"{NAME}_unrelaxed_{model}.pdb", folder


def chai(folder: Path, pae: np.ndarray) -> Written:
    folder = folder / NAME
    folder.mkdir(parents=True)
    np.savez(
        folder / "scores.model_idx_0.npz",
        aggregate_score=np.array([0.8]),
        ptm=np.array([PTM], np.float32),
        iptm=np.array([IPTM], np.float32),
    )
    return folder / "pred.model_idx_0.cif", folder


PREDICTORS = (boltz, protenix, protenix_with_seed, af3, colabfold, chai)


def rows_of(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(path.read_text().splitlines()))


@pytest.mark.parametrize("write", PREDICTORS, ids=lambda write: write.__name__)
def test_each_predictors_files_are_read(
    write: Callable[[Path, np.ndarray], Written], design: RunDir, tmp_path: Path
) -> None:
    path, _ = write(tmp_path / "predicted", errors_of(design))
    save(structure(design, shift=3), path)
    done = run("px-score", design.path, "--predictions", tmp_path / "predicted")
    assert done.returncode == 0, done.stderr
    (row,) = rows_of(design.path / "predictions.csv")
    assert row["design"] == "bpti_sample_0" and row["number"] == "1"
    assert row["predictor"] == write.__name__.removesuffix("_with_seed")
    assert float(row["iptm"]) == pytest.approx(IPTM) and float(row["ptm"]) == pytest.approx(PTM)
    assert float(row["plddt"]) == pytest.approx(0.91)
    assert row["ipae"] == ("" if write is chai else "6.0")
    assert float(row["bound_rmsd"]) < 0.005 and float(row["pose_rmsd"]) == pytest.approx(
        3, abs=0.01
    )
    assert row["alone_rmsd"] == ""
    scored = {row["design"]: row for row in rows_of(design.path / "summary.csv")}
    best = scored["bpti_sample_0"]
    assert best["predictor"] == row["predictor"] and float(best["iptm"]) == pytest.approx(IPTM)
    wanted = "af2_easy af2" if write is colabfold else "protenix protenix_basic"
    assert (best["filters"], best["bucket"]) == (wanted, "7" if write is colabfold else "5")
    assert scored["bpti_sample_1"]["predictor"] == scored["bpti_sample_1"]["bucket"] == ""
    before = (design.path / "summary.csv").read_bytes()
    assert run("px-score", design.path).returncode == 0
    assert (design.path / "summary.csv").read_bytes() == before


def test_the_server_of_af3_and_all_its_samples(design: RunDir, tmp_path: Path) -> None:
    path, _ = af3_server(tmp_path / "server", errors_of(design))
    save(structure(design), path)
    (output,) = outputs_in(tmp_path / "server")
    assert (output.predictor, output.name, output.model) == ("af3", f"fold_{NAME}", "0")
    path, folder = af3(tmp_path / "local", errors_of(design))
    for place in (path, folder / "seed-1_sample-0" / f"{NAME}_seed-1_sample-0_model.cif"):
        save(structure(design), place)
    found = [(o.name, o.model) for o in outputs_in(tmp_path / "local")]
    assert sorted(found) == [(NAME, "best"), (NAME, "seed-1_sample-0")]


def test_samples_of_af3s_first_version_are_named_by_their_folders(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sample = tmp_path / NAME / "seed-1_sample-4"
    sample.mkdir(parents=True)
    for name in ("summary_confidences.json", "confidences.json", "model.cif"):
        (sample / name).touch()
    (output,) = outputs_in(tmp_path)
    assert (output.predictor, output.name, output.model) == ("af3", NAME, "seed-1_sample-4")
    assert output.structure == sample / "model.cif"
    assert output.errors == sample / "confidences.json"
    monkeypatch.chdir(sample)
    (output,) = outputs_in(Path())
    assert (output.name, output.model) == (NAME, "seed-1_sample-4")


def test_colabfolds_first_names_are_read(tmp_path: Path) -> None:
    """Its early versions wrote neither ipTM nor a seed; theirs of 3G5O in its utils/ is so."""
    name = "3G5O_A_3G5O_B_unrelaxed_rank_1_model_1"
    pae = np.round(30 * np.random.default_rng(0).random((18, 18)), 2)
    told = {"max_pae": 31.75, "pae": pae.tolist(), "plddt": [90.0] * 18, "ptm": 0.88}
    (tmp_path / f"{name}_scores.json").write_text(json.dumps(told))
    (tmp_path / f"{name}.pdb").touch()
    output = recognised(tmp_path / f"{name}_scores.json")
    assert output and output.predictor == "colabfold" and output.name == "3G5O_A_3G5O_B"
    assert output.structure == tmp_path / f"{name}.pdb"
    found = read_confidence(output)
    assert (found.iptm, found.ptm) == (None, 0.88)
    assert found.pae is not None
    np.testing.assert_allclose(found.pae, pae, atol=1e-5)


def test_a_binder_predicted_alone(design: RunDir, tmp_path: Path) -> None:
    for part, chains in (("complex", 2), ("alone", 1)):
        path, _ = boltz(tmp_path / "predicted" / part, errors_of(design))
        save(structure(design, chains=chains), path)
    done = run("px-score", design.path, "--predictions", tmp_path / "predicted")
    assert done.returncode == 0, done.stderr
    (row,) = rows_of(design.path / "predictions.csv")
    assert float(row["alone_rmsd"]) < 0.005 and float(row["iptm"]) == pytest.approx(IPTM)


@pytest.mark.parametrize(
    "text",
    [
        b"{",
        b"[]",
        b"null",
        b'{"iptm": 3}',
        b'{"iptm": "high"}',
        b'{"iptm": 1%s}' % (b"0" * 400),
        b'{"pae": [[1, 2]]}',
        b'{"pae": "x"}',
    ],
)
def test_what_is_damaged_is_left_out_and_said(text: bytes, design: RunDir, tmp_path: Path) -> None:
    path, folder = colabfold(tmp_path / "predicted", errors_of(design))
    save(structure(design), path)
    (scores,) = folder.glob("*_scores_*.json")
    scores.write_bytes(text)
    with pytest.raises(DamagedError):
        output = recognised(scores)
        assert output
        read_confidence(output)
    done = run("px-score", design.path, "--predictions", folder)
    assert done.returncode == 0 and "this prediction is left out" in done.stderr
    assert not rows_of(design.path / "predictions.csv")


@pytest.mark.parametrize("text", ["null", "5", "[1]"])
def test_errors_of_another_shape_are_damaged(text: str, design: RunDir, tmp_path: Path) -> None:
    path, folder = af3(tmp_path, errors_of(design))
    path.touch()
    (folder / f"{NAME}_confidences.json").write_text(text)
    output = recognised(folder / f"{NAME}_summary_confidences.json")
    assert output
    with pytest.raises(DamagedError, match="no confidences by name"):
        read_confidence(output)


def test_what_cannot_be_compared_is_said(design: RunDir, tmp_path: Path) -> None:
    """A PAE with a ligand's tokens, a binder that lost a residue."""
    wider = np.pad(errors_of(design), (0, 3))
    path, _ = boltz(tmp_path / "predicted", wider)
    made = structure(design)
    del made[0]["B"][-1]
    save(made, path)
    done = run("px-score", design.path, "--predictions", tmp_path / "predicted")
    assert done.returncode == 0, done.stderr
    n = len(wider) - 3
    assert f"PAE of {n + 3} tokens, {n - 1} residues: no ipAE" in done.stderr
    length = len(read_chains("x", design.cif(0).read_bytes())[-1])
    said = f"its last chain has {length - 1} residues, the binder {length}: no RMSD"
    assert said in done.stderr
    (row,) = rows_of(design.path / "predictions.csv")
    assert row["ipae"] == row["bound_rmsd"] == row["pose_rmsd"] == "" != row["iptm"]


def test_a_prediction_of_other_letters_is_of_another_run(design: RunDir, tmp_path: Path) -> None:
    """Runs of other seeds have designs of the same names."""
    path, _ = boltz(tmp_path / "predicted", errors_of(design))
    save(structure(design), path)
    n = len(read_chains("x", design.cif(0).read_bytes())[-1])
    unsure = run("px-score", design.path, "--predictions", tmp_path / "predicted")
    assert "1 predictions are taken by their names alone" in unsure.stderr
    (design.path / "predictions.csv").unlink()
    made = sequences.Sequence(
        design=NAME.partition("_seq")[0],
        number=1,
        sequence="",
        score=1.0,
        global_score=1.0,
        temperature=0.1,
        weights="vanilla",
        seed=1,
        made_from="x",
        run=RunJson.read(design).record.identity,
    )
    for letter, number, taken in (("W", 1, False), ("W", 0, False), ("G", 1, True)):
        row = replace(made, sequence=n * letter, number=number)
        sequences.table(design.path).write([row])
        done = run("px-score", design.path, "--predictions", tmp_path / "predicted")
        assert ("1 predictions named after its designs have other" in done.stderr) != taken
        assert (len(rows_of(design.path / "predictions.csv")) == 1) == taken


def test_a_pickled_array_is_not_loaded(tmp_path: Path) -> None:
    np.savez(tmp_path / "scores.model_idx_0.npz", iptm=np.array([{}], object))
    (tmp_path / "pred.model_idx_0.cif").touch()
    (output,) = outputs_in(tmp_path)
    assert isinstance(output, Output)
    with pytest.raises(DamagedError):
        read_confidence(output)


def test_predictions_of_nothing_are_said(design: RunDir, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    done = run("px-score", design.path, "--predictions", tmp_path / "empty")
    assert done.returncode == 0 and "no prediction there is named after a design" in done.stderr
    assert run("px-score", design.path, "--predictions", tmp_path / "no").returncode == 2


@pytest.mark.parametrize(
    "names, number",
    [
        ("af2 af2_easy protenix protenix_basic", 1),
        ("af2 protenix_basic", 2),
        ("af2_easy protenix protenix_basic", 3),
        ("af2_easy protenix_basic", 4),
        ("protenix protenix_basic", 5),
        ("protenix_basic", 6),
        ("af2 af2_easy", 7),
        ("af2_easy", 8),
        ("", 9),
    ],
)
def test_buckets_are_those_of_the_published_ranking(names: str, number: int) -> None:
    assert bucket(set(names.split())) == number


def prediction(**values: object) -> Prediction:
    held = {"iptm": 0.9, "ptm": 0.9, "plddt": 0.95, "ipae": 3.0, "bound_rmsd": 1.0} | values
    held = {"predictor": "colabfold", **held}
    return Prediction(design="x", model="0", run="r", **held)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "values, names",
    [
        ({}, "af2 af2_easy"),
        ({"ipae": 7.0}, "af2_easy"),
        ({"ipae": 10.85}, ""),
        ({"ipae": None}, ""),
        ({"plddt": 0.9}, "af2_easy"),
        ({"iptm": 0.5}, "af2"),
        ({"bound_rmsd": 1.5}, "af2_easy"),
        ({"predictor": "protenix"}, "protenix protenix_basic"),
        ({"predictor": "protenix", "ptm": 0.88}, "protenix_basic"),
        ({"predictor": "protenix", "iptm": 0.8}, ""),
        ({"predictor": "boltz", "bound_rmsd": 2.5}, ""),
    ],
)
def test_published_limits(values: dict[str, object], names: str) -> None:
    assert passed([prediction(**values)], standard_limits().filters) == {"x": set(names.split())}


def test_filters_of_ones_own(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(
        "checks: {}\nfilters: {mine: {predictors: [colabfold], limits: [{of: ptm, low: 1}]}}"
    )
    assert passed([prediction(ptm=1.0)], read_limits(path).filters) == {"x": {"mine"}}
    path.write_text("checks: {}")
    assert read_limits(path).filters == standard_limits().filters
