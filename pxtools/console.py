"""What the tools say on stderr: errors, warnings, the documented progress lines, the live bar."""

import os
import sys
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from functools import cache
from typing import Any, Protocol, TextIO

RULE = "=" * 60
LEFT_TO_OTHERS = "Nothing left to do here"
LINE_EVERY_STEPS = 50
LINE_EVERY_FILES = 50
LEFT_FROM_SECONDS = 60  # a log says how long it still takes, unless it is less
WIPE = "\r\x1b[K"  # what a terminal shows on this line, such as the ^C that was typed


def is_live(stream: TextIO) -> bool:
    """Whether it is a terminal on which a line can be written over."""
    return stream.isatty() and os.environ.get("TERM") != "dumb"


def in_columns(rows: Sequence[Sequence[str]]) -> list[str]:
    """The rows of a table as lines, every column as wide as its widest cell."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ("  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)) for row in rows)
    return [line.rstrip() for line in lines]


def warn(text: str) -> None:
    """Say something the user must know; --quiet does not silence it."""
    say(f"⚠ {text}")


def say(text: str = "") -> None:
    """Print a line on stderr, above a live bar if there is one.

    In one piece: a signal that came before its end would leave half a line. Where stderr cannot
    be written (a terminal that is gone, a full disk) nobody is told.
    """
    with suppress(OSError):
        if is_live(sys.stderr):
            bars().write(f"{WIPE}{text}\n", file=sys.stderr, end="")
        else:
            print(f"{text}\n", file=sys.stderr, end="", flush=True)


def duration(seconds: float) -> str:
    """2h05m, 1m30s"""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h{minutes:02}m" if hours else f"{minutes}m{rest:02}s"


@cache
def bars() -> Any:
    """tqdm, loaded for a terminal alone, with a lock for threads.

    Its own lock is for processes, and one of them is left behind where Python does not end itself.
    """
    from threading import RLock

    from tqdm import tqdm

    tqdm.set_lock(RLock())
    return tqdm


class Bar(Protocol):
    """A live bar, or none."""

    def update(self) -> object: ...


class _NoBar:
    """Where nobody would see one: tqdm need not be loaded for it."""

    def update(self) -> None:
        pass


class Progress:
    """The progress of px-sample, in the words of docs/files.md; silent when `quiet`."""

    def __init__(self, n_sample: int, chunk_size: int, quiet: bool = False):
        self.n_sample = n_sample
        self.chunk_size = chunk_size
        self.say = (lambda text="": None) if quiet else say
        self.bar_off = quiet or not is_live(sys.stderr)
        self.to_make, self.made = 0.0, 0.0  # samples; those begun count by their steps
        self.started_at = time.monotonic()

    def start(self, to_make: int) -> None:
        self.to_make = to_make
        self.started_at = time.monotonic()
        self.say(RULE)
        self.say(
            f"Starting chunked diffusion: {self.n_sample} samples in chunks of {self.chunk_size}"
        )
        self.say(RULE)

    def chunk(
        self, samples: list[int], number: int, total: int, n_step: int, done: int
    ) -> AbstractContextManager[Bar]:
        """Announce chunk `number`; gives its live bar."""
        made_before = len(samples) * done / n_step
        self.to_make -= made_before
        self.made -= made_before
        self.say()
        self.say(f"[Chunk {number}/{total}] Generating samples {_span(samples)}/{self.n_sample}")
        if len(samples) < samples[-1] - samples[0] + 1:
            self.say(f"  {len(samples)} of them, with binders of one length")
        if done:
            self.say(f"  Continuing after step {done}/{n_step}")
        if self.bar_off:
            return nullcontext(_NoBar())
        bar: AbstractContextManager[Bar] = bars()(
            total=n_step,
            initial=done,
            desc=f"  samples {_span(samples)}",
            unit="step",
            leave=False,
            dynamic_ncols=True,
            file=sys.stderr,
        )
        return bar

    def step(self, step: int, n_step: int, samples: list[int]) -> None:
        """Step `step` of `n_step` begins, counted from 1."""
        if step % LINE_EVERY_STEPS == 1 or step == n_step:
            of = f"samples [{_span(samples)}/{self.n_sample}]"
            self.say(f"  Diffusion step [{step}/{n_step}] for {of}")

    def chunk_done(self, samples: list[int], number: int, total: int) -> None:
        self.say(f"✓ Completed chunk {number}/{total} (samples {_span(samples)})")
        self.made += len(samples)
        seconds = (time.monotonic() - self.started_at) / max(self.made, 1e-9)
        left = (self.to_make - self.made) * seconds
        if self.bar_off and left > LEFT_FROM_SECONDS:
            self.say(f"  About {duration(left)} left ({seconds:.1f} s a sample)")


def _span(samples: list[int]) -> str:
    """Counted from 1, as people do."""
    return f"{samples[0] + 1}-{samples[-1] + 1}"


def resuming(name: str, existing: int) -> str:
    return f"⚠ Resuming sample={name}: {existing} samples already exist, continuing generation..."


def already_complete(name: str, existing: int, part: str = "") -> str:
    of_part = f"{part} " if part else ""
    return f"✓ Skip sample={name}: {of_part}already completed ({existing} samples exist)."


def nothing_of_it(name: str, part: str) -> str:
    return f"{part} has none of {name}: there are fewer chunks than shards"


def left_to_others(name: str, count: int) -> str:
    return f"{LEFT_TO_OTHERS}: another process is making {count} samples of {name}"


def part_of_run(part: str, wanted: int, total: int) -> str:
    return f"  Only {part}: {wanted} of {total} samples"


def saving(new: int, total: int, skipped: int) -> str:
    return f"  Saving CIF files: {new}/{total} (skipped {skipped} existing)"


def saved(new: int, skipped: int, missing: int = 0) -> str:
    if not skipped and not missing:
        return f"✓ Saved all {new} samples"
    return f"✓ Saved {new} new samples, skipped {skipped} existing samples"
