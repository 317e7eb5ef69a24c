"""Several px-sample on this machine at once: one for each GPU, or for some cores each.

They share out the chunks by locks. Their paths and words come out merged, each once; one signal
stops them all.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from queue import SimpleQueue
from threading import Thread
from types import FrameType
from typing import IO, TYPE_CHECKING, NamedTuple

from pxtools.console import LEFT_TO_OTHERS, bars, is_live, say, warn
from pxtools.errors import InputError
from pxtools.exit_codes import HELD_BY_OTHERS, gravest
from pxtools.fronts.front import Front
from pxtools.runs.folder import samples_in

if TYPE_CHECKING:
    from pxtools.sampling.runs import SampleRequest

DRIVER = Path("/proc/driver/nvidia/gpus")
MOST = 256


def for_gpus(count: int) -> list[dict[str, str]]:
    """The environment of a process for each of `count` cards. Raises InputError."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES", "")
    cards = [card.strip() for card in visible.split(",") if card.strip()]
    if not cards and DRIVER.is_dir():
        cards = [str(i) for i, _ in enumerate(DRIVER.iterdir())]
    if not cards:
        raise InputError("--gpus: no CUDA card is here; --processes shares out the CPU's cores")
    if not 1 <= count <= len(cards):
        raise InputError.of_option("--gpus", f"1 to {len(cards)}, the cards here", count)
    return [{"CUDA_VISIBLE_DEVICES": card} for card in cards[:count]]


def for_processes(count: int) -> list[dict[str, str]]:
    """The environment of each of `count` processes. Raises InputError."""
    if not 1 <= count <= MOST:
        raise InputError.of_option("--processes", f"1 to {MOST}", count)
    return [{} for _ in range(count)]


class Line(NamedTuple):
    """What a process has said; no text where a stream of it has ended."""

    process: int
    is_path: bool
    text: str | None


class Together(Front):
    """px-sample in several processes."""

    def __init__(self, words: Sequence[str], request: SampleRequest):
        super().__init__()
        self.words, self.request = list(words), request
        self.lines: SimpleQueue[Line] = SimpleQueue()
        self.said_by_one: Counter[Line] = Counter()
        self.said: Counter[tuple[bool, str]] = Counter()
        self.left = ""
        off = not is_live(sys.stderr)
        self.bar = bars()(total=request.total, desc="  samples", unit="", leave=False, disable=off)

    def _hand_on(self, signum: int, frame: FrameType | None) -> None:
        self.stopped = self.stopped or signum
        for process in self.running:
            process.send_signal(signum)

    def sample(self, environments: Sequence[Mapping[str, str]]) -> int:
        """Run a process in each environment to its end; the exit code of all together."""
        codes = self._run(environments)
        ended = zip(environments, codes, strict=False)  # fewer where a stop came before all began
        survivor = next((environment for environment, code in ended if code >= 0), None)
        for _ in environments:
            if survivor is None or self.stopped or min(codes) >= 0:
                break
            name = signal.Signals(-min(codes)).name
            warn(f"a process was ended by {name} (too little memory?); one more takes its samples")
            codes = [code for code in codes if code >= 0] + self._run([survivor])
        self.bar.close()
        code = 128 + self.stopped if self.stopped else _together(codes)
        if code == HELD_BY_OTHERS:
            if not self.request.missing:
                return 0  # those that each left to the others are made
            say(self.left)
        return code

    def _run(self, environments: Sequence[Mapping[str, str]]) -> list[int]:
        for environment in environments:
            if not self.stopped:
                self._start(environment)
        open_streams = 2 * len(self.running)
        try:
            while open_streams:
                line = self.lines.get()
                if line.text is None:
                    open_streams -= 1
                else:
                    self._pass_on(line)
        except BrokenPipeError:
            self._hand_on(signal.SIGTERM, None)
            raise
        finally:
            codes = [process.wait() for process in self.running]
            self.running.clear()
        return codes

    def _start(self, environment: Mapping[str, str]) -> None:
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        process = self.start("sample", self.words, environment, **pipes)
        for stream in (process.stdout, process.stderr):
            assert stream
            reader = (process.pid, stream is process.stdout, stream)
            Thread(target=self._read, args=reader, daemon=True).start()

    def _read(self, process: int, is_path: bool, stream: IO[bytes]) -> None:
        for line in stream:
            self.lines.put(Line(process, is_path, os.fsdecode(line).rstrip("\n")))
        self.lines.put(Line(process, is_path, None))

    def _pass_on(self, line: Line) -> None:
        """Say a line unless another process has said it, as often, before."""
        text = line.text or ""
        self.said_by_one[line] += 1
        if self.said_by_one[line] <= self.said[line.is_path, text]:
            return
        if text.startswith(LEFT_TO_OTHERS):
            self.left = text  # to one of these, most likely
            return
        self.said[line.is_path, text] += 1
        if line.is_path:
            print(text, flush=True)
            self.bar.update(len(samples_in(Path(text).stem.removeprefix("samples_"))))
        else:
            say(text)


def _together(codes: Sequence[int]) -> int:
    """The gravest code; samples are held by others if all processes found it."""
    code = gravest(codes)
    return 0 if code == HELD_BY_OTHERS and 0 in codes else code
