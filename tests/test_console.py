import io
import sys

import pytest

from pxtools.console import bars, say


@pytest.mark.parametrize("is_terminal", [False, True])
def test_no_signal_can_come_between_a_line_and_its_end(
    is_terminal: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[str] = []

    class Stream(io.StringIO):
        def write(self, text: str) -> int:
            written.append(text)
            return len(text)

        def isatty(self) -> bool:
            return is_terminal

    monkeypatch.setattr(sys, "stderr", Stream())
    monkeypatch.setenv("TERM", "xterm")
    say("first")
    (line,) = filter(str.strip, written)
    assert line.endswith("first\n")


def test_bars_take_no_semaphore_that_would_be_left_behind() -> None:
    from tqdm.std import TqdmDefaultWriteLock

    with bars()(total=1, disable=False, file=io.StringIO()) as bar:
        bar.update()
    assert not hasattr(TqdmDefaultWriteLock, "mp_lock")
