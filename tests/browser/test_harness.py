"""The browser itself: a page is drawn, WebGL works, and what pages complain about is noticed."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import Page

PAGE = "<meta charset=utf-8><title>t</title><h1>見出し</h1><canvas id=c></canvas>"


def test_a_page_from_disk_has_webgl(page: Page, tmp_path: Path) -> None:
    place = tmp_path / "page.html"
    place.write_text(PAGE, encoding="utf-8")
    page.goto(place.as_uri())
    assert page.inner_text("h1") == "見出し"
    assert page.evaluate("document.getElementById('c').getContext('webgl') !== null")


def test_errors_and_requests_to_elsewhere_are_noticed(
    page: Page, complaints: list[str], tmp_path: Path
) -> None:
    place = tmp_path / "page.html"
    place.write_text("<img src='http://192.0.2.1/x.png'><script>throw Error('no')</script>")
    page.route("http://192.0.2.1/**", lambda route: route.abort())
    page.goto(place.as_uri())
    assert any(text == "no" for text in complaints)
    assert any(text == "asked http://192.0.2.1/x.png" for text in complaints)
    complaints.clear()
