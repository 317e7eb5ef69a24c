"""Every way to stop a pipeline: nothing goes on running, and nothing is lost."""

import os
import pty
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from conftest import DATA
from processes import command, environment, run, small_run

from pxtools.runs.state_head import StateHead

pytestmark = pytest.mark.slow
ROOT = DATA.parent.parent
Process = subprocess.Popen[str]
LONG = 20_000  # steps, far more than are made before the stop
STOPS = {"TERM": 143, "HUP": 129, "INT": 130}


@pytest.fixture(autouse=True)
def hang_ups_are_heard() -> None:
    """Also where the tests were started with nohup, which all below it would inherit."""
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


def started_by(folder: Path) -> dict[int, str]:
    """The processes, by id, whose command line names a folder; and the writers beside them."""
    listed = subprocess.run(
        ["ps", "-ewwo", "pid=,ppid=,args="], capture_output=True, text=True, check=True
    )
    rows = [line.split(None, 2) for line in listed.stdout.splitlines()]
    found = {int(pid): args for pid, _, args in rows if str(folder) in args}
    children = {int(pid): args for pid, parent, args in rows if int(parent) in found}
    return {pid: args for pid, args in (found | children).items() if "ps -ewwo" not in args}


def pid_of(part: str, folder: Path) -> int:
    return next(pid for pid, args in started_by(folder).items() if part in args)


def until(true: Callable[[], object], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it did not come to that"
        time.sleep(0.05)


def words(folder: Path) -> list[str]:
    """Settings of a recipe whose first chunk takes minutes."""
    given, _ = small_run(folder, n=4, chunk=1, steps=LONG)
    pairs = zip(given[::2], given[1::2], strict=True)
    names = {"-i": "input_json_path", "-o": "dump_dir", "-m": "model"}
    return [f"{names.get(str(key), str(key)[2:])}={value}" for key, value in pairs]


@pytest.fixture(params=["bin/just", "just", "pxdesign"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def front(kind: str, tmp_path: Path) -> Iterator[Process]:
    """A pipeline in the middle of its first chunk, in a process group of its own."""
    if kind == "pxdesign":
        given, _ = small_run(tmp_path, n=4, chunk=1, steps=LONG)
        line = command("pxdesign", "pipeline", *given)
    else:
        own = [f"{sys.prefix}/bin/just", "--justfile", f"{ROOT}/justfile"]
        line = [*([f"{ROOT}/bin/just"] if kind == "bin/just" else own), "pipeline"]
        line += words(tmp_path)
    process = start(line)
    wait_for_step(process)
    yield process
    for pid in started_by(tmp_path):
        os.kill(pid, signal.SIGKILL)


def start(line: list[str]) -> Process:
    return subprocess.Popen(
        line,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(),
        start_new_session=True,
    )


def rest_of(process: Process) -> str:
    assert process.stderr
    return process.stderr.read()


def wait_for_step(process: Process) -> None:
    said = []
    assert process.stderr
    for line in process.stderr:
        said.append(line)
        if "Diffusion step [51/" in line:
            return
    raise AssertionError("".join(said))


def saved_as_said(folder: Path, said: str) -> bool:
    """One chunk was saved at the step where it was stopped, and said so once."""
    heads = [StateHead.read(path) for path in folder.rglob("*.state")]
    steps = re.findall(r"Saved samples 1-1 at step (\d+)/", said)
    return [head and str(head.step) for head in heads] == steps and len(steps) == 1


@pytest.mark.parametrize("name", ["TERM", "HUP", "INT"])
def test_a_signal_to_the_front_alone_stops_all_it_started(
    front: Process, kind: str, name: str, tmp_path: Path
) -> None:
    if kind == "just" and name != "TERM":
        pytest.skip("just itself keeps a signal that reaches it alone; bin/just does not")
    if kind == "bin/just" and name == "INT" and not shutil.which("pkill"):
        pytest.skip("bin/just hands it on by pkill")
    front.send_signal(getattr(signal, f"SIG{name}"))
    said = rest_of(front)
    assert front.wait(timeout=30) == STOPS[name]
    assert not started_by(tmp_path), "the front was gone before what it had started"
    assert saved_as_said(tmp_path, said) and "Traceback" not in said


@pytest.mark.parametrize("name", ["TERM", "HUP", "INT"])
def test_a_signal_to_all_at_once_stops_all(front: Process, name: str, tmp_path: Path) -> None:
    os.killpg(front.pid, getattr(signal, f"SIG{name}"))
    said = rest_of(front)
    assert front.wait(timeout=30) == STOPS[name]
    assert not started_by(tmp_path)
    assert saved_as_said(tmp_path, said) and "Traceback" not in said


def test_what_a_killed_front_started_saves_and_stops(front: Process, tmp_path: Path) -> None:
    front.kill()
    until(lambda: not started_by(tmp_path), 10)
    said = rest_of(front)
    assert saved_as_said(tmp_path, said) and "Traceback" not in said


@pytest.mark.parametrize("part", ["commands.recipe", "commands.sample", "commands.write_cif"])
def test_a_killed_part_ends_the_rest(tmp_path: Path, part: str) -> None:
    process = start([f"{ROOT}/bin/just", "pipeline", *words(tmp_path)])
    wait_for_step(process)
    os.kill(pid_of(part, tmp_path), signal.SIGKILL)
    if part == "commands.write_cif":  # found out when the first chunk is printed
        process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=30) in (137, 143)
    until(lambda: not started_by(tmp_path), 10)


def test_timeout(tmp_path: Path) -> None:
    process = start(["timeout", "600", f"{ROOT}/bin/just", "pipeline", *words(tmp_path)])
    wait_for_step(process)
    process.send_signal(signal.SIGALRM)  # its time is over
    said = rest_of(process)
    assert process.wait(timeout=30) == 124
    until(lambda: not started_by(tmp_path), 5)
    assert saved_as_said(tmp_path, said)


def test_a_tool_that_no_front_started_outlives_the_shell(tmp_path: Path) -> None:
    """As with `nohup px-sample &`: only a front takes its tools with it."""
    given, _ = small_run(tmp_path, n=1, chunk=1, steps=300)
    line = " ".join(f"'{word}'" for word in command("px-sample", *given))
    subprocess.run(["sh", "-c", f"{line} &"], env=environment(), stderr=subprocess.DEVNULL)
    until(lambda: list(tmp_path.rglob("*.msgpack")))


def test_nohup_keeps_a_hang_up_away(tmp_path: Path) -> None:
    process = start(["nohup", f"{ROOT}/bin/just", "pipeline", *words(tmp_path)])
    wait_for_step(process)
    os.killpg(process.pid, signal.SIGHUP)
    time.sleep(1.5)
    assert process.poll() is None and pid_of("commands.sample", tmp_path)
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=30) == 143
    assert not started_by(tmp_path)


class Terminal:
    """A shell in a terminal of its own."""

    def __init__(self, folder: Path, kind: str = "xterm"):
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.chdir(folder)
            os.execve("/bin/sh", ["sh", "-i"], environment(PS1="READY> ", TERM=kind))
        self.seen = ""

    def type(self, text: str) -> None:
        os.write(self.fd, text.encode())

    def until(self, text: str, seconds: float = 30) -> str:
        """What the terminal shows up to a text, after what was read before."""
        import select

        deadline = time.monotonic() + seconds
        while text not in self.seen:
            ready, _, _ = select.select([self.fd], [], [], max(0, deadline - time.monotonic()))
            assert ready, f"{text!r} was not shown, but {self.seen!r}"
            self.seen += os.read(self.fd, 65536).decode(errors="replace")
        before, _, self.seen = self.seen.partition(text)
        return before

    def close(self) -> None:
        os.close(self.fd)
        os.waitpid(self.pid, 0)


def test_the_prompt_returns_when_the_cifs_are_written(tmp_path: Path) -> None:
    """Ctrl+C while px-write-cif is in the middle of a chunk."""
    given, folder = small_run(tmp_path, n=600, chunk=300, steps=2)
    line = " ".join(f"'{word}'" for word in command("pxdesign", "pipeline", *given))
    terminal = Terminal(tmp_path)
    terminal.until("READY> ")
    terminal.type(f"{line}; echo code=$?\n")
    terminal.until("Saving CIF files: 50/600", 120)
    terminal.type("\x03")
    shown = terminal.until("code=1", 60) + terminal.seen
    assert len(list(folder.glob("predictions/*.cif"))) == 300
    assert not started_by(tmp_path)
    assert "\x1b[Kpx-sample: stopped" in shown, "the ^C is wiped off the line"
    assert "Saving CIF files: 300/600" in shown and "Traceback" not in shown
    terminal.until("30")
    terminal.close()


def test_a_terminal_that_only_prints_gets_lines_alone(tmp_path: Path) -> None:
    """TERM=dumb, as in Emacs: no bar, and no codes that it would show."""
    given, _ = small_run(tmp_path, n=2, steps=60)
    line = " ".join(f"'{word}'" for word in command("pxdesign", "pipeline", *given))
    terminal = Terminal(tmp_path, "dumb")
    terminal.until("READY> ")
    terminal.type(f"{line}; echo code=$?\n")
    shown = terminal.until("code=0", 60)
    assert "Saved all 2 samples" in shown
    assert "\x1b" not in shown and not re.search(r"\r[^\n]", shown.split("Model", 1)[1])
    terminal.close()


AT = {  # a moment of the last chunk's end, and what of the program is called then
    "the last step": "Diffusion.advance",
    "writing": "write_atomically",
    "written": "Progress.chunk_done",
}
INTERRUPTED = """
import os, signal
from pxtools.sampling import chunks

*owner, name = {what!r}.split(".")
where = getattr(chunks, owner[0]) if owner else chunks
called = getattr(where, name)

def calls(*words):
    result = called(*words)
    if name != "advance" or words[0].at.step == words[0].schedule.N_step:
        os.kill(os.getpid(), signal.SIGINT)
    return result

setattr(where, name, calls)
from pxtools.commands.sample import main
main()
"""


@pytest.mark.parametrize("when", AT)
def test_a_chunk_finished_at_the_stop_is_handed_on(tmp_path: Path, when: str) -> None:
    given, folder = small_run(tmp_path, n=4, chunk=2, steps=4)
    program = [sys.executable, "-c", INTERRUPTED.format(what=AT[when]), *map(str, given)]
    sampled = subprocess.run(program, capture_output=True, text=True, env=environment())
    assert sampled.returncode == 130, sampled.stderr
    assert sampled.stdout.splitlines() == [str(folder / "chunks/samples_0-1.msgpack")]
    assert sampled.stderr.count("✓ Completed chunk 1/2") == 1


STOPPED_AS_IT_BEGINS = """
import os, signal
from pxtools import interrupt

os.environ[interrupt.FRONT] = str(os.getppid())
interrupt.in_background = lambda look: os.kill(os.getpid(), signal.SIGHUP)
from pxtools.commands.sample import main
main()
"""


def test_a_stop_while_signals_are_set_up_is_told_as_any_other() -> None:
    program = [sys.executable, "-c", STOPPED_AS_IT_BEGINS]
    done = subprocess.run(program, capture_output=True, text=True, env=environment())
    assert done.returncode == 129
    assert done.stderr == "px-sample: stopped; run the same command to continue\n"


STOPPED_AT_THE_LAST_LINE = """
import os, signal, sys
from pxtools.commands import cli
said = cli.say

def say(text):
    said(text)
    os.kill(os.getpid(), signal.SIGTERM)

cli.say = say
sys.argv = ["px-status", "nowhere"]
from pxtools.commands.status import main
main()
"""


def test_a_stop_while_the_last_line_is_said_gives_no_other() -> None:
    program = [sys.executable, "-c", STOPPED_AT_THE_LAST_LINE]
    done = subprocess.run(program, capture_output=True, text=True, env=environment())
    assert done.returncode == 143
    assert done.stderr.count("\n") == 1 and "nowhere" in done.stderr


NO_MORE_PROCESSES = """
import os, subprocess, sys
started = []

class Popen(subprocess.Popen):
    def __init__(self, *words, **more):
        if started:
            raise BlockingIOError(11, "Resource temporarily unavailable")
        started.append(self)
        super().__init__(*words, **more)

subprocess.Popen = Popen
sys.argv = ["pxdesign", "pipeline", *{words}]
from pxtools.commands.pxdesign import main
main()
"""


def test_a_tool_that_cannot_be_started_ends_the_others(tmp_path: Path) -> None:
    given, _ = small_run(tmp_path, n=4, chunk=1, steps=LONG)
    program = [sys.executable, "-c", NO_MORE_PROCESSES.format(words=[*map(str, given)])]
    done = subprocess.run(program, capture_output=True, text=True, env=environment(), timeout=60)
    assert done.returncode == 2 and "Traceback" not in done.stderr
    assert "cannot start a further process: Resource temporarily" in done.stderr
    assert not started_by(tmp_path)


STOPPED_AT_ONCE = """
import subprocess
from pxtools.fronts.front import Front

started = Front().start("sample", [], stderr=subprocess.PIPE)
started.send_signal({signum})  # its Python is not there yet
print(started.communicate()[1].decode(), started.returncode)
"""


@pytest.mark.parametrize("name", ["INT", "TERM", "HUP"])
def test_a_stop_before_its_python_is_there_is_told_as_any_other(name: str) -> None:
    program = STOPPED_AT_ONCE.format(signum=int(getattr(signal, f"SIG{name}")))
    said = subprocess.check_output([sys.executable, "-c", program], env=environment(), text=True)
    assert said == f"px-sample: stopped; run the same command to continue\n {STOPS[name]}\n"


DROPPING = """
import os, signal
from pxtools.interrupt import Interrupted
from {module} import {owner} as owner
{before}
called = owner.{name}

def drops(*words):
    try:
        os.kill(os.getpid(), signal.SIGTERM)
    except Interrupted:
        pass  # as MLX does while it takes an array over
    return called(*words)

owner.{name} = drops
from pxtools.commands.{tool} import main
main()
"""


def dropping(tool: str, module: str, what: str, *words: object, before: str = "") -> list[str]:
    """A command that is told to stop whenever it calls `what`, where that is lost."""
    owner, name = what.split(".")
    program = DROPPING.format(
        tool=tool.removeprefix("px-").replace("-", "_"),
        module=module,
        owner=owner,
        name=name,
        before=before,
    )
    return [sys.executable, "-c", program, *map(str, words)]


def test_a_stop_that_is_dropped_on_its_way_stops_after_the_step(tmp_path: Path) -> None:
    given, _ = small_run(tmp_path, n=4, chunk=2, steps=4)
    line = dropping("px-sample", "pxtools.network.pxdesign", "PXDesignD.denoise", *given)
    sampled = subprocess.run(line, capture_output=True, text=True, env=environment())
    assert sampled.returncode == 143, sampled.stderr
    assert "Saved samples 1-2 at step 1/4" in sampled.stderr


def test_a_dropped_stop_is_noticed_while_nothing_comes(tmp_path: Path) -> None:
    given, _ = small_run(tmp_path, n=1, chunk=1, steps=1)
    chunk = run("px-sample", *given).stdout
    design = run("px-write-cif", "--print", stdin=chunk).stdout
    on_a_gpu = "from pxtools.network import ops; ops.on_cpu = lambda: False"
    line = dropping("px-sequence", "pxtools.sequences.runs", "_Work._make", before=on_a_gpu)
    process = subprocess.Popen(line, stdin=subprocess.PIPE, text=True, env=environment())
    assert process.stdin
    process.stdin.write(design)
    process.stdin.flush()
    assert process.wait(timeout=60) == 143


def test_a_dropped_stop_ends_a_conversion(tmp_path: Path) -> None:
    words = [DATA / "tiny/checkpoint.pt", "-o", tmp_path / "model"]
    line = dropping("px-convert-checkpoint", "pxtools.conversion", "pxdesign.derive_config", *words)
    converted = subprocess.run(line, capture_output=True, text=True, env=environment())
    assert converted.returncode == 143, converted.stderr
    assert not (tmp_path / "model/model.safetensors").exists()


LOADING = """
import os, signal
from pxtools.commands import cli, target
load = cli.import_module

def loads(name):
    os.kill(os.getpid(), signal.SIGTERM)
    print(load(name).__name__)

cli.import_module = loads
target.main()
"""


def test_a_stop_waits_until_the_libraries_are_loaded(tmp_path: Path) -> None:
    """They are C++ that aborts where a signal's exception passes through it."""
    program = [sys.executable, "-c", LOADING, "-i", str(tmp_path / "x")]
    stopped = subprocess.run(program, capture_output=True, text=True, env=environment())
    assert stopped.returncode == 143, stopped.stderr
    assert stopped.stdout == "pxtools.task.inspection\n"


def test_a_second_ctrl_c_does_not_wait_for_the_cifs(tmp_path: Path) -> None:
    given, folder = small_run(tmp_path, n=600, chunk=300, steps=1)
    run("px-sample", *given)
    chunks = "\n".join(map(str, folder.glob("chunks/*.msgpack")))
    process = subprocess.Popen(
        command("px-write-cif"),
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(),
    )
    assert process.stdin and process.stderr
    process.stdin.write(chunks + "\n")
    process.stdin.flush()
    for wanted in ("50/600", "200/600"):
        assert any(f"Saving CIF files: {wanted}" in line for line in process.stderr)
        process.send_signal(signal.SIGINT)
    assert process.wait(timeout=20) == 130
    assert 200 <= len(list(folder.glob("predictions/*.cif"))) < 600


@pytest.mark.parametrize("how", ["closed", "as_a_shells_job"])
def test_a_closed_terminal_saves_and_stops(tmp_path: Path, how: str) -> None:
    terminal = Terminal(tmp_path)
    terminal.until("READY> ")
    settings = " ".join(f"'{word}'" for word in words(tmp_path))
    start = "exec " if how == "closed" else ""  # exec: the front leads the session itself
    terminal.type(f"{start}{ROOT}/bin/just pipeline {settings}\n")
    terminal.until("Diffusion step [101/")
    os.close(terminal.fd)
    until(lambda: not started_by(tmp_path), 10)
    (state,) = (StateHead.read(path) for path in tmp_path.rglob("*.state"))
    assert state and state.step > 50


def test_a_stop_told_twice_is_one_stop(tmp_path: Path) -> None:
    """A terminal tells all processes, and the front tells them again."""
    given, _ = small_run(tmp_path, n=2, chunk=1, steps=LONG)
    sampler = start(command("px-sample", *given))
    wait_for_step(sampler)
    for _ in range(20):
        sampler.send_signal(signal.SIGINT)
        time.sleep(0.01)
    said = rest_of(sampler)
    assert sampler.wait() == 130 and "Traceback" not in said
    assert saved_as_said(tmp_path, said)
