"""Several processes on one run, in shards or not, with and without file locks."""

import errno
import fcntl
import os
import re
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import faults
import pytest
from faults import CHUNK, STEPS, assert_same, run_folder, wait_for
from hypothesis import given
from hypothesis import strategies as st
from locks import with_locks_of_one_host, without_locks
from processes import environment, run, sample_and_write, small_run

from pxtools.errors import InputError
from pxtools.runs import lock
from pxtools.runs.files import (
    HOST,
    STALE_SECONDS,
    sweep,
    temporary_name,
    write_atomically,
    write_first,
)
from pxtools.runs.folder import RunDir
from pxtools.runs.record import RunJson
from pxtools.runs.shards import SampleRange, Shard, parse_part
from pxtools.runs.workers import SILENT_SECONDS, Worker, workers_of
from pxtools.sampling.plan import grid

N = 6  # samples, in chunks of two


def words_of(folder: Path, *more: object) -> list[object]:
    words, _ = small_run(folder, n=N, chunk=CHUNK, steps=STEPS)
    return [*words, *more]


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("one_process")
    sample_and_write(*words_of(folder))
    return folder


def start(folder: Path, *more: object, env: dict[str, str]) -> subprocess.Popen[str]:
    return faults.start(folder, "--N_sample", N, *more, env=env)


def write_cifs(folder: Path) -> None:
    chunks = sorted((run_folder(folder) / "chunks").glob("*.msgpack"))
    assert run("px-write-cif", *chunks).returncode == 0


def chunks_made(said: str) -> int:
    return said.count("✓ Completed chunk")


# --- which samples are whose ---


@given(st.integers(1, 300), st.integers(1, 40), st.integers(1, 40), st.integers(1, 5))
def test_every_chunk_is_one_shards(n: int, chunk: int, count: int, lengths: int) -> None:
    cells = grid(range(n), lambda sample: sample % lengths, chunk)
    parts = [Shard(k, count).of(cells) for k in range(count)]
    assert sorted(sample for part in parts for sample in part) == list(range(n))
    chunks = [{i for i, cell in enumerate(cells) if part.intersection(cell)} for part in parts]
    assert sum(map(len, chunks)) == len(cells)
    assert max(map(len, chunks)) - min(map(len, chunks)) <= 1


def test_a_chunk_of_one_length_belongs_to_the_shard_of_its_number() -> None:
    cells = grid(range(10), lambda sample: 80, 2)
    assert Shard(1, 3).of(cells) == {2, 3, 8, 9}


@pytest.mark.parametrize(
    ("shard", "samples", "said"),
    [
        ("16/16", None, "0/16 to 15/16"),
        ("1", None, "K/N"),
        ("-1/4", None, "K/N"),
        ("0/0", None, "K/N"),
        ("٣/٤", None, "K/N"),
        (None, "7-3", "A-B"),
        (None, "a-b", "A-B"),
        ("0/2", "0-3", "either --shard or --samples"),
    ],
)
def test_a_part_that_is_none_is_refused(shard: str | None, samples: str | None, said: str) -> None:
    with pytest.raises(InputError, match=said):
        parse_part(shard, samples)


def test_parts_read_as_they_are_written() -> None:
    assert parse_part("0/16", None) == Shard(0, 16)
    assert parse_part(None, "100-199") == SampleRange(100, 199)
    assert parse_part(None, "5") == SampleRange(5, 5)
    cells = grid(range(10), lambda sample: 80, 4)
    assert parse_part(None, "3-5").of(cells) == {3, 4, 5}
    assert parse_part(None, None).of(cells) == set(range(10))


@pytest.mark.slow
def test_shards_and_a_range_make_what_one_process_makes(reference: Path, tmp_path: Path) -> None:
    for part in (["--shard", "0/3"], ["--shard", "2/3"], ["--samples", "2-3"]):
        done = run("px-sample", *words_of(tmp_path, *part))
        assert done.returncode == 0 and f"of {N} samples" in done.stderr
    write_cifs(tmp_path)
    assert_same(tmp_path, reference)
    again = run("px-sample", *words_of(tmp_path, "--shard", "0/3"))
    assert "shard 0/3 already completed (2 samples exist)" in again.stderr
    assert len(again.stdout.split()) == 1  # its own chunk, for px-write-cif


@pytest.mark.slow
def test_a_shard_without_samples_says_so(tmp_path: Path) -> None:
    words, _ = small_run(tmp_path, n=2, chunk=2, steps=2)
    done = run("px-sample", *words, "--shard", "1/2")
    assert done.returncode == 0 and done.stdout == ""
    assert "⚠ shard 1/2 has none of bpti: there are fewer chunks than shards" in done.stderr
    assert "already completed" not in done.stderr


def test_a_range_beyond_the_samples_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    refused = run("px-sample", *words_of(tmp_path, "--samples", f"4-{N}"))
    assert refused.returncode == 2 and f"0 to {N - 1}" in refused.stderr
    assert not (tmp_path / "out").exists()


# --- locks only help ---


@pytest.mark.parametrize("name", ["ENOSYS", "ENOLCK", "EOPNOTSUPP", "EINVAL"])
def test_claims_succeed_where_there_are_no_locks_after_one_warning(
    name: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def fails(*words: object) -> None:
        raise OSError(getattr(errno, name), name)

    monkeypatch.setattr(fcntl, "lockf", fails)
    monkeypatch.setattr(lock.Lock, "warned", False)
    (tmp_path / "chunks").mkdir()
    for _ in range(2):
        claims = lock.Lock(RunDir(tmp_path, "bpti"))
        assert claims.claim([1, 2]) and claims.claim([1, 2]) and not claims.is_claimed([1])
        claims.release([1, 2])
    assert capsys.readouterr().err.count("no file locks there") == 1


def test_an_error_that_does_not_mean_no_locks_is_raised(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*words: object) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(fcntl, "lockf", fails)
    (tmp_path / "chunks").mkdir()
    with pytest.raises(OSError, match="Input/output"):
        lock.Lock(RunDir(tmp_path, "bpti")).claim([1])


Environments = Callable[[Path, str], dict[str, str]]


def no_locks(folder: Path, host: str) -> dict[str, str]:
    return without_locks(folder, "ENOSYS", host)


linux = pytest.mark.skipif(sys.platform != "linux", reason="the shim reads /proc")
EVERY_FILE_SYSTEM = pytest.mark.parametrize(
    ("environment_on", "hosts"),
    [
        pytest.param(no_locks, ["node-1"] * 3, id="no locks, one host"),
        pytest.param(no_locks, ["node-1", "node-2", "node-3"], id="no locks, three hosts"),
        pytest.param(
            with_locks_of_one_host, ["node-1", "node-2", "node-2"], id="locks of one host"
        ),
    ],
)


def test_a_process_with_the_number_of_one_that_died_is_not_at_work(tmp_path: Path) -> None:
    another = subprocess.Popen(["sleep", "60"])
    died = Worker(tmp_path, HOST, another.pid, None, [0], [0], False, 3 * SILENT_SECONDS)
    assert not died.alive
    assert replace(died, silent_seconds=1.0).alive
    another.send_signal(signal.SIGSTOP)
    while not died.suspended:
        time.sleep(0.01)
    assert died.alive, "it cannot give a sign"
    another.kill()
    another.wait()


@linux
@pytest.mark.slow
@EVERY_FILE_SYSTEM
def test_three_processes_without_shared_locks(
    reference: Path, tmp_path: Path, environment_on: Environments, hosts: list[str]
) -> None:
    words_of(tmp_path)  # writes the task
    started = [start(tmp_path, env=environment_on(tmp_path, host)) for host in hosts]
    said = [process.communicate(timeout=120)[1] for process in started]
    assert {process.returncode for process in started} <= {0, 75}, said
    if environment_on is no_locks:
        for text in said:  # one that came when all was done needs no lock
            assert text.count("no file locks there") == ("already completed" not in text), said
    assert N / CHUNK <= sum(map(chunks_made, said)) <= 2 * N / CHUNK
    write_cifs(tmp_path)
    assert_same(tmp_path, reference)


@linux
@pytest.mark.slow
def test_a_process_killed_on_another_host_is_taken_for_dead_once_it_is_silent(
    reference: Path, tmp_path: Path
) -> None:
    words_of(tmp_path)
    killed = start(tmp_path, env=with_locks_of_one_host(tmp_path, "node-1"))
    wait_for(killed, "Diffusion step [51/")
    killed.kill()
    killed.communicate()
    second = start(tmp_path, env=with_locks_of_one_host(tmp_path, "node-2"))
    _, said = second.communicate(timeout=120)
    assert chunks_made(said) == N / CHUNK - 1  # the first chunk may still be made on node-1
    assert "another process is making 2 samples of bpti" in said
    (worker,) = workers_of(RunDir(run_folder(tmp_path), "bpti"))
    assert worker.host == "node-1" and worker.alive
    os.utime(worker.path, (time.time() - SILENT_SECONDS - 10,) * 2)
    sample_and_write(*words_of(tmp_path))
    assert_same(tmp_path, reference)


@linux
@pytest.mark.slow
def test_a_shard_goes_on_with_what_it_left_on_another_host(tmp_path: Path, reference: Path) -> None:
    words_of(tmp_path)
    shard = ("--shard", "0/2")
    killed = start(tmp_path, *shard, env=with_locks_of_one_host(tmp_path, "node-1"))
    wait_for(killed, "Diffusion step [51/")
    killed.kill()
    killed.communicate()
    requeued = start(tmp_path, *shard, env=with_locks_of_one_host(tmp_path, "node-2"))
    _, said = requeued.communicate(timeout=120)
    assert requeued.returncode == 0 and f"Continuing after step 50/{STEPS}" in said
    sample_and_write(*words_of(tmp_path))
    assert_same(tmp_path, reference)


# --- run.json without a lock ---


def test_of_several_first_writers_one_wins(tmp_path: Path) -> None:
    for data in (b"first", b"second"):
        write_first(tmp_path / "run.json", data)
    assert (tmp_path / "run.json").read_bytes() == b"first"
    assert [path.name for path in tmp_path.iterdir()] == ["run.json"]


def test_a_first_writer_where_there_are_no_hard_links(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*words: object) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", fails)
    write_first(tmp_path / "run.json", b"first")
    assert (tmp_path / "run.json").read_bytes() == b"first"
    assert [path.name for path in tmp_path.iterdir()] == ["run.json"]


@pytest.mark.slow
def test_runs_of_other_input_begun_at_once_do_not_mix(tmp_path: Path) -> None:
    words_of(tmp_path)
    both = [start(tmp_path, "--N_step", steps, env=environment()) for steps in (5, 6)]
    said = [process.communicate(timeout=120)[1] for process in both]
    assert sorted(process.returncode for process in both) == [0, 2], said
    assert sum("schedule.N_step" in text for text in said) == 1


@pytest.mark.slow
def test_the_largest_number_of_samples_asked_for_at_once_stays(tmp_path: Path) -> None:
    words_of(tmp_path)
    asked = [start(tmp_path, "--N_sample", n, "--N_step", 5, env=environment()) for n in (4, 8, 6)]
    for process in asked:
        process.communicate(timeout=120)
    assert RunJson.read(RunDir(run_folder(tmp_path), "bpti")).n_sample == 8


# --- temporary names, and their sweeping ---


def test_temporary_names_differ_where_process_ids_are_the_same(tmp_path: Path) -> None:
    names = {temporary_name(tmp_path / "a.cif") for _ in range(10)}
    assert len(names) == 10 and all(HOST in name.name for name in names)
    long = temporary_name(tmp_path / ("samples_" + "1-1+" * 60 + ".msgpack"))
    assert len(long.name) < 255


def test_a_folder_that_cannot_be_flushed_is_none_the_worse(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on some network and FUSE file systems; a disk's error is told."""

    def fails(code: int) -> None:
        def fsync(fd: int) -> None:
            if stat.S_ISDIR(os.fstat(fd).st_mode):
                raise OSError(code, os.strerror(code))

        monkeypatch.setattr(os, "fsync", fsync)

    fails(errno.EINVAL)
    write_atomically(tmp_path / "file", b"x")
    fails(errno.EIO)
    said = f"{tmp_path}: cannot flush to disk: {os.strerror(errno.EIO)}"
    with pytest.raises(InputError, match=re.escape(said)):
        write_atomically(tmp_path / "file", b"x")


def test_a_sweep_leaves_what_another_host_may_still_write(tmp_path: Path) -> None:
    def left(name: str, hours: float) -> Path:
        path = tmp_path / name
        path.write_bytes(b"half a chu")
        os.utime(path, (time.time() - hours * 3600,) * 2)
        return path

    ours, theirs = f".a.cif.{HOST}.7.0123abcd.tmp", ".a.cif.node-9.7.0123abcd.tmp"
    fresh = left(ours, 0.5)
    of_others = left(theirs, 20)
    strange = left(".of_another_program.tmp", 100)
    gone = [left(f".b{ours}", 1.1), left(".a.cif.7.tmp", 1.1), left(f".b{theirs}", 25)]
    sweep(tmp_path)
    assert sorted(tmp_path.iterdir()) == sorted([fresh, of_others, strange])
    assert not any(path.exists() for path in gone)


def test_ages_are_by_the_clock_that_dates_the_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / f".a.cif.{HOST}.7.0123abcd.tmp"
    path.write_bytes(b"half a chu")
    monkeypatch.setattr(time, "time", lambda: path.stat().st_mtime + 2 * STALE_SECONDS)
    sweep(tmp_path)
    assert path.exists()


def test_a_write_whose_temporary_file_was_swept_is_done_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sweeps: list[int] = []
    real = os.fsync

    def swept_once(fd: int) -> None:
        real(fd)
        if not sweeps:
            sweeps.append(fd)
            for path in tmp_path.glob(".*.tmp"):
                path.unlink()

    monkeypatch.setattr(os, "fsync", swept_once)
    write_atomically(tmp_path / "a.cif", b"all of it")
    assert sweeps and (tmp_path / "a.cif").read_bytes() == b"all of it"
