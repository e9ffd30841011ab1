"""The search page on a real ``vdbcluster serve``: searching, browsing, the map, links to share."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser import ui_world
from tests.browser.conftest import Shot
from tests.browser.ui_world import Served, serving

pytest.importorskip("wordllama", reason="the extra 'local' is not installed")
BRIGHT = """canvas => {
    const {width, height} = canvas;
    const {data} = canvas.getContext("2d").getImageData(0, 0, width, height);
    return data.reduce((sum, value, i) => sum + (i % 4 === 3 && value > 200), 0);
}"""
"""Pixels of what stands out."""
A_POINT = """canvas => {
    const {width, height} = canvas;
    const {data} = canvas.getContext("2d").getImageData(0, 0, width, height);
    const box = canvas.getBoundingClientRect();
    const bare = (x, y) => document.elementFromPoint(box.x + x, box.y + y) === canvas;
    for (let y = 4; y < height; y += 2) for (let x = 4; x < width; x += 2)
        if (data[4 * (y * width + x) + 3] > 150 && bare(x, y)) return [x, y];
    return null;
}"""
"""Where a point is drawn that nothing covers."""


@pytest.fixture(scope="module")
def served(ui_folder: Path) -> Iterator[Served]:
    """Read-only."""
    with serving(ui_folder) as served:
        yield served


def asked(page: Page, served: Served, query: str = "") -> Page:
    page.goto(served.url + query)
    expect(page.locator("body.ready")).to_be_attached()
    expect(page.locator("main[aria-busy]")).to_have_count(0)
    return page


def keys(page: Page) -> list[str]:
    found = page.locator("#main li.row").evaluate_all("all => all.map(one => one.dataset.key)")
    return [str(key) for key in found]


def clusters_of_rows(page: Page) -> set[str]:
    return set(page.locator("#main li.row .chip").all_inner_texts())


def test_a_search_finds_rows_by_meaning_and_facets_narrow_them(
    page: Page, served: Served, shot: Shot
):
    asked(page, served)
    expect(page.locator("h1")).to_have_text("docs")
    expect(page.locator("ul.clusters li")).to_have_count(page.locator(".tile").count())
    assert page.locator(".tile").count() > 2
    page.keyboard.press("/")
    page.keyboard.type("put a file into an archive")
    page.keyboard.press("Enter")
    expect(page.locator("h1")).to_contain_text("put a file into an archive")
    expect(page.locator("#live")).to_have_text("20 rows shown")
    assert len([key for key in keys(page) if "tarfile" in key or "zipfile" in key]) > 10
    scores = [float(text) for text in page.locator("#main .row .score").all_inner_texts()]
    assert scores == sorted(scores, reverse=True)
    shot(page, "ui-search")

    boxes = page.locator(".facets input")
    titles = page.locator(".facets .title").all_inner_texts()
    assert len(titles) > 2
    boxes.nth(0).check()
    expect(page.locator(".chosen .chip")).to_have_count(1)
    expect(page.locator("#main li.row").first).to_contain_text(titles[0])
    assert clusters_of_rows(page) == {titles[0]}
    boxes.nth(1).check()
    expect(page.locator(".chosen .chip")).to_have_count(2)
    expect(page.locator("main[aria-busy]")).to_have_count(0)
    assert clusters_of_rows(page) <= set(titles[:2])
    page.get_by_role("button", name="Clear", exact=True).click()
    expect(page.locator(".chosen .chip")).to_have_count(0)


def test_the_address_holds_all_that_is_shown(page: Page, served: Served):
    asked(page, served, "?q=draw+with+a+turtle")
    page.locator(".facets input").first.check()
    page.get_by_role("switch", name="Core rows only").check(force=True)
    expect(page.locator("main[aria-busy]")).to_have_count(0)
    page.locator("#main a.text").nth(2).click()
    expect(page.locator("#detail h2")).to_be_visible()
    page.get_by_label("Filter clusters by words").fill("turtle")
    expect(page).to_have_url(re.compile("words=turtle"))
    expect(page.locator("ul.clusters li")).to_have_count(1)
    before = (keys(page), page.locator("#detail h2").inner_text())

    again = page.context.new_page()
    again.goto(page.url)
    expect(again.locator("#detail .fulltext")).to_be_visible()
    expect(again.locator("ul.clusters li")).to_have_count(1)
    assert (keys(again), again.locator("#detail h2").inner_text()) == before
    assert again.get_by_role("switch", name="Core rows only").is_checked()

    page.locator("ul.clusters a").click()
    expect(page.locator("article.card")).to_be_visible()
    expect(page.locator("#detail")).to_be_hidden()
    page.go_back()
    expect(page.locator("h1")).to_contain_text("draw with a turtle")
    assert page.locator("#q").input_value() == "draw with a turtle"
    page.go_forward()
    expect(page.locator("article.card")).to_be_visible()


def test_a_cluster_is_browsed_page_by_page(page: Page, served: Served, shot: Shot):
    asked(page, served)
    largest = page.locator("ul.clusters a").first
    title, size = (
        largest.locator(".title").inner_text(),
        int(largest.locator(".number").inner_text()),
    )
    assert size > 40
    largest.click()
    expect(page.locator("article.card h1")).to_have_text(title)
    expect(page.locator("article.card .keywords li").first).to_be_visible()
    expect(page.get_by_role("heading", name="Close to")).to_be_visible()
    expect(page.locator("#main li.row")).to_have_count(20)
    shot(page, "ui-cluster")
    page.get_by_role("button", name="More rows").click()
    expect(page.locator("#main li.row")).to_have_count(40)
    while page.get_by_role("button", name="More rows").count():
        shown = page.locator("#main li.row").count()
        page.get_by_role("button", name="More rows").click()
        expect(page.locator("#main li.row")).not_to_have_count(shown)
        expect(page.locator(".further button[disabled]")).to_have_count(0)
    assert len(keys(page)) == len(set(keys(page))) == size
    assert clusters_of_rows(page) == {title}
    page.reload()
    expect(page.locator("#main li.row")).to_have_count(size)


@pytest.mark.slow
def test_a_row_shows_its_fields_and_leads_to_rows_like_it(page: Page, served: Served):
    asked(page, served, "?q=name+of+a+month&row=datetime.date.isocalendar")
    expect(page.locator("#detail .like .lines li")).to_have_count(6)
    cells = dict(
        zip(
            page.locator("#detail th").all_inner_texts(),
            page.locator("#detail td").all_inner_texts(),
            strict=True,
        )
    )
    assert cells["module"] == "datetime"
    assert int(cells["big"]) > 2**53
    page.get_by_role("link", name="see all").click()
    expect(page.locator("h1")).to_have_text("Similar rows")
    expect(page.locator(".list li.row").first).to_be_visible()
    near = page.locator(".list li.row").evaluate_all("all => all.map(one => one.dataset.key)")
    assert "datetime.date.isocalendar" not in near
    assert sum("datetime" in key for key in near[:8]) >= 6


def test_the_map_is_linked_with_the_rows(page: Page, served: Served):
    asked(page, served, "?q=draw+with+a+turtle")
    expect(page.locator("#map canvas")).to_be_visible()
    expect(page.locator(".map-name").first).to_be_visible()
    lit = page.locator("#map canvas").evaluate(BRIGHT)
    assert 20 * 9 < lit < 20 * 400
    page.locator("#main li.row").nth(1).hover()
    expect(page.locator("#map")).to_have_attribute("data-point", keys(page)[1])

    name = page.locator(".map-name").first
    cluster = name.get_attribute("data-cluster")
    name.click()
    expect(page.locator(f".facets input[data-facet='{cluster}']")).to_be_checked()
    expect(page).to_have_url(re.compile(f"cluster={cluster}"))
    page.get_by_role("link", name="Overview").click()
    expect(page.locator(".tile").first).to_be_visible()
    page.locator(".map-name").first.click()
    expect(page.locator("article.card")).to_be_visible()


def test_a_point_of_the_map_opens_its_row(page: Page, served: Served):
    asked(page, served)
    expect(page.locator(".map-name").first).to_be_visible()
    page.locator("#main .tile").first.hover()
    key = page.locator("#map").get_attribute("data-point")
    assert key
    found = page.locator("#map canvas").evaluate(A_POINT)
    page.locator("#map canvas").hover(position={"x": found[0], "y": found[1]})
    expect(page.locator(".map-tip p")).not_to_have_text("…")
    page.locator("#map canvas").click(position={"x": found[0], "y": found[1]})
    expect(page.locator("#detail h2")).to_be_visible()
    expect(page).to_have_url(re.compile("row="))


def test_noise_and_duplicates_have_lists_of_their_own(page: Page, served: Served, shot: Shot):
    asked(page, served, "?view=noise")
    noise = page.locator(".ways a", has_text="Noise").locator(".number").inner_text()
    expect(page.locator("#main li.row")).to_have_count(min(int(noise), 20))
    assert clusters_of_rows(page) == {"noise"}
    page.get_by_role("link", name="Near duplicates").click()
    expect(page.locator("li.group").first).to_be_visible()
    texts = (
        page.locator("li.group", has_text="copy of tarfile.TarFile.add")
        .locator("a.line")
        .all_inner_texts()
    )
    assert len(texts) >= 2
    shot(page, "ui-duplicates")


def test_a_filter_that_milvus_refuses_is_told_in_place(
    page: Page, served: Served, complaints: list[str]
):
    asked(page, served, "?view=rows")
    page.locator("summary", has_text="Filter").click()
    page.get_by_label("Milvus expression").fill('module == "turtle"')
    page.get_by_role("button", name="Apply").click()
    expect(page.locator("h1")).to_have_text("Filtered rows")
    expect(page.locator("#main li.row")).to_have_count(20)
    assert all(key.startswith("turtle") for key in keys(page))
    page.get_by_label("Milvus expression").fill('module == "')
    page.get_by_role("button", name="Apply").click()
    expect(page.locator("#expression-error")).to_be_visible()
    assert page.locator("#main li.row").count() == 0
    assert len(complaints) == 1
    assert "400" in complaints.pop()


def test_hostile_rows_are_shown_and_run_nothing(page: Page, served: Served):
    asked(page, served, '?view=rows&filter=module+%3D%3D+"hostile"')
    expect(page.locator("#main li.row")).to_have_count(len(ui_world.HOSTILE))
    assert set(keys(page)) == set(ui_world.HOSTILE)
    for key, text in ui_world.HOSTILE.items():
        page.locator("#main li.row").nth(keys(page).index(key)).locator("a.text").click()
        expect(page.locator("#detail h2")).to_have_text(f"Row {key}")
        assert page.locator("#detail .fulltext").text_content() == text
    assert page.evaluate("window.hit") is None
    arabic = page.locator('#main a.text[data-key="عربي"]')
    assert arabic.evaluate("one => getComputedStyle(one).direction") == "rtl"
    long = page.locator('#main li.row[data-key="中文"]')
    height = long.locator("a.text").evaluate("one => one.clientHeight")
    long.get_by_role("button", name="More").click()
    assert long.locator("a.text").evaluate("one => one.clientHeight") > height
    assert page.evaluate("document.documentElement.scrollWidth") <= 1280


def test_read_only_shows_no_control_that_edits(page: Page, served: Served):
    asked(page, served, "?view=cluster&id=0")
    expect(page.locator("article.card")).to_be_visible()
    names = page.get_by_role("button").all_inner_texts()
    assert not {"Rename…", "Pin", "Hide", "Merge…"} & set(names)
    answer = page.request.patch(
        f"{served.url}api/clusters/0", data={"name": "x"}, headers={"X-Vdbcluster": "edit"}
    )
    assert answer.status == 403


def test_it_works_by_keyboard_alone(page: Page, served: Served):
    asked(page, served)
    page.keyboard.press("Tab")
    expect(page.locator(".skip")).to_be_focused()
    page.keyboard.press("/")
    page.keyboard.type("wait for a thread")
    page.keyboard.press("Enter")
    expect(page.locator("#live")).to_have_text("20 rows shown")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    second = keys(page)[1]
    expect(page.locator(f'#main a.text[data-key="{second}"]')).to_be_focused()
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    page.keyboard.press("Enter")
    expect(page.locator("#detail")).to_be_focused()
    expect(page.locator("#detail h2")).to_have_text(f"Row {second}")
    page.keyboard.press("Escape")
    expect(page.locator("#detail")).to_be_hidden()
    expect(page.locator(f'#main a.text[data-key="{second}"]')).to_be_focused()
    page.locator(".facets input").first.focus()
    page.keyboard.press("Space")
    expect(page.locator(".chosen .chip")).to_have_count(1)


def test_it_fits_a_phone(narrow: Page, served: Served, shot: Shot):
    asked(narrow, served, "?q=read+a+compressed+file")
    wide = "document.documentElement.scrollWidth"
    assert narrow.evaluate(wide) <= 390
    shot(narrow, "ui-phone-search")
    narrow.locator("#main a.text").first.click()
    expect(narrow.locator("#detail .fulltext")).to_be_visible()
    assert narrow.evaluate(wide) <= 390
    narrow.get_by_role("button", name="Close the row").click()
    narrow.get_by_role("button", name="Clusters").click()
    narrow.locator("ul.clusters a").first.click()
    expect(narrow.locator("article.card")).to_be_visible()
    assert narrow.evaluate(wide) <= 390
    shot(narrow, "ui-phone-cluster")
    narrow.get_by_role("button", name="Map").click()
    expect(narrow.locator("#map canvas")).to_be_visible()
    expect(narrow.locator(".map-name").first).to_be_visible()
    shot(narrow, "ui-phone-map")


@pytest.mark.slow
def test_dark_mode_is_chosen_and_kept(page: Page, served: Served, shot: Shot):
    page.emulate_media(color_scheme="dark")
    asked(page, served, "?view=cluster&id=1")
    ground = "getComputedStyle(document.body).backgroundColor"
    dark = page.evaluate(ground)
    expect(page.locator("article.card")).to_be_visible()
    shot(page, "ui-dark")
    page.get_by_role("button", name="Switch to light mode").click()
    assert page.evaluate(ground) != dark
    page.reload()
    expect(page.locator("html")).to_have_attribute("data-theme", "light")
