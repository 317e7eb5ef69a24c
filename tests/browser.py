"""A real headless Chromium that opens report pages from disk and may reach nothing else."""

import os
import shutil
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pxtools.report.contents import Report
from pxtools.report.page import render

# the same engine; without a window's parts it starts and loads in less time
NAMES = ("chromium-headless-shell", "chromium")
CHROMIUM = os.environ.get("PXTOOLS_CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), "")
SOFTWARE_GL = ("--disable-gpu-compositing", "--enable-unsafe-swiftshader")
NO_GL = ("--disable-gpu", "--disable-3d-apis", "--disable-software-rasterizer")
Written = Callable[[Report], Path]
READY = "html[data-ready]"
SURFACE = "#canvas[data-surface]"
UNPACK = """async (png) => {
  const bytes = Uint8Array.from(atob(png), (c) => c.charCodeAt(0));
  const image = await createImageBitmap(new Blob([bytes]));
  const pen = new OffscreenCanvas(image.width, image.height).getContext("2d");
  pen.drawImage(image, 0, 0);
  const { data } = pen.getImageData(0, 0, image.width, image.height);
  let text = "";
  for (let i = 0; i < data.length; i += 8192) {
    text += String.fromCharCode(...data.subarray(i, i + 8192));
  }
  return [image.height, image.width, btoa(text)];
}"""


@dataclass
class Browser:
    """A browser, and everything its pages asked for or complained of."""

    made: Any
    requests: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    @contextmanager
    def page(
        self,
        path: Path,
        hash: str = "surf=false",
        width: int = 1280,
        height: int = 800,
        **options: Any,
    ) -> Iterator[Any]:
        """The page, drawn; afterwards it must have asked for nothing and complained of nothing.

        `surf=false` saves the time that a surface takes without a graphics card.
        """
        size = {"width": width, "height": height}
        context = self.made.new_context(
            viewport=size, offline=True, accept_downloads=True, bypass_csp=False, **options
        )
        page = context.new_page()
        page.on("request", lambda request: self.requests.append(request.url))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("console", self._heard)
        try:
            page.goto(path.as_uri() + (f"#{hash}" if hash else ""))
            page.wait_for_selector(READY, state="attached", timeout=30_000)
            yield page
        finally:
            context.close()
        outside = [u for u in self.requests if u.split(":")[0] not in ("file", "data", "blob")]
        assert outside == []
        assert self.complaints == []

    def _heard(self, message: Any) -> None:
        if message.type == "error":
            self.complaints.append(message.text)


@contextmanager
def playwright() -> Iterator[Any]:
    """Skips the test where no Chromium or no playwright is installed."""
    module = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if not CHROMIUM:
        pytest.skip("no chromium is installed (PXTOOLS_CHROMIUM names another browser)")
    with module.sync_playwright() as play:
        yield play


@contextmanager
def chromium(play: Any, *flags: str) -> Iterator[Browser]:
    made = play.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", *flags])
    yield Browser(made)
    made.close()


@pytest.fixture(scope="session")
def play() -> Iterator[Any]:
    with playwright() as made:
        yield made


@pytest.fixture(scope="session")
def browser(play: Any) -> Iterator[Browser]:
    with chromium(play, *SOFTWARE_GL) as made:
        yield made


@pytest.fixture(scope="session")
def plain(play: Any) -> Iterator[Browser]:
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


def pixels(page: Any, png: bytes) -> np.ndarray:
    """(height, width, 3) of a PNG, unpacked by the page's browser."""
    height, width, data = page.evaluate(UNPACK, b64encode(png).decode())
    rgba = np.frombuffer(b64decode(data), np.uint8).reshape(height, width, 4)
    return rgba[..., :3]


def share_of_colour(image: np.ndarray, colour: str, near: float = 0.06) -> float:
    """The share of pixels with a colour's hue, in any light; none of grey ones."""
    wanted = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)], float)
    points = image.reshape(-1, 3).astype(float)
    length = np.linalg.norm(points, axis=1)
    grey = np.ptp(points, axis=1) < 40
    along = points / np.maximum(length, 1)[:, None] @ (wanted / np.linalg.norm(wanted))
    return float(np.mean((1 - along < near) & ~grey & (length > 60)))
