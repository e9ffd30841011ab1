"""Headless Chromium, driven by Playwright; tests that need it skip where there is none.

``browser`` starts once a session. ``page`` is a fresh page, in a context of its own, that fails the
test if anything is written to the console as an error, a script fails, or something is asked for
that is not on this machine. ``shot(page, "map-news")`` keeps a screenshot in ``tests/output/``.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

CHROMIUM = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
OUTPUT = Path(__file__).resolve().parents[1] / "output"
HERE = ("file", "data", "blob", "about")
LOCAL = ("127.0.0.1", "localhost")
Shot = Callable[[Page, str], Path]


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    found = next(filter(None, map(shutil.which, CHROMIUM)), None)
    if found is None:
        pytest.skip("there is no Chromium on this machine")
    with sync_playwright() as playwright:
        # The sandbox needs a user of its own; software WebGL does without a graphics card.
        flags = ["--no-sandbox", "--disable-gpu", "--enable-unsafe-swiftshader"]
        started = playwright.chromium.launch(executable_path=found, args=flags)
        yield started
        started.close()


@pytest.fixture
def complaints() -> list[str]:
    """What pages of the test complained about; a test that provokes it clears the list."""
    return []


def watch(page: Page, complaints: list[str]) -> Page:
    """List errors of the page, and requests that leave this machine."""
    page.on("console", lambda m: complaints.append(m.text) if m.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda r: None if _is_here(r.url) else complaints.append(f"asked {r.url}"))
    return page


def _is_here(url: str) -> bool:
    parts = urlsplit(url)
    return parts.scheme in HERE or parts.hostname in LOCAL


@pytest.fixture
def page(browser: Browser, complaints: list[str]) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    yield watch(context.new_page(), complaints)
    context.close()
    assert complaints == []


@pytest.fixture
def narrow(browser: Browser, complaints: list[str]) -> Iterator[Page]:
    """A page as wide as a phone."""
    context = browser.new_context(viewport={"width": 390, "height": 780}, has_touch=True)
    yield watch(context.new_page(), complaints)
    context.close()
    assert complaints == []


@pytest.fixture
def shot() -> Shot:
    def keep(page: Page, name: str) -> Path:
        OUTPUT.mkdir(exist_ok=True)
        place = OUTPUT / f"{name}.png"
        page.screenshot(path=place)
        return place

    return keep


@pytest.fixture(scope="session")
def ui_filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A labelled collection, see ``ui_world``; made once, nobody works in it."""
    from tests.browser import ui_world

    folder = tmp_path_factory.mktemp("ui")
    ui_world.fill(folder)
    return folder


@pytest.fixture(scope="module")
def ui_folder(ui_filled: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy for one file of tests; with its times, which say what collection it is."""
    folder = tmp_path_factory.mktemp("served") / "copy"
    shutil.copytree(ui_filled, folder)
    return folder
