"""bin/just sets itself up, where it may and when it must; a stand-in for Python does nothing."""

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest
from conftest import DATA
from processes import environment

ROOT = DATA.parent.parent
STAND_IN = """\
#!/bin/sh
case "$1 $2" in
"-m venv")
    [ -e "$3/bin/python" ] || [ ! -L "$3/bin/python" ] || exit 1 # as the real one
    mkdir -p "$3/bin" && touch "$3/pyvenv.cfg" && cp "$0" "$3/bin/python" && cp "$0" "$3/bin/pip"
    ;;
"-m pip")
    case $6 in *bfloat16*) exit "${BFLOAT16:-0}" ;; esac
    sleep "${PIP_TAKES:-0}"
    echo "$6" >>"$LOG"
    tool=$(dirname "$0")/px-status
    echo "#!/bin/sh" >"$tool" && echo 'echo ran' >>"$tool" && chmod +x "$tool"
    ;;
esac
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """As much of a checkout as bin/ looks at."""
    folder = tmp_path / "check out"
    (folder / "bin").mkdir(parents=True)
    (folder / "pxtools").mkdir()
    shutil.copy(ROOT / "bin/just", folder / "bin/just")
    (folder / "bin/px-status").symlink_to("just")
    for file in ("pxtools/__init__.py", "pyproject.toml"):
        shutil.copy(ROOT / file, folder / file)
    python = tmp_path / "python"
    python.write_text(STAND_IN)
    python.chmod(0o755)
    return folder


def start(
    checkout: Path, *before: str, tool: str = "px-status", **variables: str
) -> subprocess.Popen[str]:
    given = environment(PYTHON=str(checkout.parent / "python"), LOG=str(log(checkout)), **variables)
    for name in ("PXTOOLS_VENV", "PXTOOLS_EXTRAS", "HOME", "XDG_CACHE_HOME"):
        if name not in variables:
            given.pop(name, None)
    return subprocess.Popen(
        [*before, str(checkout / "bin" / tool)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=given,
        start_new_session=True,
    )


def ran(checkout: Path, *before: str, **variables: str) -> tuple[int, str, str]:
    process = start(checkout, *before, **variables)
    out, err = process.communicate(timeout=30)
    return process.returncode, out, err


def log(checkout: Path) -> Path:
    return checkout.parent / "log"


def installed(checkout: Path) -> list[str]:
    """What pip was given, at each set-up."""
    return log(checkout).read_text().splitlines() if log(checkout).exists() else []


def test_a_set_up_is_made_once(checkout: Path) -> None:
    code, out, err = ran(checkout)
    assert (code, out) == (0, "ran\n") and err.startswith("Setting up px-tools in ")
    assert ran(checkout) == (0, "ran\n", "")
    assert ran(checkout, PXTOOLS_EXTRAS="dev,cuda")[:2] == (0, "ran\n")
    assert ran(checkout, PXTOOLS_EXTRAS="cuda") == (0, "ran\n", "")
    assert installed(checkout) == [str(checkout), f"{checkout}[cuda,dev]"]


def test_a_set_up_without_fast_bfloat16_works(checkout: Path) -> None:
    code, out, err = ran(checkout, BFLOAT16="1")
    assert (code, out) == (0, "ran\n")
    flags = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    wanted = "avx512_bf16" in flags or "amx_bf16" in flags
    assert ("oneDNN could not be installed: there is no --dtype bfloat16" in err) == wanted
    assert ran(checkout) == (0, "ran\n", "")


@pytest.mark.slow
def test_both_ends_of_a_pipe_do_not_set_up_at_once(checkout: Path) -> None:
    both = [start(checkout, PIP_TAKES="1") for _ in range(2)]
    said = [process.communicate(timeout=30) for process in both]
    assert [out for out, _ in said] == ["ran\n", "ran\n"]
    assert len(installed(checkout)) == 1
    assert sum("Waiting for process" in err for _, err in said) <= 1


def test_a_set_up_that_was_killed_is_begun_again(checkout: Path) -> None:
    (checkout / ".venv").mkdir()
    gone = subprocess.Popen(["true"])
    gone.wait()
    (checkout / ".venv/.being-set-up").symlink_to(str(gone.pid))
    assert ran(checkout)[:2] == (0, "ran\n")


def test_a_checkout_that_was_moved_is_set_up_again(checkout: Path) -> None:
    ran(checkout)
    moved = checkout.rename(checkout.parent / "moved")
    code, out, err = ran(moved)
    assert (code, out) == (0, "ran\n") and err.startswith("Setting up")
    assert installed(moved) == [str(checkout), str(moved)]


def test_an_environment_of_another_checkout_is_left_to_it(checkout: Path, tmp_path: Path) -> None:
    venv = str(tmp_path / "environment")
    assert ran(checkout, PXTOOLS_VENV=venv)[0] == 0
    other = tmp_path / "other"
    shutil.copytree(checkout, other, symlinks=True)
    code, _, said = ran(other, PXTOOLS_VENV=venv)
    assert code == 2 and f"{venv} belongs to {checkout}" in said and len(said.splitlines()) == 1
    shutil.rmtree(checkout)  # or moved: then it is set up for the other
    assert ran(other, PXTOOLS_VENV=venv)[0] == 0


def test_an_environment_that_others_made_is_left_alone(checkout: Path, tmp_path: Path) -> None:
    venv = tmp_path / "theirs"
    (venv / "lib").mkdir(parents=True)
    (venv / "pyvenv.cfg").touch()
    code, _, said = ran(checkout, PXTOOLS_VENV=str(venv))
    assert code == 2 and "px-tools did not make" in said and (venv / "lib").is_dir()


def test_a_set_up_outlives_its_python(checkout: Path) -> None:
    """As after `brew upgrade python`."""
    ran(checkout, PXTOOLS_EXTRAS="dev")
    python = checkout / ".venv/bin/python"
    python.unlink()
    python.symlink_to("/nonexistent")
    assert ran(checkout)[:2] == (0, "ran\n")
    assert installed(checkout) == [f"{checkout}[dev]"] * 2


def test_a_set_up_of_an_older_version_is_kept(checkout: Path) -> None:
    ran(checkout)
    (checkout / ".venv/.px-tools-ready").write_text("\n")
    assert ran(checkout) == (0, "ran\n", "")


@pytest.mark.parametrize(
    ("printed", "reason"),
    [
        ("created because ensurepip is not\navailable.", "sudo apt install python3-venv"),
        ("ERROR: No space left on device", "ERROR: No space left on device"),
        ("ERROR: Could not find a version: no matching distribution", "is there a network?"),
        ("Segmentation fault", "the set-up failed: Segmentation fault"),
    ],
)
def test_a_failed_set_up_is_told_in_one_sentence(checkout: Path, printed: str, reason: str) -> None:
    python = checkout.parent / "python"
    python.write_text(f"#!/bin/sh\n[ $1 = -c ] || {{ echo '{printed}'; exit 1; }}\n")
    code, out, err = ran(checkout)
    assert (code, out) == (2, "") and len(err.splitlines()) == 2
    assert reason in err.splitlines()[1]


def as_nobody(checkout: Path) -> list[str]:
    """The words before a command to whose user all this is read-only."""
    if os.geteuid() != 0:
        for folder in (checkout, checkout.parent):
            folder.chmod(0o555)
        return []
    if not shutil.which("setpriv"):
        pytest.skip("root may write everywhere")
    return ["setpriv", "--bounding-set", "-dac_override,-dac_read_search", "--reuid", "12345"]


def test_a_checkout_of_another_user_is_set_up_in_the_cache(checkout: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir(mode=0o777)
    home.chmod(0o777)
    log(checkout).touch()
    log(checkout).chmod(0o666)
    for folder in (tmp_path, *tmp_path.parents[:3]):
        folder.chmod(0o755)
    before = as_nobody(checkout)
    code, out, err = ran(checkout, *before, HOME=str(home))
    assert (code, out) == (0, "ran\n") and f"Setting up px-tools in {home}/.cache" in err
    assert ran(checkout, *before, HOME=str(home)) == (0, "ran\n", "")
    mine = str(home / "mine")
    assert f"in {mine} (" in ran(checkout, *before, HOME=str(home), PXTOOLS_VENV=mine)[2]
    for variables in ({}, {"HOME": "/nonexistent"}):
        code, out, err = ran(checkout, *before, **variables)
        assert code == 2 and out == ""
        assert "cannot write " in err and "set PXTOOLS_VENV" in err and len(err.splitlines()) == 1


def test_a_hang_up_that_ends_just_first_is_told_all_the_same(checkout: Path) -> None:
    ran(checkout)
    tool, begun = checkout / ".venv/bin/just", checkout / "begun"
    asleep = "sleep 5 >/dev/null 2>&1 &"
    quiet = "exec 2>/dev/null"  # a shell may tell how its sleep has ended
    stops = "trap 'exit 129' HUP TERM"
    tool.write_text(f"#!/bin/sh\n{quiet}\n{stops}\n{asleep}\ntouch '{begun}'\nwait\n")
    tool.chmod(0o755)
    for _ in range(40):
        begun.unlink(missing_ok=True)
        process = start(checkout, tool="just")
        while not begun.exists():
            assert process.poll() is None
            time.sleep(0.01)
        os.killpg(process.pid, signal.SIGHUP)
        assert (process.communicate(timeout=30)[1], process.returncode) == ("", 129)
