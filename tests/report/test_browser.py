"""The page in a real browser: what one can do on it, and what is drawn.

Every page is opened without a network; one that asks for anything but files, or says an error on
its console, fails its test (browser.py). What needs no picture is tested in a `plain` browser,
one without WebGL, where a page takes half as long.
"""

import ast
import csv
import io
import json
import string
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from browser import SURFACE, Browser, Written, pixels, share_of_colour
from made_report import COLUMNS, design, report

from pxtools.report.contents import Column, Lettered, Run
from pxtools.report.page import render

pytestmark = pytest.mark.slow
BINDER, HELIX, FAILED = "#e8590c", "#6741d9", "#b3261e"
STATE = "document.documentElement.dataset"


def names(page: Any) -> list[str]:
    return list(page.locator("#rows tbody tr[data-key] td:nth-child(2)").all_inner_texts())


def count(page: Any) -> str:
    return str(page.locator("#count").inner_text())


def picture(page: Any, of: str = "#canvas") -> np.ndarray:
    page.wait_for_timeout(150)  # what has changed is drawn anew meanwhile
    return pixels(page, page.locator(f"{of} canvas").first.screenshot())


def download(page: Any, act: Callable[[], None]) -> bytes:
    with page.expect_download() as found:
        act()
    return Path(found.value.path()).read_bytes()


# 3-D


def test_the_chosen_design_is_drawn_in_its_colour(browser: Browser, written: Written) -> None:
    with browser.page(written(report(6)), "") as page:
        page.wait_for_selector(SURFACE, state="attached")
        first = picture(page)
        assert first.std() > 5 and share_of_colour(first, BINDER) > 0.004
        assert share_of_colour(first, HELIX) < 0.001
        page.keyboard.press("ArrowDown")
        second = picture(page)
        moved = np.abs(first.astype(int) - second).max(-1) > 40
        assert moved.mean() > 0.002 and share_of_colour(second, BINDER) > 0.004
        page.select_option("#colour", "fold")
        folded = picture(page)
        assert share_of_colour(folded, HELIX) > 0.004 and share_of_colour(folded, BINDER) < 0.001


def test_there_is_one_surface_however_often_it_is_asked_for(
    browser: Browser, written: Written
) -> None:
    drawn = "Object.values(viewer.surfaces).filter((parts) => parts.length).length"
    with browser.page(written(report(3)), "") as page:
        for button in ("#theme", "#theme", "#surface", "#surface"):
            page.click(button)
            page.wait_for_timeout(150)
        page.wait_for_selector(SURFACE, state="attached")
        assert page.evaluate("Object.keys(viewer.surfaces).length") == 1
        assert page.evaluate(drawn) == 1
        page.uncheck("#surface")
        assert page.evaluate("Object.keys(viewer.surfaces).length") == 0
        assert not page.locator(SURFACE).count()


def test_the_browser_unpacks_what_was_packed(browser: Browser, written: Written) -> None:
    made = report(3)
    with browser.page(written(made)) as page:
        poses = np.array(page.evaluate("Array.from(places.poses)")).reshape(-1, 3, 3)
        wanted = np.concatenate([d.pose.xyz for d in made.designs if d.pose])
        assert np.abs(poses - wanted).max() < 0.0051
        target = np.array(page.evaluate("Array.from(places.targets[0])")).reshape(-1, 3)
        assert np.abs(target - made.targets[0].xyz).max() < 0.0051
        atoms = page.evaluate("poseAtoms(1).map((a) => [a.atom, a.ss, a.x, a.y, a.z])")
        names, folds = [a[0] for a in atoms], [a[1] for a in atoms[::4]]
        assert names == ["N", "CA", "C", "O"] * 40
        assert "".join({"h": "H", "c": "-"}[fold] for fold in folds) == made.designs[1].pose.fold  # type: ignore[union-attr]
        xyz = np.array([a[2:] for a in atoms]).reshape(40, 4, 3)
        assert np.abs(np.linalg.norm(xyz[:, 3] - xyz[:, 2], axis=-1) - 1.23).max() < 0.001
        away = np.linalg.norm(xyz[:-1, 3] - xyz[1:, 0], axis=-1)  # O and the next N
        assert (away > np.linalg.norm(xyz[:-1, 2] - xyz[1:, 0], axis=-1)).all()


def test_others_beside_the_chosen_one(browser: Browser, written: Written) -> None:
    with browser.page(written(report(6))) as page:
        alone = share_of_colour(picture(page), BINDER)
        page.select_option("#beside", "filtered")
        page.click("#centre")
        many = picture(page)
        assert share_of_colour(many, BINDER, 0.1) > 0 and alone > 0
        page.select_option("#beside", "none")
        page.click("#centre")
        again = picture(page)
        assert np.abs(many.astype(int) - again).max(-1).mean() > 1


def test_hotspots_and_what_was_cut_away(browser: Browser, written: Written) -> None:
    with browser.page(written(report(3)), "") as page:
        page.wait_for_selector(SURFACE, state="attached")
        legend = page.locator("#legend").inner_text()
        assert "hotspots" in legend and "cut away" in legend
        assert share_of_colour(picture(page), "#c2185b", 0.03) > 0.0005
        page.check("#frequency")
        assert "touched by all" in page.locator("#legend").inner_text()


def test_a_picture_is_saved(browser: Browser, written: Written) -> None:
    with browser.page(written(report(3))) as page:
        page.select_option("#colour", "probability")
        png = download(page, lambda: page.click("#picture"))
        assert png[:4] == b"\x89PNG" and pixels(page, png).std() > 5


# table


def test_sorting(plain: Browser, written: Written) -> None:
    with plain.page(written(report(12))) as page:
        assert names(page) == [f"bpti_sample_{i}" for i in range(12)]
        page.click("[data-column=helix]")
        shown = names(page)
        assert page.locator("th[aria-sort=descending]").inner_text().startswith("helix")
        best = sorted(range(12), key=lambda i: -design(i).values[6])  # type: ignore[operator]
        assert shown == [f"bpti_sample_{i}" for i in best]
        page.click("[data-column=helix]")
        assert names(page) == shown[::-1]
        page.click("[data-column=cluster]")
        page.click("[data-column=helix]", modifiers=["Shift"])
        by_both = sorted(range(12), key=lambda i: (i // 3, -design(i).values[6]))  # type: ignore[operator]
        assert names(page) == [f"bpti_sample_{i}" for i in by_both]


FILTERS: dict[str, Callable[[dict[str, Any]], object]] = {
    "helix>0.5": lambda v: v["helix"] > 0.5,
    "contacts=30..60 helix<=0.9": lambda v: 30 <= v["contacts"] <= 60 and v["helix"] <= 0.9,
    "failed=": lambda v: v["failed"] == "",
    "failed=rg,contacts": lambda v: {"rg", "contacts"} & set(v["failed"].split()),
    "failed!=rg": lambda v: "rg" not in v["failed"].split(),
    "rg/rg_expected<1.1 cluster!=1": lambda v: v["rg"] / 9 < 1.1 and v["cluster"] != 1,
    "hotspots_contacted=0.67": lambda v: round(v["hotspots_contacted"], 2) == 0.67,
    "sample_1": lambda v: v["rank"] - 1 in (1, *range(10, 20)),
    "cluster=..2": lambda v: v["cluster"] <= 2,
}


def test_filters(plain: Browser, written: Written) -> None:
    fields = [column.name for column in COLUMNS]
    rows = {d.name: dict(zip(fields, d.values, strict=True)) for d in map(design, range(24))}
    with plain.page(written(report(24))) as page:
        for words, holds in FILTERS.items():
            wanted = [name for name, row in rows.items() if holds(row)]
            assert 0 < len(wanted) < 24
            page.fill("#filter", words)
            assert names(page) == wanted, words
            assert count(page) == f"{len(wanted)} of 24"
        page.click("#clear-filter")
        assert count(page) == "24"


def test_a_filter_that_is_none_says_why(plain: Browser, written: Written) -> None:
    with plain.page(written(report(3))) as page:
        for words, says in (
            ("helx>1", "no column helx; did you mean helix?"),
            ("helix>x", "helix>x: expected a number"),
            ("failed>1", "failed holds text: use =, != or ~ (contains)"),
            ("rg=1..x", "rg=1..x: a range is two numbers, such as 30..60"),
        ):
            page.fill("#filter", words)
            assert page.locator("#filter-says").inner_text() == says
            assert page.get_attribute("#filter", "aria-invalid") == "true"
            assert len(names(page)) == 3


def test_columns_are_chosen(plain: Browser, written: Written) -> None:
    with plain.page(written(report(3))) as page:
        assert page.locator("[data-column=strand]").count() == 1
        page.click("#choose summary")
        page.uncheck("#columns label:has-text('strand') input")
        assert page.locator("[data-column=strand]").count() == 0
        title = page.locator("[data-column=rg]").get_attribute("title")
        assert title == "radius of gyration (Å)"


def test_keys_stars_and_the_address(plain: Browser, written: Written) -> None:
    path = written(report(12))
    with plain.page(path) as page:
        for key in ("ArrowDown", "ArrowDown", "s", "End", "s", "Home", "/"):
            page.keyboard.press(key)
        page.keyboard.type("starred=1")
        assert names(page) == ["bpti_sample_2", "bpti_sample_11"]
        assert page.locator("#pick-count").inner_text() == "2"
        page.keyboard.press("Escape")
        page.keyboard.press("?")
        assert page.locator("#help").is_visible()
        page.keyboard.press("Escape")
        page.click("#tab-epitope")
        address = str(page.url).split("#")[1]
    with plain.page(path, address) as page:  # somebody else opens the address
        assert names(page) == ["bpti_sample_2", "bpti_sample_11"]
        assert page.input_value("#filter") == "starred=1"
        assert page.get_attribute("#tab-epitope", "aria-selected") == "true"
        assert page.locator("#detail h3").inner_text() == "bpti_sample_2"  # 0 was filtered out
        page.evaluate("location.hash = '#f=helix>0.5&star=nobody'")
        page.wait_for_function("document.getElementById('pick-count').textContent === '0'")


# plots


def drag(page: Any, selector: str, start: tuple[float, float], end: tuple[float, float]) -> None:
    over = page.locator(f"{selector} .u-over").first
    over.hover()  # waits until it stands still
    area = over.bounding_box()
    places = [
        (area["x"] + x * area["width"], area["y"] + y * area["height"]) for x, y in (start, end)
    ]
    page.mouse.move(*places[0])
    page.mouse.down()
    page.mouse.move(*places[1], steps=4)
    page.mouse.up()


def test_a_brush_over_the_scatter_filters_all(plain: Browser, written: Written) -> None:
    with plain.page(written(report(40))) as page:
        drag(page, "#plot", (0.5, 0.02), (0.98, 0.5))
        words = dict(word.split("=") for word in page.input_value("#filter").split())
        assert set(words) == {"contacts", "rg"}
        low, high = (float(x) for x in words["contacts"].split(".."))
        shown = names(page)
        contacts = {f"bpti_sample_{i}": design(i).values[8] for i in range(40)}
        assert 0 < len(shown) < 40
        assert all(low <= contacts[name] <= high for name in shown)  # type: ignore[operator]
        page.click("#tab-epitope")
        assert f"that {len(shown)} designs touch" in page.locator("#plot").inner_text()


def test_a_point_is_clicked(plain: Browser, written: Written) -> None:
    with plain.page(written(report(2)), "x=rank&y=cluster") as page:
        area = page.locator("#plot .u-over").bounding_box()
        right = area["x"] + area["width"] * (1 - 0.05 / 1.1)  # the larger rank
        page.mouse.move(right, area["y"] + area["height"] / 2)
        assert "bpti_sample_1" in page.locator("#tip").inner_text()
        page.mouse.click(right, area["y"] + area["height"] / 2)
        assert page.locator("#detail h3").inner_text() == "bpti_sample_1"


def test_checks_show_limits_and_what_fails(plain: Browser, written: Written) -> None:
    with plain.page(written(report(24)), "tab=checks") as page:
        failed = sum("contacts" in str(design(i).values[2]) for i in range(24))
        card = page.locator("figure:has-text('contacts ≥ 10')")
        assert f"{failed} fail" in card.inner_text()
        image = pixels(page, card.locator("canvas").screenshot())
        assert share_of_colour(image, FAILED, 0.02) > 0.001  # the limit's line
        page.click("figure button:has-text('contacts')")
        assert count(page) == f"{failed} of 24"
        page.click("#clear-filter")
        drag(page, "figure:has-text('helix + strand')", (0.5, 0.5), (0.99, 0.5))
        assert page.input_value("#filter").startswith("helix+strand=")
        assert 0 < len(names(page)) < 24


def test_the_epitope_is_clicked(plain: Browser, written: Written) -> None:
    touching = [d.name for i in range(12) if 14 in (d := design(i)).pose.contacts]  # type: ignore[union-attr]
    assert 0 < len(touching) < 12
    with plain.page(written(report(12)), "tab=epitope") as page:
        area = page.locator("#plot .u-over").bounding_box()
        kept = 48
        at = area["x"] + area["width"] * (14 + 1) / (kept + 1)
        page.mouse.move(at, area["y"] + 20)
        tip = page.locator("#tip").inner_text()
        assert "A0:15 LYS 15 · hotspot" in tip and f"{len(touching)} of 12 designs" in tip
        page.mouse.click(at, area["y"] + 20)
        assert page.input_value("#filter") == "touches=A0:15"
        assert names(page) == touching


def test_folds_clusters_and_runs(plain: Browser, written: Written) -> None:
    made = report(9)
    runs = (replace(made.runs[0], label="one"), replace(made.runs[0], label="two"))
    both = (*made.designs, *(replace(d, run=1) for d in made.designs))
    with plain.page(written(replace(made, runs=runs, designs=both)), "tab=fold") as page:
        image = picture(page, "#plot")
        assert share_of_colour(image, HELIX) > 0.2
        page.click("#tab-runs")
        table = page.locator("#plot table").first.inner_text()
        assert "one\t9" in table and "two\t9" in table
        assert page.locator("#rows tbody tr[data-key]").count() == 18
        page.fill("#filter", "run=two")
        assert count(page) == "9 of 18"


# what leaves the page


def test_picks_leave_the_page(plain: Browser, written: Written) -> None:
    with plain.page(written(report(8)), "star=bpti_sample_2,bpti_sample_5") as page:
        page.click("#open-picks")
        starred = "[data-what=starred] [data-save={}]"

        def saved(kind: str) -> str:
            return download(page, lambda: page.click(starred.format(kind))).decode()

        rows = list(csv.DictReader(io.StringIO(saved("csv"))))
        assert [row["design"] for row in rows] == ["bpti_sample_2", "bpti_sample_5"]
        assert [float(row["rg"]) for row in rows] == [design(i).values[4] for i in (2, 5)]
        assert saved("list") == "predictions/bpti_sample_2.cif\npredictions/bpti_sample_5.cif\n"
        fasta = saved("fasta").splitlines()
        assert fasta[1::2] == [design(i).sequences[0].sequence.sequence for i in (2, 5)]
        assert [line.split()[0] for line in fasta[::2]] == [">bpti_sample_2", ">bpti_sample_5"]
        script = saved("pymol")
        block = script.split("python\n", 1)[1].split("python end")[0]
        assert ast.literal_eval(block.split("picks = ")[1].split("\nfor")[0]) == [
            ("predictions/bpti_sample_2.cif", "bpti_sample_2"),
            ("predictions/bpti_sample_5.cif", "bpti_sample_5"),
        ]
        compile(block, "picks.pml", "exec")
        shown = download(page, lambda: page.click("[data-what=shown] [data-save=list]"))
        assert len(shown.splitlines()) == 8


# hostile and unfinished


SAFE = set(string.ascii_letters + string.digits + "_.-")
HOSTILE = (
    "</script><script>window.hacked=1</script>",
    "<img src=x onerror=window.hacked=1>",
    "<!--<script>",
    "__proto__",
    "a\u2028b & \"c\" 'd',e\n\ud800",
    "=cmd|' /C calc'!A0",
)


def test_hostile_names_are_only_names(browser: Browser, written: Written) -> None:
    made = report(len(HOSTILE))
    extra = tuple(Column(name, "text", name, name) for name in HOSTILE[:4])
    designs = tuple(
        replace(
            d,
            name=name,
            values=(*d.values, name, name, float("nan"), None),
            file=name,
            sequences=(Lettered(replace(d.sequences[0].sequence, weights=name)),),
        )
        for d, name in zip(made.designs, HOSTILE, strict=True)
    )
    run = Run(HOSTILE[0], ((HOSTILE[1], HOSTILE[0]),), 6, 6, HOSTILE[1])
    target = replace(made.targets[0], name=HOSTILE[0])
    hostile = replace(
        made,
        title=HOSTILE[0],
        command=HOSTILE[0],
        columns=(*COLUMNS, *extra),
        runs=(run,),
        targets=(target,),
        designs=designs,
        notes=HOSTILE,
    )
    with browser.page(written(hostile)) as page:
        assert page.title() == page.locator("h1").inner_text() == HOSTILE[0]
        assert len(names(page)) == len(HOSTILE)
        for tab in ("checks", "epitope", "fold", "runs"):
            page.click(f"#tab-{tab}")
        page.click("#open-about")
        assert HOSTILE[0] in page.locator("#about").inner_text()
        page.keyboard.press("Escape")
        for _ in HOSTILE:
            page.keyboard.press("s")
            page.keyboard.press("ArrowDown")
        page.click("#open-picks")
        script = download(page, lambda: page.click("[data-what=starred] [data-save=pymol]"))
        block = script.decode().split("python\n", 1)[1].split("\npython end")[0]
        pairs = ast.literal_eval(block.split("picks = ")[1].split("\nfor")[0])
        assert [path for path, _ in pairs][:4] == list(HOSTILE[:4])
        assert all(set(name) <= SAFE for _, name in pairs)
        assert page.evaluate("window.hacked") is None
        assert page.locator("img").count() == 0


def test_numbers_that_are_none_are_empty_cells(plain: Browser, written: Written) -> None:
    bad = (float("nan"), float("inf"), None)
    made = report(4)
    designs = [
        replace(d, values=(*d.values[:4], b, *d.values[5:]))
        for d, b in zip(made.designs, bad, strict=False)
    ]
    with plain.page(written(replace(made, designs=(*designs, made.designs[3])))) as page:
        cells = page.locator("#rows tbody tr[data-key] td:nth-child(7)").all_inner_texts()
        assert cells[:3] == ["–"] * 3 and float(cells[3]) == design(3).values[4]
        page.fill("#filter", "rg=")
        assert len(names(page)) == 3
        page.fill("#filter", "")
        page.click("[data-column=rg]")
        assert names(page)[0] == "bpti_sample_3"


@pytest.mark.parametrize("n", [0, 1])
def test_a_run_that_has_just_begun(plain: Browser, written: Written, n: int) -> None:
    made = replace(report(n), runs=(Run("bpti seed_7", (), 500, n),))
    with plain.page(written(replace(made, targets=made.targets if n else ()))) as page:
        assert f"{n} of 500 so far" in page.locator("#notices").inner_text()
        for tab in ("checks", "epitope", "fold", "runs", "scatter"):
            page.click(f"#tab-{tab}")
        assert ("No designs yet" in page.locator("#rows").inner_text()) == (n == 0)
        page.click("#open-picks")


def test_a_page_that_is_written_again_opens_itself_again(plain: Browser, written: Written) -> None:
    begun = replace(report(2), runs=(Run("bpti seed_7", (), 500, 2),), reload_seconds=1)
    path = written(begun)
    with plain.page(path, "surf=false&f=helix>0") as page:
        path.write_bytes(render(replace(report(3), runs=(Run("bpti seed_7", (), 3, 3),))))
        page.wait_for_selector("#rows tr[data-key=bpti_sample_2]", timeout=60_000)
        assert page.input_value("#filter") == "helix>0"
        assert "so far" not in page.locator("#notices").inner_text()


# every reader, every screen


def test_without_webgl(plain: Browser, written: Written) -> None:
    with plain.page(written(report(12))) as page:
        assert "table and plots work without it" in page.locator("#no-canvas").inner_text()
        page.fill("#filter", "helix>0.5")
        assert 0 < len(names(page)) < 12
        assert picture(page, "#plot").std() > 5
        page.keyboard.press("Escape")
        page.keyboard.press("ArrowDown")
        assert page.locator("#detail h3").inner_text() == names(page)[1]


@pytest.mark.parametrize(("width", "height"), [(390, 844), (1280, 800), (320, 568)])
def test_nothing_is_wider_than_the_screen(
    browser: Browser, written: Written, width: int, height: int
) -> None:
    with browser.page(written(report(8)), width=width, height=height) as page:
        for tab in ("checks", "epitope", "fold", "runs", "scatter"):
            page.click(f"#tab-{tab}")
            assert page.evaluate("document.documentElement.scrollWidth") <= width
        if width == 1280:  # table, plot and picture are all in the first screen
            top = page.locator("#rows tbody tr[data-key]").nth(3).bounding_box()
            assert top["y"] + top["height"] <= height


def test_dark(browser: Browser, written: Written) -> None:
    with browser.page(written(report(3)), color_scheme="dark") as page:
        assert pixels(page, page.screenshot()).mean() < 70
        page.click("#theme")
        assert pixels(page, page.screenshot()).mean() > 180
        assert "th=light" in page.url


def test_printed(browser: Browser, written: Written) -> None:
    with browser.page(written(report(40))) as page:
        pdf = page.pdf()
        assert pdf[:5] == b"%PDF-" and len(pdf) > 20_000
        page.emulate_media(media="print")
        page.evaluate("dispatchEvent(new Event('beforeprint'))")
        assert page.locator("#print-picture").is_visible()
        assert page.locator("#rows tbody tr[data-key]").count() == 40
        assert not page.locator("#filter").is_visible()
        assert "px-report results/" in page.locator("#print-about").inner_text()
        page.evaluate("dispatchEvent(new Event('afterprint'))")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious(browser: Browser, written: Written, scheme: str) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    begun = replace(report(12), runs=(replace(report(1).runs[0], asked=50, notice="be careful"),))

    # all that dark colours can change
    options = {"runOnly": ["color-contrast"]} if scheme == "dark" else None

    def serious(page: Any, part: str | None = None) -> list[tuple[str, list[str]]]:
        found = axe.run(page, part, options).response["violations"]
        return [
            (v["id"], [node["html"][:120] for node in v["nodes"]])
            for v in found
            if v["impact"] in ("serious", "critical")
        ]

    with browser.page(written(begun), "surf=false&f=helix>0.5", color_scheme=scheme) as page:
        assert serious(page) == []
        for tab in ("checks", "epitope", "fold", "runs"):
            page.click(f"#tab-{tab}")
            assert serious(page, "#plots") == []
        page.fill("#filter", "helx>1")
        assert serious(page) == []
        for dialog in ("picks", "about", "help"):
            page.click(f"#open-{dialog}")
            assert serious(page, f"#{dialog}") == []
            page.keyboard.press("Escape")


# many


def test_five_thousand_designs(browser: Browser, written: Written) -> None:
    made = report(5000, 80, in_3d=1000)
    path = written(made)
    with browser.page(path) as page:
        drawn = page.locator("#rows tbody tr[data-key]")
        assert drawn.count() < 80 and count(page) == "5,000"
        page.keyboard.press("End")
        assert page.locator("#detail h3").inner_text() == "bpti_sample_4999"
        page.wait_for_function("document.querySelector('#rows tr[data-key=bpti_sample_4999]')")
        assert "no coordinates of this design" in page.locator("#legend").inner_text()
        page.fill("#filter", "sample_777 helix>0")
        assert names(page) == ["bpti_sample_777"]


def test_cells_out_of_view_are_not_in_the_page(plain: Browser, written: Written) -> None:
    """Both ways; what stays in view while the table is scrolled is not made anew."""
    made = report(200)
    extra = tuple(replace(COLUMNS[4], name=f"more_{i}") for i in range(40))
    designs = [replace(d, values=(*d.values, *range(40))) for d in made.designs]
    wide = replace(made, columns=(*made.columns, *extra), designs=tuple(designs))
    cells = "document.querySelectorAll('#rows tbody td').length"
    with plain.page(written(wide)) as page:
        assert 100 < page.evaluate(cells) < 1200
        page.evaluate("document.querySelectorAll('#rows tbody tr')[9].marked = true")
        page.evaluate("document.getElementById('rows').scrollTop = 250")
        page.wait_for_selector("#rows tr[aria-rowindex='40']", state="attached")
        marked = (
            "[...document.querySelectorAll('#rows tbody tr')].filter((row) => row.marked).length"
        )
        assert page.evaluate(marked) == 1
        page.evaluate("document.getElementById('rows').scrollLeft = 1e6")
        last = "#rows tr[data-key] td:last-child"
        page.wait_for_selector(f"{last}:not(:empty)", state="attached")
        row = page.locator("#rows tbody tr[data-key]").first
        assert row.locator("td").last.inner_text() == "39.00"
        assert row.locator("td").nth(1).inner_text() == "bpti_sample_0"
        right = "(at) => document.querySelector(at).getBoundingClientRect().right"
        ends = [page.evaluate(right, of) for of in ("#rows th:last-child", last)]
        assert abs(ends[0] - ends[1]) < 1
        assert page.evaluate(cells) < 1200


def test_sizes() -> None:
    assert len(render(report(16, 80))) < 1.2e6
    assert len(render(report(500, 200))) < 3.5e6


def test_the_data_is_what_the_report_holds() -> None:
    text = render(report(5)).decode()
    held = json.loads(text.split('id="data">')[1].split("</script>")[0])
    assert held["designs"]["name"] == [f"bpti_sample_{i}" for i in range(5)]
    assert held["designs"]["values"]["rg"] == [design(i).values[4] for i in range(5)]
