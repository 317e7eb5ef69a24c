"""Break runs on purpose and see that nothing is lost: `just faults [TIMES]` prints the table.

Each fault gets a folder with a run (finished, half done, or none), does its damage, lets the
tools go on with the same command, and compares every file with those of an undisturbed run.
"""

import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))


from processes import command, environment, sample_and_write, small_run

SAMPLES, CHUNK, STEPS = 3, 2, 70  # states are saved after step 50
Fault = Callable[[Path, Path, random.Random], None]  # folder, reference, rng


def start(
    folder: Path,
    *more: object,
    tool: str = "px-sample",
    env: dict[str, str] | None = None,
) -> subprocess.Popen[str]:
    words, _ = small_run(folder, n=SAMPLES, chunk=CHUNK, steps=STEPS)
    front = ["pipeline"] if tool == "pxdesign" else []
    return subprocess.Popen(
        command(tool, *front, *words, *more),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env=env or environment(),
        start_new_session=True,
    )


def go_on(folder: Path, *more: object) -> str:
    """The same command again, to the end; returns what it said."""
    words, _ = small_run(folder, n=SAMPLES, chunk=CHUNK, steps=STEPS)
    said = sample_and_write(*words, *more)
    assert "Traceback" not in said
    return said


def run_folder(folder: Path) -> Path:
    return small_run(folder)[1]


def contents(folder: Path) -> dict[str, bytes]:
    """The files of a run by name, without what was set aside, the lock and signs of processes.

    What a killed process was about to write is swept later.
    """
    base = run_folder(folder)
    paths = (p for p in base.rglob("*") if p.is_file() and ".corrupt" not in str(p))
    others = (p for p in paths if p.name != ".lock" and p.suffix != ".tmp")
    kept = (p for p in others if p.parent.name != "workers")
    return {str(p.relative_to(base)): p.read_bytes() for p in kept}


def assert_same(folder: Path, reference: Path, only: str = "") -> None:
    mine, whole = contents(folder), contents(reference)
    assert sorted(n for n in mine if only in n) == sorted(n for n in whole if only in n)
    for name, data in whole.items():
        if only in name:
            assert mine[name] == data, f"{name} differs from the undisturbed run"


def wait_for(process: subprocess.Popen[str], text: str) -> None:
    assert process.stderr
    for line in process.stderr:
        if text in line:
            return
    raise AssertionError(f"it never said {text!r}")


# --- faults; each takes (folder, reference, random numbers) ---


def killed(folder: Path, reference: Path, rng: random.Random) -> None:
    """SIGKILL at random moments, up to five times, then to the end"""
    for _ in range(rng.randint(1, 5)):
        process = start(folder, tool="pxdesign")
        time.sleep(rng.uniform(0.2, 3.5))
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    for cut_off in run_folder(folder).rglob(".*.tmp"):
        os.utime(cut_off, (0, 0))  # what is older than an hour is swept
    go_on(folder)
    assert_same(folder, reference)


def interrupted(folder: Path, reference: Path, rng: random.Random) -> None:
    """SIGINT or SIGTERM in the middle of a chunk: saved at once, exit code 130 or 143"""
    signum = rng.choice([signal.SIGINT, signal.SIGTERM])
    process = start(folder)
    wait_for(process, "Diffusion step [1/")
    time.sleep(rng.uniform(0.05, 0.3))
    process.send_signal(signum)
    said = process.stderr.read() if process.stderr else ""
    assert process.wait() == 128 + signum
    assert "run the same command to continue" in said and "Traceback" not in said
    # nothing is saved where not even one step was done
    assert ("Continuing after step" in go_on(folder)) == ("Saved samples" in said)
    assert_same(folder, reference)


def raised(folder: Path, reference: Path, rng: random.Random) -> None:
    """N_sample raised later"""
    go_on(folder, "--N_sample", rng.randint(1, SAMPLES - 1))
    go_on(folder)
    assert_same(folder, reference, only=".cif")


def cifs_deleted(folder: Path, reference: Path, rng: random.Random) -> None:
    """some CIFs deleted after the run: rewritten without sampling"""
    shutil.copytree(reference, folder, dirs_exist_ok=True)
    for path in sorted(run_folder(folder).rglob("*.cif")):
        if rng.random() < 0.5:
            path.unlink()
    assert "Diffusion step" not in go_on(folder)
    assert_same(folder, reference)


def chunks_deleted(folder: Path, reference: Path, rng: random.Random) -> None:
    """chunks deleted after their CIFs are written: nothing to do"""
    shutil.copytree(reference, folder, dirs_exist_ok=True)
    for path in (run_folder(folder) / "chunks").glob("*.msgpack"):
        path.unlink()
    assert "already completed" in go_on(folder)
    assert_same(folder, reference, only=".cif")


def other_chunk_size(folder: Path, reference: Path, rng: random.Random) -> None:
    """another chunk size: the same designs"""
    go_on(folder, "--sample_diffusion_chunk_size", rng.choice([1, 3]))
    assert_same(folder, reference, only=".cif")


def two_processes(folder: Path, reference: Path, rng: random.Random) -> None:
    """two processes on one directory at once"""
    both = [start(folder), start(folder)]
    for process in both:
        _, said = process.communicate(timeout=120)
        assert process.returncode in (0, 75), said
    go_on(folder)
    assert_same(folder, reference)


def other_workers(folder: Path, reference: Path, rng: random.Random) -> None:
    """another number of --workers"""
    go_on(folder, "--workers", rng.choice([1, 2, 3]))
    assert_same(folder, reference)


def pick(folder: Path, rng: random.Random) -> Path:
    names = contents(folder)
    return run_folder(folder) / rng.choice(sorted(names))


def damaged(
    folder: Path, reference: Path, rng: random.Random, damage: Callable[[Path, random.Random], None]
) -> None:
    """Damage one file of a finished or a half-done run, go on, compare."""
    begun = rng.random() < 0.3
    shutil.copytree(reference.parent / "begun" if begun else reference, folder, dirs_exist_ok=True)
    path = pick(folder, rng)
    damage(path, rng)
    said = go_on(folder)
    # a chunk whose CIFs are all there is not sampled again
    assert_same(folder, reference, only=".cif" if path.suffix == ".msgpack" else "")
    if path.name != "SUCCESS_FILE":  # that one is only written again
        assert path.name in said, f"{path.name} was not named"
        assert list(path.parent.glob(f"{path.name}.corrupt*")), f"{path.name} was not set aside"


def truncate(path: Path, rng: random.Random) -> None:
    data = path.read_bytes()
    path.write_bytes(data[: rng.randrange(1, len(data))])


def flip(path: Path, rng: random.Random) -> None:
    data = bytearray(path.read_bytes())
    data[rng.randrange(len(data))] ^= rng.randrange(1, 256)
    path.write_bytes(data)


def empty(path: Path, rng: random.Random) -> None:
    path.write_bytes(b"")


def folder_instead(path: Path, rng: random.Random) -> None:
    path.unlink()
    path.mkdir()
    (path / "something").write_text("in the way")


def truncated(folder: Path, reference: Path, rng: random.Random) -> None:
    """a file of the run truncated at a random byte"""
    damaged(folder, reference, rng, truncate)


def flipped(folder: Path, reference: Path, rng: random.Random) -> None:
    """one random byte of a file changed"""
    damaged(folder, reference, rng, flip)


def emptied(folder: Path, reference: Path, rng: random.Random) -> None:
    """a file emptied"""
    damaged(folder, reference, rng, empty)


def replaced(folder: Path, reference: Path, rng: random.Random) -> None:
    """a file replaced by a directory"""
    damaged(folder, reference, rng, folder_instead)


def disk_full(folder: Path, reference: Path, rng: random.Random) -> None:
    """no room for a file (size limit hit in the middle of a write), then room again"""
    sizes = [len(data) for name, data in contents(reference).items() if "/" in name]
    limit = rng.randrange(1000, min(sizes))  # a chunk or a CIF needs more, run.json less
    limits = (limit, limit)
    if rng.random() < 0.5:  # while sampling
        process = start(folder)
        wait_for(process, "Diffusion step [1/")
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, limits)
    else:  # while writing CIFs
        start(folder).communicate(timeout=120)
        chunks = sorted((run_folder(folder) / "chunks").glob("*.msgpack"))
        process = subprocess.Popen(
            command("px-write-cif", *chunks),
            stderr=subprocess.PIPE,
            text=True,
            env=environment(),
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, limits),
        )
    _, said = process.communicate(timeout=120)
    assert process.returncode == 2 and "cannot write: File too large" in said
    assert "Traceback" not in said
    whole = {Path(name).name for name in contents(reference)}
    left = [Path(name) for name in contents(folder)]
    assert all(p.name in whole or p.suffix == ".state" for p in left), left
    go_on(folder)
    assert_same(folder, reference)


FAULTS = (
    killed,
    interrupted,
    raised,
    cifs_deleted,
    chunks_deleted,
    other_chunk_size,
    two_processes,
    other_workers,
    truncated,
    flipped,
    emptied,
    replaced,
    disk_full,
)


def make_reference(folder: Path) -> Path:
    """An undisturbed run in folder/whole, and one stopped in its first chunk in folder/begun."""
    whole, begun = folder / "whole", folder / "begun"
    for place in (whole, begun):
        place.mkdir(parents=True)
    go_on(whole)
    process = start(begun)
    wait_for(process, "Diffusion step [51/")
    process.send_signal(signal.SIGTERM)
    process.communicate()
    assert list(begun.rglob("*.state"))
    return whole


def try_fault(fault: Fault, reference: Path, seed: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        fault(Path(folder), reference, random.Random(f"{fault.__name__} {seed}"))


def main() -> None:
    times, *only = sys.argv[1:] or ["20"]
    known = [fault.__name__ for fault in FAULTS]
    if not times.isdigit() or not set(only) <= set(known):
        sys.exit(f"expected a number of times, then any of: {' '.join(known)}")
    print("| fault | times | all recovered, nothing lost | what failed |\n|---|---|---|---|")
    failed = 0
    with tempfile.TemporaryDirectory() as folder:
        reference = make_reference(Path(folder))
        for fault in FAULTS:
            if only and fault.__name__ not in only:
                continue
            failures = []
            for seed in range(int(times)):
                try:
                    try_fault(fault, reference, seed)
                except AssertionError as error:
                    failures.append(f"{seed}: {str(error)[:300]}")
            failed += len(failures)
            outcome = f"{int(times) - len(failures)} of {times}"
            print(f"| {fault.__doc__} | {times} | {outcome} | {'; '.join(failures)} |", flush=True)
    sys.exit(bool(failed))


if __name__ == "__main__":
    main()
