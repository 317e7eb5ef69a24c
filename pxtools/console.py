"""What the tools say on stderr: errors, warnings, the documented progress lines, the live bar."""

import sys
from collections.abc import Sequence
from typing import Any

RULE = "=" * 60
LINE_EVERY_STEPS = 50
LINE_EVERY_FILES = 50


def in_columns(rows: Sequence[Sequence[str]]) -> list[str]:
    """The rows of a table as lines, every column as wide as its widest cell."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ("  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)) for row in rows)
    return [line.rstrip() for line in lines]


def warn(text: str) -> None:
    """Say something the user must know; --quiet does not silence it."""
    say(f"⚠ {text}")


def say(text: str = "") -> None:
    """Print a line on stderr, above a live bar if there is one."""
    if sys.stderr.isatty():
        from tqdm import tqdm

        tqdm.write(text, file=sys.stderr)
    else:
        print(text, file=sys.stderr, flush=True)


class Progress:
    """The progress of px-sample, in the words of docs/files.md; silent when `quiet`."""

    def __init__(self, n_sample: int, chunk_size: int, quiet: bool = False):
        self.n_sample = n_sample
        self.chunk_size = chunk_size
        self.say = (lambda text="": None) if quiet else say
        self.bar_off = quiet or not sys.stderr.isatty()

    def start(self) -> None:
        self.say(RULE)
        self.say(
            f"Starting chunked diffusion: {self.n_sample} samples in chunks of {self.chunk_size}"
        )
        self.say(RULE)

    def chunk(self, number: int, total: int, first: int, last: int, n_step: int, done: int) -> Any:
        """Announce chunk `number` (samples first..last, from 1); returns its live bar."""
        from tqdm import tqdm

        self.say()
        self.say(f"[Chunk {number}/{total}] Generating samples {first}-{last}/{self.n_sample}")
        if done:
            self.say(f"  Going on after step {done}/{n_step}")
        return tqdm(
            total=n_step,
            initial=done,
            desc=f"  samples {first}-{last}",
            unit="step",
            leave=False,
            disable=self.bar_off,
            file=sys.stderr,
        )

    def step(self, step: int, n_step: int, first: int, last: int) -> None:
        """Step `step` of `n_step` begins, counted from 1."""
        if step % LINE_EVERY_STEPS == 1 or step == n_step:
            samples = f"samples [{first}-{last}/{self.n_sample}]"
            self.say(f"  Diffusion step [{step}/{n_step}] for {samples}")

    def chunk_done(self, number: int, total: int, first: int, last: int) -> None:
        self.say(f"✓ Completed chunk {number}/{total} (samples {first}-{last})")


def resuming(name: str, existing: int) -> str:
    return f"⚠ Resuming sample={name}: {existing} samples already exist, continuing generation..."


def already_complete(name: str, existing: int) -> str:
    return f"✓ Skip sample={name}: already completed ({existing} samples exist)."


def saving(new: int, total: int, skipped: int) -> str:
    return f"  Saving CIF files: {new}/{total} (skipped {skipped} existing)"


def saved(new: int, skipped: int) -> str:
    if not skipped:
        return f"✓ Saved all {new} samples"
    return f"✓ Saved {new} new samples, skipped {skipped} existing samples"
