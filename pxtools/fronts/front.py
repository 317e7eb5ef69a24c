"""A front: starts tools, hands signals on to them, waits for all of them, exits as they did."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from types import FrameType
from typing import Any

from pxtools.console import say
from pxtools.errors import InputError
from pxtools.exit_codes import gravest
from pxtools.interrupt import FRONT, catch_interrupts, held_back


class Front:
    """The tools that were started together, in the order of their pipe.

    `stopped` is the first signal that arrived; nothing is started after it.
    """

    def __init__(self) -> None:
        self.stopped: int | None = None
        self.running: list[subprocess.Popen[bytes]] = []
        catch_interrupts(self._hand_on)

    def _hand_on(self, signum: int, frame: FrameType | None) -> None:
        self.stopped = self.stopped or signum
        # Ctrl+C ends the head of a pipe; the others finish what it has given them
        for process in self.running[:1] if signum == signal.SIGINT else self.running:
            process.send_signal(signum)

    def start(
        self,
        tool: str,
        words: list[str],
        environment: Mapping[str, str] | None = None,
        **streams: Any,
    ) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", f"pxtools.commands.{tool}", *words]
        variables = {**os.environ, **(environment or {}), FRONT: str(os.getpid())}
        with held_back():
            process = subprocess.Popen(command, env=variables, **streams)
            self.running.append(process)
        if self.stopped:  # it came before the tool was started
            self._hand_on(self.stopped, None)
        return process

    def wait(self) -> int:
        """The exit code of all that were started: the signal's, or the gravest."""
        codes = [process.wait() for process in self.running]
        self.running.clear()
        return 128 + self.stopped if self.stopped else gravest(codes)

    def code_of(self, work: Callable[[], int]) -> int:
        """The exit code of `work`; 2 where a tool of it cannot be started, once the others end."""
        try:
            return work()
        except InputError as error:
            say(str(error))
            self._hand_on(signal.SIGTERM, None)
            self.wait()
            return 2

    def run(self, tool: str, words: list[str], **streams: Any) -> int:
        """Start one tool and wait for it."""
        if not self.stopped:
            self.start(tool, words, **streams)
        return self.wait()

    def pipe(self, tool: str, words: list[str], reader: str, reader_words: list[str]) -> int:
        """Start two tools, the second reading what the first prints, and wait for both."""
        first = self.start(tool, words, stdout=subprocess.PIPE)
        assert first.stdout
        self.start(reader, reader_words, stdin=first.stdout)
        first.stdout.close()
        return self.wait()
