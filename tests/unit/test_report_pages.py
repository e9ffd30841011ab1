"""A report as a page, as Markdown and as JSON: what is in it, and that texts stay texts."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from tests.unit.report_worlds import HOSTILE, News, hostile, shared_news
from vdbcluster.model.report import REPORT_VERSION, Report
from vdbcluster.pages.report.as_html import as_html
from vdbcluster.pages.report.as_json import as_json
from vdbcluster.pages.report.as_markdown import as_markdown, md

SECTIONS = (
    "What was clustered",
    "How good it is",
    "All clusters",
    "Which are alike",
    "What changed",
    "Over time",
    "Cluster by cluster",
    "Rows in no cluster",
    "Duplicates and outliers",
    "How it was made",
    "Words",
)


@pytest.fixture(scope="module")
def world() -> News:
    pytest.importorskip("xgboost")
    return shared_news()


@pytest.fixture(scope="module")
def report(world: News) -> Report:
    return world.report(picture="interactive")


class Page(HTMLParser):
    """Elements with their attributes, and the text of those that show any."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.shown: list[str] = []
        self._inside: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self._inside.append(tag)

    def handle_endtag(self, tag: str) -> None:
        while self._inside and self._inside.pop() != tag:
            pass

    def handle_data(self, data: str) -> None:
        if not {"script", "style"} & set(self._inside[-1:]):
            self.shown.append(data)


def test_the_page_has_every_section_and_every_link_leads_somewhere(report: Report) -> None:
    page = Page(as_html(report, still=True))
    text = " ".join(" ".join(page.shown).split())
    for title in (*SECTIONS, "Map", "Sizes and what lies within"):
        assert title in text
    ids = [attrs["id"] for _, attrs in page.elements if attrs.get("id")]
    assert len(ids) == len(set(ids))
    links = [attrs["href"] for tag, attrs in page.elements if tag == "a"]
    assert len(links) > 50
    assert {str(link)[1:] for link in links} <= set(ids)
    for one in report.clusters:
        assert f"cluster-{one.id}" in ids
        assert one.title in text
        assert f"{one.size:,}" in text
    images = [attrs for tag, attrs in page.elements if tag == "svg"]
    assert all(one.get("aria-label") or one.get("aria-hidden") for one in images)
    assert sum(tag == "h1" for tag, _ in page.elements) == 1


def test_only_the_largest_have_cards_and_the_others_are_told(report: Report) -> None:
    page = as_html(replace(report, n_cards=3), still=True)
    assert page.count('<article class="card') == 3
    assert f"The largest 3 of {report.n_clusters}" in page
    for one in report.clusters:
        assert page.count(f'id="cluster-{one.id}"') == 1
    text = as_markdown(replace(report, n_cards=3))
    assert f"{report.n_clusters - 3} more are in the table" in text


def test_five_hundred_clusters_make_no_huge_page(report: Report) -> None:
    base = report.clusters[0]
    many = tuple(replace(base, id=i, size=1000 - i) for i in range(500))
    labels = np.arange(500)
    view = report.view
    assert view is not None
    rows = tuple(replace(view.clusters[0], id=i) for i in range(500))
    wide = replace(view, labels=np.resize(labels, len(view)), clusters=rows)
    page = as_html(replace(report, clusters=many, n_cards=100, view=wide), still=True)
    assert len(page) < 4_000_000
    assert page.count('<article class="card') == 100
    assert page.count('id="cluster-') == 500


def test_the_same_report_gives_the_same_bytes(report: Report) -> None:
    assert as_html(report) == as_html(report)
    assert as_markdown(report) == as_markdown(report)


def test_hostile_texts_stay_texts_in_html(report: Report) -> None:
    page = Page(text := as_html(hostile(report)))
    harmless = Page(as_html(report))
    kinds = {tag for tag, _ in harmless.elements}
    assert {tag for tag, _ in page.elements} <= kinds | {"details", "summary", "q", "br"}
    scripts = sum(tag == "script" for tag, _ in harmless.elements)
    assert sum(tag == "script" for tag, _ in page.elements) == scripts
    assert not [name for _, attrs in page.elements for name in attrs if name.startswith("on")]
    for tag, attrs in page.elements:
        if tag == "a":
            assert str(attrs["href"]).startswith("#")
        assert tag != "base"
        assert not str(attrs.get("src") or "")
    shown = " ".join(page.shown)
    assert "window.hacked = 1" in shown  # it is there to read
    assert "{{ 7 * 7 }}" in shown
    assert "\u202e" not in shown
    assert "\x00" not in text
    assert "\x1b" not in text


def test_hostile_texts_stay_texts_in_markdown(report: Report) -> None:
    text = as_markdown(hostile(report))
    reader = MarkdownIt("commonmark", {"html": True}).enable("table")
    tokens = [t for token in reader.parse(text) for t in (token, *(token.children or ()))]
    assert not [t for t in tokens if t.type in ("html_block", "html_inline", "image", "link_open")]
    assert not [t for t in tokens if t.type in ("code_inline", "code_block", "fence", "hr")]
    page = reader.render(text)
    assert "<script" not in page
    headings = [t.content for t in tokens if t.type == "inline" and "no heading" in t.content]
    assert all(not heading.startswith("no heading") for heading in headings)
    tables = re.findall(r"<tr>.*?</tr>", page, re.DOTALL)
    widths = {row.count("<td") or row.count("<th") for row in tables}
    assert widths <= {2, 3, 4, 5, 6}
    rows = [row for row in page.split("<table>")[1:] if "stability" in row.split("</tr>")[0]]
    assert rows
    assert all(line.count("<td") == 6 for line in rows[0].split("</tbody>")[0].split("<tr>")[2:])


@given(st.text(st.characters(codec=None), max_size=60))
def test_any_text_is_one_paragraph_of_itself_in_markdown(text: str) -> None:
    shown = md(text)
    assert "\n" not in shown
    reader = MarkdownIt("commonmark", {"html": True})
    tokens = reader.parse(shown.encode("utf-8", "replace").decode())
    if not shown:
        return
    assert [token.type for token in tokens] == ["paragraph_open", "inline", "paragraph_close"]
    children = tokens[1].children or []
    assert {child.type for child in children} <= {"text", "text_special"}


def test_json_tells_the_same_and_comes_back(report: Report) -> None:
    told = as_json(report)
    assert json.loads(json.dumps(told, allow_nan=False)) == told
    assert told["version"] == REPORT_VERSION == 1
    assert [one["id"] for one in told["clusters"]] == [one.id for one in report.clusters]
    assert told["clusters"][0]["size"] == report.clusters[0].size
    assert told["noise"]["rows"] == report.noise.rows
    assert told["map"] == {"rows": 870, "drawn": 870, "clusters": report.n_clusters}
    assert report.nearness is not None
    assert np.allclose(told["nearness"]["cosines"], report.nearness.cosines)
    assert report.timeline is not None
    assert told["timeline"]["totals"] == list(report.timeline.totals)
    assert told["quality"][0]["grade"] in ("good", "fair", "doubtful", "plain")
    bad = as_json(hostile(report))
    assert bad["clusters"][0]["title"] == HOSTILE[0]
    json.dumps(bad).encode()


def test_a_report_of_little_is_whole(report: Report) -> None:
    bare = replace(
        report,
        clusters=(),
        n_cards=0,
        boxes=(),
        nearness=None,
        changes=None,
        timeline=None,
        view=None,
        copies=(),
        quality=(),
    )
    page = as_html(bare)
    assert "There are none." in page
    assert "Over time" not in page
    assert "plotly" not in page.lower()
    assert "Over time" not in as_markdown(bare)
    assert as_json(bare)["clusters"] == []
