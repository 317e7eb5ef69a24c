"""Sample in rounds until enough designs pass every check: just pipeline until=100."""

import json
import math
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count

from pxtools.console import duration, say, warn
from pxtools.exit_codes import FAILED_SAMPLES, INCOMPLETE, gravest
from pxtools.fronts.front import Front

N_MAX = 5000  # samples of each run, where nothing else is asked for
GROWTH = 4  # a round makes at most so many times the designs that there are
SPARE = 1.1  # more than the rate so far asks for: the next round is to be the last


@dataclass(frozen=True)
class Tally:
    """Of all designs of the runs that are asked for."""

    designs: int
    passed: int
    runs: int

    def next_total(self, until: int) -> int:
        """How many designs there should be, by the rate so far, for enough to pass."""
        most = GROWTH * self.designs
        if not self.passed:
            return most
        wanted = self.designs + (until - self.passed) * self.designs / self.passed * SPARE
        return min(most, math.ceil(wanted))


def sample_until(
    front: Front,
    sample: Callable[[list[str]], int],
    to_score: Callable[[], list[str]],
    until: int,
    n_max: int,
    asked: int = 0,
) -> int:
    """Call `sample` with ever higher --N_sample until so many pass. Returns its exit code.

    `sample` asks for `asked` samples of each run by itself. What is there already counts: the
    same command goes on where it was stopped. `to_score`: px-score's words for the runs asked for.
    """
    words = [f"--N_sample={n_max}"] if asked > n_max else []
    each = min(asked, n_max)  # samples asked for of each run; some may never become designs
    before, pace = 0, 0.0
    for number in count(1):
        begun = time.monotonic()
        code = sample(words)
        if code not in (0, FAILED_SAMPLES):
            return code
        tally = tally_of(front, to_score())
        if isinstance(tally, int):
            return tally
        if tally.designs > before:
            pace = (time.monotonic() - begun) / (tally.designs - before)
        before = tally.designs
        share = f"{100 * tally.passed / max(tally.designs, 1):.0f} %"
        found = f"{tally.passed} of {tally.designs} designs pass every check ({share})"
        if tally.passed >= until:
            say(f"✓ {found}: {until} were asked for")
            return code
        runs = max(tally.runs, 1)
        each = max(each, tally.designs // runs)
        further = math.ceil((tally.next_total(until) - tally.designs) / runs)
        n_sample = min(n_max, each + further)
        if n_sample <= each or not tally.designs:
            warn(f"{found}, {until} were asked for; N_max={n_max} allows no more samples")
            return gravest((code, INCOMPLETE))
        more = (n_sample - each) * runs
        say(f"  Round {number}: {found}; next {more} designs, about {duration(more * pace)}")
        words, each = [f"--N_sample={n_sample}"], n_sample
    raise AssertionError("count() ends never")


def tally_of(front: Front, to_score: list[str]) -> Tally | int:
    """Score what has no row yet and count; an exit code where px-score failed or was stopped."""
    if front.stopped:
        return front.wait()
    scoring = front.start("score", ["--json", "--quiet", *to_score], stdout=subprocess.PIPE)
    assert scoring.stdout
    text = scoring.stdout.read()
    if code := front.wait():
        return code
    rows = json.loads(text)
    runs = {row["folder"] for row in rows}
    return Tally(len(rows), sum(not row["failed"] for row in rows), len(runs))
