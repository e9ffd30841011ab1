"""The search page with --allow-edit, with a token, and when things go wrong."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from playwright.sync_api import Error, Page, Route, expect

from tests.browser.conftest import Shot
from tests.browser.ui_world import NAME, SCRIPT, Served, serving

pytest.importorskip("wordllama", reason="the extra 'local' is not installed")
TOKEN = "correct horse battery staple"


@pytest.fixture(scope="module")
def served(ui_folder: Path) -> Iterator[Served]:
    with serving(ui_folder, "--allow-edit", token=TOKEN) as served:
        yield served


def opened(page: Page, served: Served, query: str = "") -> Page:
    page.request.post(
        f"{served.url}api/login", data={"token": TOKEN}, headers={"X-Vdbcluster": "edit"}
    )
    page.goto(served.url + query)
    expect(page.locator("body.ready")).to_be_attached()
    expect(page.locator("main[aria-busy]")).to_have_count(0)
    expect(page.locator("ul.clusters li").first).to_be_visible()
    return page


def forgiven(complaints: list[str], *statuses: int) -> None:
    """What the console says of answers that a test asks for."""
    rest = [one for one in complaints if not any(str(status) in one for status in statuses)]
    complaints[:] = rest


def test_a_wrong_token_opens_nothing(page: Page, served: Served, complaints: list[str], shot: Shot):
    page.goto(served.url + "?q=archive")
    page.get_by_label("Token").fill("wrong")
    page.get_by_role("button", name="Open").click()
    expect(page.get_by_role("alert").filter(has_text="That is not the token.")).to_be_visible()
    assert page.locator("li.row, .tile, ul.clusters li").count() == 0
    shot(page, "ui-login")
    page.get_by_label("Token").fill(TOKEN)
    page.keyboard.press("Enter")
    expect(page.locator("#main li.row").first).to_be_visible()
    expect(page.locator("h1")).to_contain_text("archive")
    forgiven(complaints, 401)


def test_a_server_that_fails_or_goes_away_leaves_a_page_that_works(
    page: Page, served: Served, complaints: list[str]
):
    opened(page, served)

    def broken(route: Route) -> None:
        route.fulfill(status=500, json={"error": "the database is away"})

    page.route("**/api/search*", broken)
    page.goto(served.url + "?q=archive")
    expect(page.locator("#main .trouble")).to_contain_text("the database is away")
    page.unroute("**/api/search*")
    page.get_by_role("button", name="Try again").click()
    expect(page.locator("#main li.row").first).to_be_visible()

    page.context.set_offline(True)
    page.locator("#q").fill("turtle")
    page.keyboard.press("Enter")
    expect(page.locator("#main .trouble")).to_contain_text("does not answer")
    page.context.set_offline(False)
    page.get_by_role("button", name="Try again").click()
    expect(page.locator("#main li.row").first).to_be_visible()
    forgiven(complaints, 500)
    complaints[:] = [one for one in complaints if "ERR_INTERNET_DISCONNECTED" not in one]


def test_the_answer_of_an_earlier_search_never_replaces_a_later_one(page: Page, served: Served):
    opened(page, served)
    held: list[Route] = []
    page.route("**/api/search?q=archive*", lambda route: held.append(route))
    page.locator("#q").fill("archive")
    page.keyboard.press("Enter")
    expect(page.locator("h1")).to_contain_text("archive")
    page.locator("#q").fill("turtle")
    page.keyboard.press("Enter")
    expect(page.locator("#main li.row").first).to_be_visible()
    shown = page.locator("#main li.row").all_inner_texts()
    (route,) = held
    with suppress(Error):  # its request was given up
        route.continue_()
    page.wait_for_timeout(300)
    expect(page.locator("h1")).to_contain_text("turtle")
    assert page.locator("#main li.row").all_inner_texts() == shown


@pytest.mark.slow
def test_without_an_embedder_one_can_still_browse(page: Page, served: Served):
    def silent(route: Route) -> None:
        answer = route.fetch()
        told = answer.json()
        told["search"] = {"available": False, "reason": "no model <b>here</b>", "embedder": ""}
        route.fulfill(response=answer, json=told)

    page.route("**/api/collection", silent)
    opened(page, served, "?q=archive")
    expect(page.locator("#main .trouble")).to_contain_text("no model <b>here</b>")
    page.locator("#main .trouble a", has_text="clusters").click()
    expect(page.locator(".tile").first).to_be_visible()


@pytest.mark.slow
def test_labels_of_another_run_are_told(page: Page, served: Served):
    opened(page, served)

    def newer(route: Route) -> None:
        answer = route.fetch()
        route.fulfill(response=answer, json=answer.json() | {"run_id": "another"})

    page.route("**/api/noise*", newer)
    page.get_by_role("link", name="Noise").click()
    expect(page.locator("#banner")).to_contain_text("A new run has labelled")
    page.unroute("**/api/noise*")
    page.get_by_role("button", name="Show its clusters").click()
    expect(page.locator("#banner")).to_be_hidden()
    expect(page.locator("#main li.row").first).to_be_visible()


# The last one: it stops the server, to look at the file.
def test_edits_are_kept_in_the_catalogue(
    page: Page, served: Served, complaints: list[str], shot: Shot
):
    opened(page, served, "?view=cluster&id=0")
    page.get_by_role("button", name="Rename…").click()
    page.get_by_label("Name", exact=True).fill(SCRIPT)
    page.get_by_role("textbox", name="Description").fill("What \u202eit is about")
    page.get_by_role("button", name="Save").click()
    expect(page.locator("dialog")).to_have_count(0)
    expect(page.locator("article.card h1")).to_contain_text("<script>")
    page.get_by_role("button", name="Pin", exact=True).click()
    expect(page.get_by_role("button", name="Unpin")).to_be_visible()
    expect(page.locator("ul.clusters li").first).to_contain_text("<script>")
    assert page.evaluate("window.hit") is None
    shot(page, "ui-edited")

    opened(page, served, "?view=cluster&id=1")
    page.get_by_role("button", name="Hide", exact=True).click()
    expect(page.get_by_role("button", name="Show", exact=True)).to_be_visible()
    expect(page.locator("ul.clusters [aria-current]")).to_have_count(0)
    page.get_by_label("hidden too").check()
    expect(page.locator("ul.clusters [aria-current]")).to_have_count(1)

    opened(page, served, "?view=cluster&id=5")
    size = int(page.locator(".facts div", has_text="rows").locator("dd").inner_text())
    page.get_by_role("button", name="Merge…").click()
    page.get_by_label("Into", exact=True).select_option("4")
    expect(page.locator("#what")).to_contain_text(f"{size} rows")
    shot(page, "ui-merge")
    page.locator("dialog").get_by_role("button", name="Merge").click()
    expect(page.locator("dialog")).to_have_count(0)
    expect(page).to_have_url(re.compile("id=4"))
    expect(page.locator("article.card")).to_have_attribute("data-cluster", "4")

    page.goto(f"{served.url}?view=cluster&id=5&hidden=1")
    expect(page.locator("ul.clusters li", has_text="in 4")).to_have_count(1)
    page.get_by_role("button", name="Unmerge").click()
    expect(page.get_by_role("button", name="Unmerge")).to_have_count(0)
    expect(page.locator("main[aria-busy]")).to_have_count(0)
    page.goto("about:blank")

    served.stop()
    found = served.rows(f"{NAME}_clusters", "cluster_id >= 0")
    stored = {entry["cluster_id"]: entry for entry in found}
    assert stored[0]["name"] == SCRIPT
    assert stored[0]["pinned"]
    assert not stored[0]["hidden"]
    assert stored[1]["hidden"]
    assert (stored[5]["state"], stored[5]["size"]) == ("live", 0)
    assert stored[4]["size"] == len(served.rows(NAME, "cluster_id == 4")) > size
    assert served.rows(NAME, "cluster_id == 5") == []
    assert complaints == []
