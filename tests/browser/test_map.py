"""The map in a real browser, opened from disk: drawn, read, clicked, searched, by keyboard."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Page

from tests.browser.conftest import Shot
from tests.browser.map_world import EACH, HARM, NAMES, map_view
from vdbcluster.pages.map import map_fragment, map_page
from vdbcluster.pages.map_colors import LIGHT
from vdbcluster.pages.resources import plotly_js

pytest.importorskip("PIL")


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    home = tmp_path_factory.mktemp("maps")
    views = {"flat": map_view(), "solid": map_view(3), "pictures": map_view(pictures=True)}
    found = {}
    for name, view in views.items():
        found[name] = home / f"{name}.html"
        found[name].write_text(map_page(view).html, encoding="utf-8")
    return found


def show(page: Page, place: Path) -> Page:
    page.goto(place.as_uri())
    page.wait_for_selector(".vmap[data-ready]")
    return page


def colors(page: Page) -> np.ndarray[Any, Any]:
    """Colours of the map's own part of the page, ``(n, 3)``."""
    from PIL import Image

    image = Image.open(io.BytesIO(page.locator(".vmap-stage").screenshot())).convert("RGB")
    return np.asarray(image, np.int64).reshape(-1, 3)


def has(seen: np.ndarray[Any, Any], color: str, most: int = 40) -> bool:
    """Whether some pixels are near a colour; points are a little transparent."""
    wanted = np.array([int(color[i : i + 2], 16) for i in (1, 3, 5)])
    return int((np.abs(seen - wanted).sum(axis=1) < most).sum()) > 20


def pixel(page: Page, cluster: int) -> tuple[float, float]:
    """Where a row of the cluster is on the screen, one that no name covers."""
    x, y = page.evaluate(
        """(id) => {
          const { project, columns } = vmap.view();
          const box = document.querySelector(".vmap-stage").getBoundingClientRect();
          const seen = columns.byId.get(id).rows.map((row) => {
            const at = project(columns.axes.map((axis) => axis[row]));
            return [at[0] + box.left, at[1] + box.top];
          });
          return seen.find(([x, y]) => document.elementFromPoint(x, y)?.closest(".vmap-plot"));
        }""",
        cluster,
    )
    return x, y


def boxes(page: Page) -> list[dict[str, float]]:
    """Of the names that are seen."""
    found: list[dict[str, float]] = page.evaluate(
        """[...document.querySelectorAll(".vmap-name:not([hidden])")].map((name) => {
          const box = name.getBoundingClientRect();
          return { left: box.left, right: box.right, top: box.top, bottom: box.bottom };
        })"""
    )
    return found


def overlaps(found: list[dict[str, float]]) -> int:
    return sum(
        a["left"] < b["right"]
        and b["left"] < a["right"]
        and a["top"] < b["bottom"]
        and b["top"] < a["bottom"]
        for i, a in enumerate(found)
        for b in found[:i]
    )


def test_points_names_and_hover(page: Page, places: dict[str, Path], shot: Shot) -> None:
    show(page, places["flat"])
    shot(page, "map-flat")
    seen = colors(page)
    slots = page.evaluate("vmap.view().columns.clusters.map((one) => one.slot)")
    assert all(has(seen, LIGHT[slot]) for slot in slots if slot >= 0)
    assert slots[5] == -1  # hidden: grey, without a name, not in the list
    names = page.locator(".vmap-name:not([hidden])").all_inner_texts()
    assert set(NAMES[:3]) <= set(names)
    assert "Hidden one" not in names
    assert page.locator(".vmap-legend li").count() == 5
    assert overlaps(boxes(page)) == 0
    page.mouse.move(*pixel(page, 2))
    card = page.locator(".vmap-card")
    card.wait_for(state="visible")
    assert "החבילה מספר" in card.inner_text()
    assert str(2**60 + 2 * EACH) in card.inner_text()  # beyond what a number of a script holds
    assert card.locator(".vmap-text").evaluate("(e) => getComputedStyle(e).direction") == "rtl"


def test_nothing_in_texts_and_names_runs(
    page: Page, places: dict[str, Path], complaints: list[str]
) -> None:
    show(page, places["flat"])
    page.mouse.move(*pixel(page, 3))
    page.locator(".vmap-text").wait_for()
    page.evaluate("vmap.select(3)")
    page.locator(".vmap-samples").wait_for()
    assert HARM in page.inner_text(".vmap-details h2")
    assert page.locator(".vmap img").count() == 0
    assert page.title() == f"parcels {HARM} - map of clusters"
    assert "\u202e" not in page.inner_text(".vmap-samples")
    blocked = page.evaluate(
        """new Promise((told) => {
          document.addEventListener("securitypolicyviolation", () => told("blocked"));
          const script = document.createElement("script");
          script.textContent = "document.title = 'ran'";
          document.body.append(script);
        })"""
    )
    assert blocked == "blocked"
    assert page.title().startswith("parcels")
    assert len(complaints) == 1  # of the script that was put in to see it refused
    assert "Content Security Policy" in complaints[0]
    complaints.clear()


def test_click_singles_out_and_escape_restores(page: Page, places: dict[str, Path]) -> None:
    show(page, places["flat"])
    page.evaluate(
        """() => {
          window.told = [];
          vmap.addEventListener("select", (event) => told.push(event.detail.cluster));
          vmap.addEventListener("pick", (event) => told.push(event.detail.key));
        }"""
    )
    page.mouse.click(*pixel(page, 0))
    page.wait_for_function("told.length === 2")
    assert page.evaluate("told[0]") == 0
    assert 2**60 <= int(page.evaluate("told[1]")) < 2**60 + EACH
    assert page.inner_text(".vmap-details h2") == NAMES[0]
    assert "100 rows" in page.inner_text(".vmap-details")
    page.locator(".vmap-samples").wait_for()
    assert page.locator(".vmap-sample").first.inner_text() == "the courier lost parcel 7"
    slots = page.evaluate("vmap.view().columns.clusters.map((one) => one.slot)")
    seen = colors(page)
    assert has(seen, LIGHT[slots[0]])
    assert not has(seen, LIGHT[slots[2]])
    page.keyboard.press("Escape")
    assert page.locator(".vmap-legend").is_visible()
    assert page.evaluate("vmap.view().state.singled") is None
    for _ in range(2):  # a name, and once more
        page.get_by_text(NAMES[0], exact=True).first.click()
        told = page.evaluate("vmap.view().state.singled")
    assert told is None
    spot = pixel(page, 2)
    page.mouse.click(*spot)
    assert page.evaluate("vmap.view().state.singled") == 2
    page.mouse.click(5, 5)  # where there is nothing
    assert page.evaluate("vmap.view().state.singled") is None


def test_search_highlights_and_counts(page: Page, places: dict[str, Path]) -> None:
    show(page, places["flat"])
    page.fill("input[type=search]", "NEEDLE of row 41")
    page.wait_for_function("document.querySelector('[role=status]').textContent")
    assert page.inner_text("[role=status]") == "10 rows"
    assert page.locator(".vmap-legend li:visible").count() == 1
    assert "10 / 100" in page.inner_text(".vmap-legend li:visible")
    page.fill("input[type=search]", "late parcels")  # a name: the whole cluster
    page.wait_for_function("document.querySelector('[role=status]').textContent.includes('name')")
    assert page.inner_text("[role=status]") == "0 rows, 1 cluster by name"
    page.fill("input[type=search]", str(2**60 + 5))
    page.wait_for_function("document.querySelector('[role=status]').textContent === '1 row'")
    page.keyboard.press("Escape")
    assert page.input_value("input[type=search]") == ""
    assert page.locator(".vmap-legend li:visible").count() == 5


def test_by_keyboard(page: Page, places: dict[str, Path]) -> None:
    show(page, places["flat"])
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.type") == "search"
    page.focus(".vmap-legend button")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    assert page.evaluate("vmap.view().state.singled") == 1
    assert page.evaluate("document.activeElement.className") == "vmap-back"
    page.keyboard.press("Escape")
    assert "配送" in page.evaluate("document.activeElement.ariaLabel")
    page.focus(".vmap-stage")
    page.keyboard.press("+")
    page.keyboard.press("+")
    assert page.evaluate("vmap.view().zoom") == pytest.approx(1.4**2)
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("0")
    assert page.evaluate("vmap.view().zoom") == pytest.approx(1.0)
    page.keyboard.press("Enter")  # the cluster in the middle
    assert page.evaluate("vmap.view().state.singled") == 4


def test_zoom_gives_more_names_and_the_switch_takes_noise(
    page: Page, places: dict[str, Path]
) -> None:
    show(page, places["flat"])
    before = page.locator(".vmap-name:not([hidden])").all_inner_texts()
    assert "Inner east" not in before
    x, y = pixel(page, 0)
    page.mouse.move(x, y)
    for _ in range(3):
        page.mouse.wheel(0, -120)
    page.wait_for_function("vmap.view().zoom > 2")
    names = page.locator(".vmap-name:not([hidden])").all_inner_texts()
    assert {"Inner east", "Inner west"} <= set(names)
    assert overlaps(boxes(page)) == 0
    page.uncheck(".vmap-noise input")
    assert page.evaluate("vmap.view().state.noise") is False


def test_narrow(narrow: Page, places: dict[str, Path], shot: Shot) -> None:
    show(narrow, places["flat"])
    shot(narrow, "map-narrow")
    assert narrow.evaluate("document.documentElement.scrollWidth") <= 390
    stage = narrow.locator(".vmap-stage").bounding_box()
    legend = narrow.locator(".vmap-side").bounding_box()
    assert stage is not None
    assert legend is not None
    assert stage["height"] > 250
    assert legend["y"] >= stage["y"] + stage["height"] - 1
    assert overlaps(boxes(narrow)) == 0
    narrow.touchscreen.tap(*pixel(narrow, 1))
    narrow.wait_for_function("vmap.view().state.singled === 1")


@pytest.mark.slow
def test_dark_and_print(page: Page, places: dict[str, Path], shot: Shot) -> None:
    page.emulate_media(color_scheme="dark")
    show(page, places["pictures"])
    assert colors(page)[:20].max() < 40
    page.mouse.move(*pixel(page, 1))
    picture = page.locator(".vmap-card img")
    picture.wait_for()
    assert picture.evaluate("(image) => image.decode().then(() => image.naturalWidth)") == 8
    shot(page, "map-dark-pictures")
    card, stage = (page.locator(f".vmap-{name}").bounding_box() for name in ("card", "stage"))
    assert card is not None
    assert stage is not None
    assert card["y"] + card["height"] <= stage["y"] + stage["height"]
    page.emulate_media(media="print", color_scheme="dark")
    page.wait_for_function("document.querySelector('.vmap').dataset.theme === 'light'")
    assert not page.locator("input[type=search]").is_visible()


def test_three_dimensions(page: Page, places: dict[str, Path], shot: Shot) -> None:
    show(page, places["solid"])
    shot(page, "map-solid")
    slots = page.evaluate("vmap.view().columns.clusters.map((one) => one.slot)")
    seen = colors(page)
    assert all(has(seen, LIGHT[slot], 60) for slot in slots if slot >= 0)
    assert overlaps(boxes(page)) == 0
    # Names are placed by our own projection: it is that of plotly's camera.
    away = page.evaluate(
        """() => {
          const { project, columns } = vmap.view();
          const plot = document.querySelector(".vmap-plot");
          const scene = plot._fullLayout.scene._scene;
          const { projection, view, model } = scene.glplot.cameraParams;
          const times = (m, v) => [0, 1, 2, 3].map(
            (i) => m[i] * v[0] + m[4 + i] * v[1] + m[8 + i] * v[2] + m[12 + i] * v[3]);
          return Math.max(...columns.clusters.map((one) => {
            const at = [...one.at.map((v, d) => v * scene.dataScale[d]), 1];
            const seen = times(projection, times(view, times(model, at)));
            const x = (seen[0] / seen[3] + 1) / 2 * plot.clientWidth;
            const y = (1 - seen[1] / seen[3]) / 2 * plot.clientHeight;
            const [px, py] = project(one.at);
            return Math.hypot(px - x, py - y);
          }));
        }"""
    )
    assert away < 2
    page.evaluate("vmap.select(2)")
    assert page.inner_text(".vmap-details h2") == NAMES[2]


@pytest.mark.slow
def test_a_map_within_another_page(page: Page, tmp_path: Path) -> None:
    part = map_fragment(map_view(), "one", options={"panel": False, "head": False})
    place = tmp_path / "report.html"
    place.write_text(
        f"<!doctype html><meta charset=utf-8><style>{part.style} #one {{ height: 420px }}</style>"
        f"<h1>A report</h1>{part.html}<script>{plotly_js()}</script><script>{part.script}</script>",
        encoding="utf-8",
    )
    page.goto(place.as_uri())
    page.wait_for_selector(".vmap[data-ready]")
    assert has(colors(page), LIGHT[0])
    assert page.locator(".vmap-side, .vmap-head").count() == 0
