"""The report in a browser: from disk, on a phone, on paper, with texts that would harm it."""

from __future__ import annotations

import re
import zlib
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Page

from tests.browser.conftest import Shot
from tests.unit.report_worlds import hostile, shared_news
from vdbcluster.model.report import Report
from vdbcluster.pages.report.as_html import as_html


@pytest.fixture(scope="module")
def report() -> Report:
    pytest.importorskip("xgboost")
    return shared_news().report(picture="interactive")


def opened(page: Page, text: str, folder: Path) -> Page:
    place = folder / "report.html"
    place.write_text(text)
    page.emulate_media(reduced_motion="reduce")
    page.goto(place.as_uri())
    page.wait_for_selector("#report-map canvas", state="attached")
    return page


def test_it_opens_from_disk_and_prints(
    report: Report, page: Page, shot: Shot, tmp_path: Path
) -> None:
    opened(page, as_html(report), tmp_path)
    shot(page, "report-top")
    assert page.title() == report.title
    colors = set()
    page.locator("#report-map").scroll_into_view_if_needed()
    for _ in range(40):
        colors = page.evaluate(
            """() => [...document.querySelectorAll('#report-map canvas')].map(c => c.width)"""
        )
        if any(colors):
            break
        page.wait_for_timeout(50)
    assert any(colors)
    assert "WebGL is not supported" not in page.locator("#report-map").inner_text()
    shot(page, "report-map")
    drawn = tmp_path / "map.png"
    page.locator("#report-map canvas").first.screenshot(path=drawn)
    assert _colored(drawn) > 500  # points in the colours of clusters

    page.get_by_role("link", name="Cluster by cluster").click()
    biggest = report.clusters[0]
    card = page.locator(f"#cluster-{biggest.id}")
    assert biggest.title in card.inner_text()
    assert card.locator("svg").count() == len(biggest.bars)
    shot(page, "report-card")
    folded = page.locator("details:not([open])").count()
    assert folded > 0

    page.emulate_media(media="print")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert page.locator("details:not([open])").count() == 0
    assert not page.locator("#report-map").is_visible()
    assert page.locator("svg.still").is_visible()
    shot(page, "report-print")
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert page.locator("details:not([open])").count() == folded
    paper = page.pdf(format="A4")
    assert 5 < len(re.findall(rb"/Type\s*/Page\b", _unpacked(paper))) < 80


def _colored(picture: Path) -> int:
    """Pixels of a strong colour."""
    image = pytest.importorskip("PIL.Image").open(picture).convert("HSV")
    values = np.asarray(image)
    return int(np.count_nonzero((values[..., 1] > 110) & (values[..., 2] > 60)))


def _unpacked(pdf: bytes) -> bytes:
    """With the streams that hold objects as they were before they were compressed."""
    parts = [pdf]
    for found in re.finditer(rb"stream\r?\n(.*?)endstream", pdf, re.DOTALL):
        try:
            parts.append(zlib.decompress(found[1]))
        except zlib.error:
            continue
    return b"".join(parts)


def test_it_fits_a_phone_in_the_dark(
    report: Report, narrow: Page, shot: Shot, tmp_path: Path
) -> None:
    narrow.emulate_media(color_scheme="dark")
    opened(narrow, as_html(report), tmp_path)
    assert narrow.evaluate("document.documentElement.scrollWidth") <= 390
    dark = narrow.evaluate("getComputedStyle(document.body).backgroundColor")
    assert dark == "rgb(20, 23, 28)"
    shot(narrow, "report-narrow")


def test_nothing_runs_that_a_text_says(
    report: Report, page: Page, shot: Shot, tmp_path: Path
) -> None:
    opened(page, as_html(hostile(report)), tmp_path)
    page.wait_for_timeout(200)
    assert page.evaluate("window.hacked") is None
    assert page.locator("main").is_visible()
    assert page.locator("img, base, iframe, object, embed, form").count() == 0
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "To the report"
    shot(page, "report-hostile")
