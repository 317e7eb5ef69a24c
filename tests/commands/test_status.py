"""px-status: its table, and runs that are suspended."""

import json
import re
import signal
import subprocess
import time
from pathlib import Path

import pytest
from processes import command, environment, run, small_run

from pxtools.commands.status import COLUMNS, fitted
from pxtools.console import in_columns

ROW = ("hla_a2_tax", "12345", "250/500", "6", "200/500", "-", "pxdesign_v0.1.0", "running")


def test_the_table_fits_80_columns_without_losing_a_number() -> None:
    rows = [COLUMNS, (*ROW, "123.45/h", "12h34m")]
    lines = in_columns(fitted(rows, 80))
    assert max(map(len, lines)) <= 80
    assert all(cell in lines[1] for cell in ("250/500", "200/500", "running", "123.45/h", "12h34m"))
    assert "SEQUENCES" not in lines[0] and "TIME LEFT" in lines[0]
    assert lines[1].startswith("hla_…tax") and "pxd…1.0" in lines[1]


def test_a_table_that_fits_is_left_alone() -> None:
    rows = [COLUMNS, ("bpti", "1", "4/4", "2", "4/4", "-", "nano", "complete", "-", "-")]
    assert list(fitted(rows, 100)) == rows


@pytest.mark.slow
def test_a_suspended_run_is_not_running(tmp_path: Path) -> None:
    words, _ = small_run(tmp_path, n=2, chunk=2, steps=20_000)
    sampler = subprocess.Popen(
        command("px-sample", *words, "--shard", "0/1"),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(),
    )
    assert sampler.stderr
    while "step [51/" not in sampler.stderr.readline():
        assert sampler.poll() is None
    for signum, word in ((None, "running"), (signal.SIGSTOP, "suspended"), (signal.SIGCONT, "run")):
        if signum:
            sampler.send_signal(signum)
            time.sleep(0.2)
        shown = run("px-status", tmp_path / "out")
        assert shown.returncode == 1 and f" {word}" in shown.stdout.splitlines()[1], shown.stdout
        assert re.search(r"  bpti 7: samples 1-2 at step \d+0/20000\n", shown.stdout)
        (row,) = json.loads(run("px-status", tmp_path / "out", "--json").stdout)
        assert row["shards"][0]["state"] == ("suspended" if word == "suspended" else "running")
        assert f"1 shards of bpti 7: {row['shards'][0]['state']} 0 (" in shown.stdout
        assert (row["working"], row["suspended"]) == (word != "suspended", word == "suspended")
    sampler.kill()
    sampler.wait()


@pytest.mark.slow
def test_watching_waits_for_the_first_run_and_ends_with_the_last(tmp_path: Path) -> None:
    words, _ = small_run(tmp_path, n=1, steps=2)
    (tmp_path / "out").mkdir()
    watching = subprocess.Popen(
        command("px-status", "--watch", tmp_path / "out"),
        stdout=subprocess.PIPE,
        text=True,
        env=environment(),
    )
    assert watching.stdout and watching.stdout.readline() == "no runs yet\n"
    run("px-write-cif", stdin=run("px-sample", *words).stdout)
    rest, _ = watching.communicate(timeout=60)
    assert watching.returncode == 0 and "complete" in rest.splitlines()[-1]
