"""What the tools exit with (docs/files.md); 128 + the signal where one ended them."""

import signal
from collections.abc import Iterable

INCOMPLETE = 1  # px-status; just pipeline until=
FAILED_SAMPLES = 3  # they became NaN or infinite
BUG = 70  # with a traceback
HELD_BY_OTHERS = 75  # what is missing is left to others at work
CLOSED_PIPE = 128 + signal.SIGPIPE  # the reader is gone
# the gravest first; codes that are none of these are graver
BY_GRAVITY = (FAILED_SAMPLES, HELD_BY_OTHERS, INCOMPLETE, CLOSED_PIPE, 0)


def gravest(codes: Iterable[int]) -> int:
    """Of several processes' codes (-N where signal N ended one) the first that tells most."""
    positive = [128 - code if code < 0 else code for code in codes]
    rank = {code: i for i, code in enumerate(BY_GRAVITY)}
    return min(positive, key=lambda code: rank.get(code, -1), default=0)
