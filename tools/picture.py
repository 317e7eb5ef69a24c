"""Open a report's page in headless Chromium, take its picture, and say how fast it is.

python tools/picture.py results/report.html docs/report.png [--state "tab=checks&c=fold"]
"""

import argparse
import statistics
from pathlib import Path
from typing import Any

from playwright.sync_api import sync_playwright

GL = "--disable-gpu-compositing --enable-unsafe-swiftshader"  # as on a machine without a GPU
CHOOSE = """() => {
  const start = performance.now();
  move(1);
  return performance.now() - start;
}"""
FILTER = """(words) => {
  const start = performance.now();
  change({ filter: words });
  return performance.now() - start;
}"""
SCROLL = """() => new Promise((done) => {
  const box = document.getElementById("rows"), times = [];
  let last = performance.now();
  const frame = (now) => {
    times.push(now - last);
    last = now;
    box.scrollTop += 100;
    if (times.length < 60) requestAnimationFrame(frame); else done(times.slice(5));
  };
  requestAnimationFrame(frame);
})"""


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n", 1)[0])
    parser.add_argument("page", type=Path)
    parser.add_argument("picture", type=Path)
    parser.add_argument("--state", default="", help="what stands after # in the page's address")
    parser.add_argument("--size", default="1280x800")
    parser.add_argument("--dark", action="store_true")
    asked = parser.parse_args()
    width, height = map(int, asked.size.split("x"))
    with sync_playwright() as play:
        chromium = play.chromium.launch(
            executable_path="/usr/bin/chromium", args=["--no-sandbox", *GL.split()]
        )
        page = chromium.new_page(
            viewport={"width": width, "height": height},
            color_scheme="dark" if asked.dark else "light",
        )
        page.goto(asked.page.absolute().as_uri() + "#" + asked.state)
        page.wait_for_selector("html[data-ready]", state="attached", timeout=120_000)
        if page.locator("#surface:checked").count():
            page.wait_for_selector("#canvas[data-surface]", state="attached", timeout=120_000)
        page.wait_for_timeout(500)
        page.screenshot(path=asked.picture)
        print("\n".join(times(page, asked.page)))
        chromium.close()


def times(page: Any, path: Path) -> list[str]:
    """Lines that say how large and how fast the page is."""
    ready = page.locator("html").get_attribute("data-ready")
    chosen = statistics.median(page.evaluate(CHOOSE) for _ in range(7))
    filtered = statistics.median(page.evaluate(FILTER, f"contacts>{n}") for n in range(10, 17))
    page.evaluate(FILTER, "")
    page.wait_for_timeout(300)
    frames = sorted(page.evaluate(SCROLL))
    return [
        f"size            {path.stat().st_size / 1e6:.2f} MB",
        f"first picture   {int(ready) / 1000:.1f} s",
        f"choose another  {chosen:.0f} ms",
        f"filter          {filtered:.0f} ms",
        f"scroll, a frame {statistics.median(frames):.0f} ms (95 % under {frames[-3]:.0f} ms)",
    ]


if __name__ == "__main__":
    main()
