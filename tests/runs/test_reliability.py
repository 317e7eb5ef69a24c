"""A short version of `just faults`, and the faults that need no process of their own."""

import gzip
import json
import os
import resource
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

import mlx.core as mx
import numpy as np
import pytest
from faults import (
    CHUNK,
    FAULTS,
    SAMPLES,
    STEPS,
    Fault,
    assert_same,
    make_reference,
    run_folder,
    try_fault,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from processes import command, environment, run, sample_and_write, small_run, write_task

from pxtools.errors import DamagedError, InputError
from pxtools.network import ops
from pxtools.network.pxdesign import Condition
from pxtools.runs.chunk import pack_chunk, read_chunk, unpack_chunk
from pxtools.runs.design_cif import cif_writer
from pxtools.runs.designs import samples_of
from pxtools.runs.folder import RunDir
from pxtools.runs.inventory import inspect
from pxtools.runs.record import RunJson
from pxtools.runs.seal import DIGEST_BYTES, pack_array, seal

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_reference(tmp_path_factory.mktemp("reference"))


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
def test_fault(fault: Fault, reference: Path) -> None:
    if fault.__name__ == "disk_full" and not hasattr(resource, "prlimit"):
        pytest.skip("this system cannot limit a running process")
    times = 3 if fault.__name__ in ("truncated", "flipped") else 1
    for seed in range(1000, 1000 + times):
        try_fault(fault, reference, seed)


def copied(reference: Path, tmp_path: Path) -> tuple[list[Any], Path]:
    shutil.copytree(reference, tmp_path, dirs_exist_ok=True)
    words, folder = small_run(tmp_path, n=SAMPLES, chunk=CHUNK, steps=STEPS)
    return words, folder


def test_a_kill_between_the_last_chunk_and_its_state_leaves_no_state_behind(
    reference: Path, tmp_path: Path
) -> None:
    words, folder = copied(reference, tmp_path)
    (folder / "chunks" / "samples_2-2.state").write_bytes(b"of a chunk that is there by now")
    assert run("px-sample", *words).returncode == 0
    assert_same(tmp_path, reference)


def test_a_write_that_was_cut_off_is_removed_after_an_hour(reference: Path, tmp_path: Path) -> None:
    words, folder = copied(reference, tmp_path)
    old, fresh = (folder / "chunks" / f".samples_2-2.msgpack.{pid}.tmp" for pid in (1, 2))
    for path in (old, fresh):
        path.write_bytes(b"half a chu")
    os.utime(old, (time.time() - 3700, time.time() - 3700))
    assert run("px-sample", *words).returncode == 0
    assert fresh.exists() and not old.exists()  # another process may still write the fresh one


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (["--N_step", STEPS + 1], f"schedule.N_step (was {STEPS}, now {STEPS + 1})"),
        (["--gamma0", 0.5], "schedule.gamma0"),
        (["-m", "nano"], "model.digest"),
        ({"generation": [{"type": "protein", "length": 41}]}, "task.binder_length"),
        ({"hotspot": {"A": [15]}}, "task.chains.A.hotspots"),
    ],
)
def test_a_run_of_other_input_is_refused_and_untouched(
    reference: Path, tmp_path: Path, change: Any, named: str
) -> None:
    words, folder = copied(reference, tmp_path)
    if isinstance(change, dict):
        write_task(tmp_path, **change)
        change = []
    before = {p: (p.stat().st_mtime_ns, p.read_bytes()) for p in folder.rglob("*") if p.is_file()}
    refused = run("px-sample", *words, *change)
    assert refused.returncode == 2 and named in refused.stderr
    assert len(refused.stderr.splitlines()) <= 3  # the model's line, a warning, the error
    assert before == {
        p: (p.stat().st_mtime_ns, p.read_bytes()) for p in folder.rglob("*") if p.is_file()
    }


def test_another_structure_is_refused(reference: Path, tmp_path: Path) -> None:
    words, _ = copied(reference, tmp_path)
    task = json.loads((tmp_path / "bpti.json").read_text())
    text = gzip.decompress(Path(task[0]["condition"]["structure_file"]).read_bytes())
    changed = tmp_path / "5PTI.cif"
    changed.write_bytes(text.replace(b"29.455 1.371", b"29.465 1.371"))
    task[0]["condition"]["structure_file"] = str(changed)
    (tmp_path / "bpti.json").write_text(json.dumps(task))
    refused = run("px-sample", *words)
    assert refused.returncode == 2 and "task.target_digest" in refused.stderr


def test_a_newer_chunk_is_refused_with_its_version(reference: Path, tmp_path: Path) -> None:
    import msgpack

    words, folder = copied(reference, tmp_path)
    path = folder / "chunks" / "samples_0-1.msgpack"
    fields = msgpack.unpackb(path.read_bytes())
    del fields["digest"]
    path.write_bytes(seal(fields | {"version": 2}))
    for refused in (run("px-sample", *words), run("px-write-cif", path)):
        assert refused.returncode == 2 and f"{path}: it is a" in refused.stderr
        assert "version 2" in refused.stderr
    assert path.exists()


def test_a_run_json_of_an_older_version_still_resumes(reference: Path, tmp_path: Path) -> None:
    words, folder = copied(reference, tmp_path)
    record = json.loads((folder / "run.json").read_text())
    del record["digest"], record["versions"], record["schedule"]["gamma_min"]
    (folder / "run.json").write_text(json.dumps(record))
    (folder / "predictions" / "bpti_sample_0.cif").unlink()
    (folder / "chunks" / "samples_0-1.msgpack").unlink()
    assert "2 samples already exist" in sample_and_write(*words)


def test_links_in_the_results_are_refused(reference: Path, tmp_path: Path) -> None:
    for name in ("predictions", "chunks", "run.json", "SUCCESS_FILE", "workers", "sequences"):
        place = tmp_path / name
        place.mkdir()
        words, folder = copied(reference, place)
        outside = place / "outside"
        if name in ("workers", "sequences"):
            (folder / name).mkdir(exist_ok=True)
        (folder / name).rename(outside)
        (folder / name).symlink_to(outside)
        refused = run("px-sample", *words)
        assert refused.returncode == 2 and "found a link" in refused.stderr, name


def test_a_link_in_place_of_a_cif_is_not_written_through(reference: Path, tmp_path: Path) -> None:
    words, folder = copied(reference, tmp_path)
    cif = folder / "predictions" / "bpti_sample_0.cif"
    cif.unlink()
    victim = tmp_path / "victim"
    victim.write_text("precious")
    cif.symlink_to(victim)
    sample_and_write(*words)
    assert victim.read_text() == "precious" and not cif.is_symlink()


def test_a_place_that_cannot_be_written_is_refused_before_computing(tmp_path: Path) -> None:
    words, _ = small_run(tmp_path)
    refused = run("px-sample", *words, "-o", "/proc/nothing")
    assert refused.returncode == 2 and "cannot write there" in refused.stderr
    assert "Diffusion" not in refused.stderr


def run_without_privileges(
    *words: object, tool: str = "pxdesign"
) -> subprocess.CompletedProcess[str]:
    """A tool as a user whom permissions bind, also where the tests run as root."""
    prefix = []
    if os.geteuid() == 0:
        if not shutil.which("setpriv"):
            pytest.skip("root may read and write everything")
        prefix = ["setpriv", "--bounding-set", "-dac_override,-dac_read_search"]
    return subprocess.run(
        [*prefix, *command(tool, *words)],
        capture_output=True,
        text=True,
        env=environment(),
    )


@pytest.mark.parametrize(
    "name", ["chunks/samples_0-1.msgpack", "predictions/bpti_sample_0.cif", "run.json"]
)
def test_what_cannot_be_read_now_is_not_taken_for_damaged(
    reference: Path, tmp_path: Path, name: str
) -> None:
    """A server that is away for a minute must not have good designs made again."""
    words, folder = copied(reference, tmp_path)
    (folder / name).chmod(0)
    refused = run_without_privileges("pipeline", *words)
    assert refused.returncode == 2, refused.stderr
    assert refused.stderr.endswith(f"{folder / name}: cannot read: Permission denied\n")
    assert not list(tmp_path.rglob("*.corrupt"))
    (folder / name).chmod(0o644)
    assert run_without_privileges("pipeline", *words).returncode == 0
    assert_same(tmp_path, reference)


@pytest.mark.parametrize("place", ["", "global_run_0", "global_run_0/bpti"])
def test_a_folder_that_cannot_be_listed_is_not_taken_for_an_empty_one(
    reference: Path, tmp_path: Path, place: str
) -> None:
    copied(reference, tmp_path)
    folder = tmp_path / "out" / place
    folder.chmod(0o300)
    for tool in ("px-status", "px-score", "px-sequence", "px-pick", "px-report"):
        done = run_without_privileges(tmp_path / "out", tool=tool)
        said = f"{tool}: {folder}: cannot list this folder: Permission denied\n"
        assert (done.returncode, done.stderr) == (2, said)
    folder.chmod(0o755)


def test_a_read_only_directory_is_refused_before_computing(tmp_path: Path) -> None:
    words, _ = small_run(tmp_path)
    (tmp_path / "out").mkdir(mode=0o555)
    refused = run_without_privileges("pipeline", *words)
    assert refused.returncode == 2 and "cannot write there: Permission denied" in refused.stderr
    assert "Diffusion" not in refused.stderr and "Traceback" not in refused.stderr


def test_success_only_when_every_cif_parses(reference: Path, tmp_path: Path) -> None:
    words, folder = copied(reference, tmp_path)
    (folder / "chunks" / "samples_0-1.msgpack").unlink()
    cif = folder / "predictions" / "bpti_sample_0.cif"
    from hashlib import sha256

    text = cif.read_bytes().replace(b"ATOM 1 N", b"ATOM 1 N extra")  # sealed, and not mmCIF
    text = text[: text.rindex(b"# px-tools")]
    cif.write_bytes(text + b"# px-tools sha256 " + sha256(text).hexdigest().encode() + b"\n")
    left = run("px-write-cif", folder / "chunks" / "samples_2-2.msgpack")
    assert "set aside" in left.stderr and not (folder / "SUCCESS_FILE").exists()
    sample_and_write(*words)
    assert (folder / "SUCCESS_FILE").exists()


def test_a_sample_that_becomes_nan_is_reported_and_the_rest_kept(
    reference: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from pxtools.network.pxdesign import PXDesignD
    from pxtools.sampling.presets import settings
    from pxtools.sampling.runs import Sampled, SampleRequest, sample
    from pxtools.task.reading import read_tasks

    words, folder = small_run(tmp_path, n=4, chunk=2, steps=5)
    request = SampleRequest(
        tasks=read_tasks(str(words[1])),
        dump_dir=words[3],
        settings=settings(None, N_sample=4, N_step=5, sample_diffusion_chunk_size=2),
        seeds=[7],
        model=words[5],
        quiet=True,
    )
    calls = []
    denoise = PXDesignD.denoise

    def failing(self: PXDesignD, x: mx.array, sigma: float, condition: Condition[Any]) -> mx.array:
        calls.append(sigma)
        out = denoise(self, x, sigma, condition)
        if len(calls) == 3:  # the third step of the first chunk, its second sample
            out = mx.concatenate([out[:1], out[1:] * float("nan")])
        return out

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(PXDesignD, "denoise", failing)
        assert sample(request) == Sampled(failed=1, held_by_others=0)
    said = capsys.readouterr().err
    assert "sample 1: its coordinates became NaN or infinite at step 3" in said
    run_dir = RunDir(folder, "bpti")
    assert inspect(run_dir, RunJson.read(run_dir).record).done == samples_of(run_dir) == {0, 2, 3}
    assert sample(request) == Sampled(failed=0, held_by_others=0)  # the same command again
    assert "[Chunk" not in said


@pytest.fixture(scope="module")
def chunk(reference: Path) -> Path:
    return run_folder(reference) / "chunks" / "samples_0-1.msgpack"


values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)


@settings(max_examples=200)
@given(st.data())
def test_any_sealed_field_is_read_or_refused(chunk: Path, data: st.DataObject) -> None:
    """A chunk whose digest is right may hold anything: read, or refused as damaged."""
    import msgpack

    fields = msgpack.unpackb(chunk.read_bytes())
    del fields["digest"]
    part = fields[data.draw(st.sampled_from(["atoms", "coordinates"]))]
    part = data.draw(st.sampled_from([fields, part]))
    key = data.draw(st.sampled_from(sorted(part)))
    part[key] = data.draw(values)
    try:
        read = unpack_chunk(seal(fields))
        cif_writer(read, True)
    except (DamagedError, InputError, KeyError, TypeError) as error:
        # what says whose run it is, is compared with run.json before anything is written
        assert not isinstance(error, KeyError | TypeError) or key == "run"


@settings(max_examples=300)
@given(st.binary(max_size=400))
def test_any_bytes_are_refused(data: bytes) -> None:
    from hashlib import sha256

    for candidate in (data, data + sha256(data).digest()):
        with pytest.raises((DamagedError, InputError)):
            unpack_chunk(candidate)


@given(st.data())
def test_any_changed_byte_of_a_chunk_is_seen(chunk: Path, data: st.DataObject) -> None:
    whole = bytearray(chunk.read_bytes())
    whole[data.draw(st.integers(0, len(whole) - 1))] ^= data.draw(st.integers(1, 255))
    with pytest.raises(DamagedError):
        unpack_chunk(bytes(whole))


def test_declared_lengths_beyond_the_file_are_refused() -> None:
    from hashlib import sha256

    for bomb in (b"\xdd\xff\xff\xff\xff", b"\xdf\xff\xff\xff\xff", b"\xc6\xff\xff\xff\xff"):
        with pytest.raises(DamagedError):
            unpack_chunk(bomb + sha256(bomb).digest())
    assert DIGEST_BYTES == 32


def test_hostile_coordinates_and_names_are_refused(chunk: Path) -> None:
    read = read_chunk(chunk)
    for bad in (np.nan, np.inf, 1e9):
        xyz = read.xyz.copy()
        xyz[0, 0, 0] = bad
        with pytest.raises(DamagedError):
            unpack_chunk(pack_chunk(type(read)(**{**vars(read), "xyz": xyz})))
    import msgpack

    fields = msgpack.unpackb(chunk.read_bytes())
    del fields["digest"]
    for name in ("C\nloop_", "../../x", "C A", "%s"):
        fields["atoms"]["name"][0] = name
        with pytest.raises(DamagedError):
            unpack_chunk(seal(fields))
    fields["atoms"]["name"][0] = "N"
    fields["coordinates"] = pack_array(np.zeros((2, 3, 3))) | {"shape": [2**62, 2**62, 3]}
    with pytest.raises(DamagedError):
        unpack_chunk(seal(fields))


def test_a_chunk_says_what_computed_it(reference: Path) -> None:
    chunk = read_chunk(run_folder(reference) / "chunks" / "samples_0-1.msgpack")
    assert chunk.computed_by == f"{ops.device_name()}: {ops.arithmetic()}"
