"""What a pipeline exits with, by the codes of its tools."""

from typing import Any

import pytest

from pxtools.fronts.front import Front
from pxtools.fronts.pipeline import Pipeline
from pxtools.interrupt import HELD_BY_OTHERS


class Codes(Front):
    """Starts nothing: each tool ends with a code, 0 unless one is given."""

    def __init__(self, **codes: int):
        self.codes, self.stopped, self.asked = codes, None, list[str]()

    def run(self, tool: str, words: list[str], **streams: Any) -> int:
        self.asked.append(tool)
        return self.codes.get(tool, 0)

    def pipe(self, tool: str, words: list[str], reader: str, reader_words: list[str]) -> int:
        return self.run(tool, words)


@pytest.mark.parametrize(
    ("codes", "code", "shows"),
    [
        ({}, 0, True),
        ({"sample": 2}, 2, False),
        ({"sample": 3, "status": 1}, 3, True),
        ({"sample": HELD_BY_OTHERS, "status": 1}, HELD_BY_OTHERS, True),
        ({"sample": HELD_BY_OTHERS}, 0, True),  # complete by now
        ({"sequence": 2}, 2, True),
        ({"score": 2}, 2, False),
    ],
)
def test_the_first_failure_is_the_pipelines(codes: dict[str, int], code: int, shows: bool) -> None:
    front = Codes(**codes)
    wanted = Pipeline([], "-i=x", "out", sequences="1", until=None, n_max=1, n_sample=0)
    assert wanted.run(front) == code
    assert ("report" in front.asked) == shows
