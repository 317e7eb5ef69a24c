from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from report.browser import NO_GL, SOFTWARE_GL, Browser, chromium, playwright

from pxtools.report.contents import Report
from pxtools.report.page import render

Written = Callable[[Report], Path]


@pytest.fixture(scope="session")
def play() -> Iterator[Any]:
    with playwright() as made:
        yield made


@pytest.fixture(scope="session")
def browser(play: Any) -> Iterator[Browser]:
    with chromium(play, *SOFTWARE_GL) as made:
        yield made


@pytest.fixture(scope="session")
def browser_without_gl(play: Any) -> Iterator[Browser]:
    with chromium(play, *NO_GL) as made:
        yield made


@pytest.fixture
def written(tmp_path: Path) -> Written:
    """Writes a report's page, returns its path."""

    def write(report: Report) -> Path:
        path = tmp_path / "report.html"
        path.write_bytes(render(report))
        return path

    return write
