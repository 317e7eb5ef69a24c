"""The PyTorch checkpoint reader: recorded numbers from torch's own file; hostile files refused."""

import io
import json
import os
import pickle
import shutil
import struct
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path

import mlx.core as mx
import numpy as np
import pytest
from conftest import DATA, load
from processes import TINY, run, small_run, write_task
from tiny_model import assert_close, tiny_weights

from pxtools.conversion import pxdesign
from pxtools.conversion.protein_mpnn import as_safetensors
from pxtools.conversion.torch_file import read_checkpoint
from pxtools.errors import InputError
from pxtools.network.config import Config
from pxtools.network.features import Features
from pxtools.network.weights import load_network, read_model
from pxtools.structure.residues import residue_types
from pxtools.task.design import prepare
from pxtools.task.reading import read_tasks
from pxtools.task.target import read_target

CHECKPOINT = DATA / "tiny" / "checkpoint.pt"


class Global:
    """Pickles as a reference to module.name."""

    def __init__(self, module: str, name: str) -> None:
        self.module, self.name = module, name


class Call:
    """Pickles as function(*arguments)."""

    def __init__(self, function: Global, *arguments: object) -> None:
        self.function, self.arguments = function, arguments


class Stored:
    """A torch storage: class, key, numel."""

    def __init__(self, kind: str, key: str, numel: int) -> None:
        self.pid = ("storage", Global("torch", kind), key, "cpu", numel)


class TorchPickler(pickle._Pickler):
    """The pure Python pickler, taught to write what torch.save writes."""

    def persistent_id(self, obj: object) -> object:
        return obj.pid if isinstance(obj, Stored) else None

    def save(self, obj: object, save_persistent_id: bool = True) -> None:
        if isinstance(obj, Global):
            self.write(f"c{obj.module}\n{obj.name}\n".encode())  # type: ignore[attr-defined]
        elif isinstance(obj, Call):
            self.save(obj.function)
            self.save(obj.arguments)
            self.write(pickle.REDUCE)  # type: ignore[attr-defined]
        else:
            super().save(obj, save_persistent_id)  # type: ignore[misc]


REBUILD = Global("torch._utils", "_rebuild_tensor_v2")


def tensor(
    kind: str,
    key: str,
    numel: int,
    shape: tuple[int, ...],
    stride: tuple[int, ...],
    offset: int = 0,
) -> Call:
    return Call(REBUILD, Stored(kind, key, numel), offset, shape, stride, False, {})


def write_pt(
    path: Path,
    tree: object,
    storages: dict[str, bytes],
    *,
    order: bytes = b"little",
    extra: Iterable[str] = (),
) -> Path:
    """A .pt file as torch.save lays it out."""
    data = io.BytesIO()
    TorchPickler(data, 2).dump(tree)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("archive/data.pkl", data.getvalue())
        archive.writestr("archive/version", b"3\n")
        archive.writestr("archive/byteorder", order)
        for key, raw in storages.items():
            archive.writestr(f"archive/data/{key}", raw)
        for name in extra:
            archive.writestr(name, b"x")
    return path


def write_state(
    path: Path, weights: dict[str, np.ndarray], kind: str = "FloatStorage", dtype: str = "<f4"
) -> Path:
    tree, storages = {}, {}
    for i, (name, w) in enumerate(weights.items()):
        strides = tuple(int(np.prod(w.shape[k + 1 :])) for k in range(w.ndim))
        tree["module." + name] = tensor(kind, str(i), w.size, tuple(w.shape), strides)
        storages[str(i)] = w.astype(dtype).tobytes()
    return write_pt(path, {"model": tree}, storages)


def test_torchs_file_gives_the_same_weights() -> None:
    ours = read_checkpoint(CHECKPOINT)
    theirs = tiny_weights()
    assert sorted(ours) == sorted(theirs)
    for name, w in theirs.items():
        np.testing.assert_array_equal(ours[name], np.array(w))


def test_the_converted_checkpoint_gives_the_recorded_numbers(
    tmp_path: Path, features: Features
) -> None:
    done = run("px-convert-checkpoint", CHECKPOINT, "-o", tmp_path / "model")
    assert done.returncode == 0, done.stderr
    model = read_model(str(tmp_path / "model"))
    assert done.stdout.strip() == str(model.path) and "sha256" in done.stderr
    assert model.config == Config.from_dict(json.loads((DATA / "tiny/config.json").read_text()))
    card = (tmp_path / "model" / "model_card.md").read_text()
    assert "Chemical Component Dictionary, not those it was trained with" in card
    network = load_network(model)
    condition = network.condition(features, load("features/bpti.npz")["ref_pos"])
    recorded = load("tiny/modules_bpti.npz")
    out = network.denoise(mx.array(recorded["x_noisy@16"]), 16.0, condition)
    assert_close(out, recorded["x_denoised@16"])


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_the_size(tmp_path: Path, dtype: str) -> None:
    sizes = []
    for kind in ("float32", dtype):
        out = tmp_path / kind
        assert run("px-convert-checkpoint", CHECKPOINT, "-o", out, "--dtype", kind).returncode == 0
        sizes.append((out / "model.safetensors").stat().st_size)
    assert sizes[1] < 0.6 * sizes[0]
    load_network(read_model(str(tmp_path / dtype)))


def test_weights_that_the_precision_cannot_hold_are_refused(tmp_path: Path) -> None:
    weights = {name: np.array(weight) for name, weight in tiny_weights().items()}
    name = sorted(weights)[100]
    weights[name] = weights[name] + np.float32(1e6)
    with pytest.raises(InputError, match=f"{name}: too large for float16"):
        pxdesign.convert(CHECKPOINT, weights, tmp_path / "out", "float16", "all", None)
    assert not list((tmp_path / "out").iterdir())
    with pytest.raises(InputError, match="w: too large for float16"):
        as_safetensors({"w": np.array([1e6], np.float32)}, {}, "float16")


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_weights_that_are_no_numbers_are_refused(tmp_path: Path, bad: float) -> None:
    weights = tiny_weights()
    name = sorted(weights)[100]
    weights[name] = mx.where(
        mx.arange(weights[name].size).reshape(weights[name].shape) == 7, bad, 0
    )
    mx.save_safetensors(str(tmp_path / "model.safetensors"), weights)
    shutil.copy(DATA / "tiny/config.json", tmp_path)
    with pytest.raises(InputError, match=f"{name}: expected finite weights"):
        load_network(read_model(str(tmp_path / "model.safetensors")))


@pytest.mark.slow
def test_a_broken_model_leaves_no_run_that_the_repaired_one_would_not_go_on_with(
    tmp_path: Path,
) -> None:
    words, folder = small_run(tmp_path, n=1, steps=1)
    words[words.index("-m") + 1] = tmp_path / "model.safetensors"
    shutil.copy(DATA / "tiny/config.json", tmp_path)
    whole = (DATA / "tiny/weights.safetensors").read_bytes()
    (tmp_path / "model.safetensors").write_bytes(whole[:-9])
    refused = run("px-sample", *words)
    assert refused.returncode == 2 and "weights and configuration do not agree" in refused.stderr
    assert not folder.exists()
    (tmp_path / "model.safetensors").write_bytes(whole)
    done = run("px-sample", *words)
    assert done.returncode == 0, done.stderr


def with_header(folder: Path, header: bytes) -> Path:
    path = folder / "model.safetensors"
    path.write_bytes(struct.pack("<Q", len(header)) + header)
    return path


@pytest.mark.parametrize(
    ("header", "told"),
    [
        (b"5", "header: expected names and values, found 5"),
        (b"[" * 200_000, "recursion"),
        (b'{"__metadata__": ["config"]}', "metadata: expected names and values"),
        (b'{"__metadata__": "config conformers"}', "metadata: expected names and values"),
        (b'{"a": 5}', "tensor: expected names and values, found 5"),
        (b'{"a": {"dtype": "F32"}}', "a tensor has no 'shape'"),
        (b'{"a": {"shape": 3}}', "not a readable .safetensors file"),
        (b'{"a": ', "not a readable .safetensors file"),
    ],
)
def test_files_of_another_shape_are_refused(tmp_path: Path, header: bytes, told: str) -> None:
    path = with_header(tmp_path, header)
    shutil.copy(DATA / "tiny/config.json", tmp_path)
    with pytest.raises(InputError) as refused:
        read_model(str(path))
    assert told in str(refused.value) and "\n" not in str(refused.value)


SIGMAS = [b'"16"', b"NaN", b"0", b"-1", b"Infinity", b"1e-300", b"true", b"1" + b"0" * 400]


@pytest.mark.parametrize(
    "configuration",
    [b"\xff", b"[" * 200_000, b"5", b"null", *(b'{"sigma_data": %s}' % s for s in SIGMAS)],
)
def test_configurations_of_another_shape_are_refused(tmp_path: Path, configuration: bytes) -> None:
    path = with_header(tmp_path, b"{}")
    (tmp_path / "config.json").write_bytes(configuration)
    with pytest.raises(InputError, match="not a model's configuration"):
        read_model(str(path))


def test_a_converted_release_is_the_default(tmp_path: Path) -> None:
    words, folder = small_run(tmp_path, n=1, steps=2)
    at = words.index("-m")
    weights = tmp_path / "weights"
    run("px-convert-checkpoint", CHECKPOINT, "-o", weights / "pxdesign_v0.1.0")
    import subprocess

    from processes import command, environment

    done = subprocess.run(
        command("px-sample", *words[:at], *words[at + 2 :]),
        env=environment(PXTOOLS_WEIGHTS=str(weights)),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0 and "Model pxdesign_v0.1.0" in done.stderr
    assert " pxdesign_v0.1.0 " in run("px-status", tmp_path / "out").stdout
    record = json.loads((folder / "run.json").read_text())
    assert record["model"]["name"] == "pxdesign_v0.1.0"


def test_strided_shared_and_big_endian_storages(tmp_path: Path) -> None:
    raw = np.arange(12, dtype=np.float32)
    tree = {
        "whole": tensor("FloatStorage", "0", 12, (3, 4), (4, 1)),
        "transposed": tensor("FloatStorage", "0", 12, (4, 3), (1, 4)),
        "part": tensor("FloatStorage", "0", 12, (2,), (5,), 3),
        "half": tensor("HalfStorage", "1", 2, (2,), (1,)),
        "brain": tensor("BFloat16Storage", "2", 2, (2,), (1,)),
        "scalar": tensor("FloatStorage", "0", 12, (), (), 7),
    }
    brain = (np.array([1.5, -2.0], np.float32).view(np.uint32) >> 16).astype(np.uint16)
    for order, sign in ((b"little", "<"), (b"big", ">")):
        storages = {
            "0": raw.astype(sign + "f4").tobytes(),
            "1": np.array([0.5, 3], sign + "f2").tobytes(),
            "2": brain.astype(sign + "u2").tobytes(),
        }
        read = read_checkpoint(write_pt(tmp_path / "x.pt", tree, storages, order=order))
        np.testing.assert_array_equal(read["whole"], raw.reshape(3, 4))
        np.testing.assert_array_equal(read["transposed"], raw.reshape(3, 4).T)
        np.testing.assert_array_equal(read["part"], [3, 8])
        np.testing.assert_array_equal(read["half"], [0.5, 3])
        np.testing.assert_array_equal(read["brain"], [1.5, -2])
        assert read["scalar"] == 7


def nested_class() -> Call:
    return Call(Global("pxtools.conversion.torch_file", "_Unpickler.find_class"), "x")


ONE = {"0": np.zeros(4, np.float32).tobytes()}
HOSTILE = {
    "os.system": (
        {"model": Call(Global("os", "system"), "touch {marker}")},
        ONE,
        "os.system",
    ),
    "posix.system": (
        {"model": Call(Global("posix", "system"), "touch {marker}")},
        ONE,
        "posix.system",
    ),
    "builtins.eval": ({"model": Call(Global("builtins", "eval"), "1")}, ONE, "builtins.eval"),
    "getattr": ({"model": Call(Global("builtins", "getattr"), "a", "b")}, ONE, "getattr"),
    "nested class": ({"model": nested_class()}, ONE, "_Unpickler.find_class"),
    "torch.load": ({"model": Call(Global("torch", "load"), "x")}, ONE, "torch.load"),
    "storage too large": (
        {"w": tensor("FloatStorage", "0", 10**9, (10**9,), (1,))},
        ONE,
        "holds 16 bytes",
    ),
    "beyond the storage": (
        {"w": tensor("FloatStorage", "0", 4, (2, 4), (4, 1))},
        ONE,
        "beyond its storage",
    ),
    "negative stride": ({"w": tensor("FloatStorage", "0", 4, (2,), (-1,))}, ONE, "impossible"),
    "negative offset": ({"w": tensor("FloatStorage", "0", 4, (2,), (1,), -2)}, ONE, "impossible"),
    "no storage": ({"w": tensor("FloatStorage", "9", 4, (4,), (1,))}, ONE, "holds 0 bytes"),
    "integers": ({"w": tensor("IntStorage", "0", 4, (4,), (1,))}, ONE, "float32"),
    "a list": ([1, 2], ONE, "state dict"),
    "a number for a tensor": ({"w": 3}, ONE, "expected a tensor"),
    "an empty state": ({}, ONE, "state dict"),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_files_are_refused(case: str, tmp_path: Path) -> None:
    tree, storages, part = HOSTILE[case]
    marker = tmp_path / "marker"
    call = tree.get("model") if isinstance(tree, dict) else None
    if isinstance(call, Call):
        call.arguments = tuple(str(a).replace("{marker}", str(marker)) for a in call.arguments)
    path = write_pt(tmp_path / "bad.pt", tree, storages)
    done = run("px-convert-checkpoint", path, "-o", tmp_path / "model")
    assert done.returncode == 2, done.stderr
    assert part in done.stderr and "Traceback" not in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not marker.exists() and not (tmp_path / "model").exists()


def test_the_hostile_files_would_have_worked(tmp_path: Path) -> None:
    """The pickles above are real: Python's own unpickler executes them."""
    data = io.BytesIO()
    TorchPickler(data, 2).dump(Call(Global("os", "getpid")))
    assert pickle.loads(data.getvalue()) == os.getpid()


def test_paths_that_leave_the_archive_are_refused(tmp_path: Path) -> None:
    tree = {"w": tensor("FloatStorage", "0", 4, (4,), (1,))}
    for name in ("../evil", "archive/../../evil", "/etc/evil"):
        path = write_pt(tmp_path / "bad.pt", tree, ONE, extra=[name])
        with pytest.raises(InputError, match="leaves the archive"):
            read_checkpoint(path)


@pytest.mark.filterwarnings("ignore")
def test_any_damage_is_an_input_error(tmp_path: Path) -> None:
    whole = CHECKPOINT.read_bytes()
    rng = np.random.default_rng(0)
    path = tmp_path / "bad.pt"
    for i in range(60):
        data = bytearray(whole)
        if i % 2:
            data = data[: rng.integers(len(data))]
        else:
            for at in rng.integers(0, len(data), 40):
                data[at] ^= int(rng.integers(1, 256))
        path.write_bytes(data)
        try:
            read_checkpoint(
                path
            )  # a flipped bit in the numbers alone cannot be seen (no CRC error)
        except InputError as error:
            assert "\n" not in str(error)
    for nothing in (b"", b"PK", struct.pack("<Q", 5) * 9):
        path.write_bytes(nothing)
        with pytest.raises(InputError):
            read_checkpoint(path)


def test_missing_unknown_and_misshaped_tensors_are_listed(tmp_path: Path) -> None:
    weights = {k: np.array(w) for k, w in tiny_weights().items()}
    names = sorted(weights)
    first, second = (
        (n for n in names if n.endswith("linear_o.weight") and "blocks.0" in n),
        names[-1],
    )
    missing = next(first)
    weights.pop(missing)
    weights["something.else"] = np.zeros(3, np.float32)
    weights[second] = np.zeros((7, 7), np.float32)
    path = write_state(tmp_path / "x.pt", weights)
    done = run("px-convert-checkpoint", path, "-o", tmp_path / "model")
    assert done.returncode == 2
    for part in (f"missing: {missing}", "unknown: something.else", f"{second} has shape [7, 7]"):
        assert part in done.stderr
    assert not (tmp_path / "model").exists()


@pytest.mark.slow
def test_a_full_size_checkpoint_converts_in_time_and_memory(tmp_path: Path) -> None:
    """556 MB, from the writer above (PyTorch 2.13 reads its files too)."""
    import resource

    parameters = json.loads((DATA / "full/parameters.json").read_text())
    weights = {k: np.full(shape, 0.01, np.float32) for k, (shape, *_) in parameters.items()}
    path = write_state(tmp_path / "full.pt", weights)
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = run("px-convert-checkpoint", path, "-o", tmp_path / "model")
    assert done.returncode == 0, done.stderr
    assert "16 blocks x 16 heads, token width 768" in done.stderr
    assert read_model(str(tmp_path / "model")).config == Config()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert after.ru_utime - before.ru_utime < 60  # of a core; 30 s is the aim
    assert after.ru_maxrss < 3e6


def pickled_molecules(path: Path, change: Callable[..., None] | None = None) -> Path:
    """A cache as Protenix writes it: code -> molecule with atom_map, ref_conf_id, ref_mask."""
    chem = pytest.importorskip("rdkit.Chem")
    from rdkit.Geometry import Point3D

    molecules = {}
    for name, kind in residue_types().items():
        molecule = chem.RWMol()
        conformer = chem.Conformer(len(kind.atoms))
        for i, element in enumerate(kind.elements):
            molecule.AddAtom(chem.Atom(element))
            conformer.SetAtomPosition(i, Point3D(*(kind.ideal[i] * 1.01)))
        molecule = molecule.GetMol()
        molecule.ref_conf_id = molecule.AddConformer(conformer, assignId=True)
        molecule.atom_map = {atom: i for i, atom in enumerate(kind.atoms)}
        molecule.ref_mask = np.ones(len(kind.atoms), bool)
        molecules[name] = molecule
    if change:
        change(molecules)
    path.write_bytes(pickle.dumps(molecules))
    return path


def test_the_conformers_of_a_ccd_cache_travel_with_the_model(tmp_path: Path) -> None:
    cache = pickled_molecules(tmp_path / "components.rdkit_mol.pkl")
    out = tmp_path / "model"
    done = run("px-convert-checkpoint", CHECKPOINT, "-o", out, "--ccd-cache", cache)
    assert done.returncode == 0, done.stderr
    assert "with RDKit's own unpickler" in done.stderr
    model = read_model(str(out))
    assert model.conformers
    for name, kind in residue_types().items():
        np.testing.assert_allclose(model.conformers[name], kind.ideal * 1.01, atol=1e-3)
    task = write_task(tmp_path)
    read = read_tasks(str(task))[0]
    plain, own = (
        prepare(read, read_target(read), m).features.ref_pos for m in (read_model(TINY), model)
    )
    np.testing.assert_allclose(own, plain * 1.01, atol=1e-3)
    assert model.digest != read_model(TINY).digest


@pytest.mark.slow
def test_hostile_ccd_caches_are_refused(tmp_path: Path) -> None:
    pytest.importorskip("rdkit")
    marker = tmp_path / "marker"
    data = io.BytesIO()
    TorchPickler(data, 2).dump({"ALA": Call(Global("os", "system"), f"touch {marker}")})
    for raw in (data.getvalue(), b"", b"\x80\x04K\x01.", pickle.dumps({"ALA": 1})):
        (tmp_path / "bad.pkl").write_bytes(raw)
        words = [CHECKPOINT, "-o", tmp_path / "model", "--ccd-cache", tmp_path / "bad.pkl"]
        done = run("px-convert-checkpoint", *words)
        assert done.returncode == 2 and "Traceback" not in done.stderr, done.stderr
        assert not marker.exists() and not (tmp_path / "model").exists()
