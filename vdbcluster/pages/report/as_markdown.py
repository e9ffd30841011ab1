"""A report as Markdown (CommonMark with tables), for a wiki or an issue.

In: a ``Report``. Out: text. Promise: pure; texts of rows and names cannot become markup: what
Markdown or HTML reads as such is escaped, and each stands on one line. Charts are told in words,
numbers and bars of block characters.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from vdbcluster.model.cards import Card, Commentary
from vdbcluster.model.report import Changes, Fact, Report, ReportCluster, Timeline
from vdbcluster.pages.report.as_html import quotes, shown
from vdbcluster.pages.report.figures import (
    GLOSSARY,
    closest,
    rows,
    score,
    share,
    sparkline,
    trend_lines,
)
from vdbcluster.pages.wording import plain

_ANYWHERE = re.compile(r"([\\`*_{}\[\]<>#|~$^&!]|:(?=//))")
_BEGINNING = re.compile(r"^(\d{0,9})([-+=.)])")
_WORDS = re.compile(r"(?i)\b(www)\.")
BAR = 20
"""Characters of the longest bar."""
EVENTS = 60


def md(text: object) -> str:
    """Any text as a piece of one line that Markdown shows as it is.

    Escaped are characters that could begin markup, a cell or an entity, those that make a list of
    what begins with them, and what some readers make links of (``://``, ``www.``).
    """
    escaped = _ANYWHERE.sub(r"\\\1", plain(str(text)))
    return _WORDS.sub(r"\1\\.", _BEGINNING.sub(r"\1\\\2", escaped))


def as_markdown(report: Report) -> str:
    """See the module."""
    parts = [
        _head(report),
        _section("What was clustered", _facts(report.asked)),
        _quality(report),
        _clusters(report),
        _near(report),
        _changes(report) if report.changes else "",
        _times(report, report.timeline) if report.timeline else "",
        _cards(report),
        _noise(report),
        _section("Duplicates and outliers", _facts(report.copies)) if report.copies else "",
        _section("How it was made", _facts((*report.parameters, *report.versions))),
        _section("Words", [f"- **{name}**: {told}" for name, told in GLOSSARY]),
        f"Made by vdbcluster on {report.made[:10]} from run {md(report.run_id)}.",
    ]
    text = "\n\n".join(part for part in parts if part) + "\n"
    return text.encode("utf-8", "replace").decode()


def _section(title: str, lines: Iterable[str]) -> str:
    return "\n".join([f"## {title}", "", *lines])


def _facts(some: Sequence[Fact]) -> list[str]:
    return _table(("", ""), [(md(one.name), md(one.value)) for one in some])


def _table(headings: Sequence[str], lines: Iterable[Sequence[str]]) -> list[str]:
    return [_line(headings), _line(["---"] * len(headings)), *map(_line, lines)]


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _list(lines: Iterable[object]) -> list[str]:
    return [f"- {md(line)}" for line in lines]


def _head(report: Report) -> str:
    lines = [f"# {md(report.title)}", ""]
    for one in (*report.summary, *trend_lines(report)):
        lines += [md(one), ""]
    for name, some in (("What is doubtful", report.doubts), ("Not told here", report.notes)):
        if some:
            lines += [f"**{name}**", "", *_list(some), ""]
    return "\n".join(lines).rstrip()


def _quality(report: Report) -> str:
    lines = [
        (md(one.name), md(one.value), one.grade.value, md(one.verdict), md(one.meaning))
        for one in report.quality
    ]
    headings = ("figure", "value", "grade", "what it says", "what it means")
    return _section("How good it is", _table(headings, lines))


def _clusters(report: Report) -> str:
    top = report.clusters[0].size if report.clusters else 1
    lines = [
        (
            str(one.id),
            md(one.title) + (" (doubtful)" if one.doubts else ""),
            f"{one.size:,}",
            f"{share(one.share)} {'█' * max(1, round(BAR * one.size / top))}",
            share(one.soft / one.size) if one.soft else "-",
            score(one.stability),
        )
        for one in report.clusters
    ]
    if report.noise.rows:
        noise = (f"{report.noise.rows:,}", share(report.noise.share), "-", "-")
        lines.append(("\\-1", "noise: in no cluster", *noise))
    headings = ("id", "what it is", "rows", "share", "soft", "stability")
    return _section("All clusters", _table(headings, lines))


def _near(report: Report) -> str:
    pairs = closest(report)
    if not pairs:
        return ""
    lines = [(_named(report, a), _named(report, b), f"{cosine:.2f}") for a, b, cosine in pairs]
    return _section("Which are alike", _table(("cluster", "is near", "cosine"), lines))


def _named(report: Report, cluster: int) -> str:
    return "noise" if cluster < 0 else f"{cluster} {md(report.title_of(cluster))}"


def _changes(report: Report) -> str:
    found = report.changes
    if found is None:
        return ""
    lines = [
        f"Since run {md(found.run_id)} of {md(found.started[:16].replace('T', ' '))} UTC.",
        "",
        *_counts(found),
        "",
    ]
    if found.became:
        became = [
            (_named(report, one.id), md(one.told), f"{one.before:,}", f"{one.after:,}")
            for one in found.became[:EVENTS]
        ]
        lines += [*_table(("cluster", "what became of it", "before", "now"), became), ""]
        if (left := len(found.became) - EVENTS) > 0:
            lines += [f"and {left:,} more", ""]
    if found.moves:
        moves = [
            (_named(report, m.before), _named(report, m.after), f"{m.rows:,}", share(m.share))
            for m in found.moves
        ]
        lines += _table(("from", "to", "rows", "of those there"), moves)
    return _section("What changed", lines)


def _counts(found: Changes) -> list[str]:
    return _list(
        [
            f"clusters: {found.clusters_before:,} before, {found.clusters_after:,} now",
            f"{rows(found.unchanged)} of {found.both:,} stayed, {found.moved:,} moved to another",
            f"{found.from_noise:,} out of noise, {found.to_noise:,} into it",
            f"{found.new:,} new, {found.gone:,} gone",
        ]
    )


def _times(report: Report, when: Timeline) -> str:
    lines = [
        (
            _named(report, one.id),
            sparkline(
                [c / t if t else 0 for c, t in zip(counts, when.totals, strict=True)],
            ),
            f"{sum(counts):,}",
        )
        for one in report.clusters
        if any(counts := when.clusters.get(one.id, ()))
    ]
    head = (
        f"By the field {md(when.field)}, from {md(when.periods[0])} to {md(when.periods[-1])}; "
        f"the share of each cluster in the rows of each {when.unit}, each on a scale of its own."
    )
    return _section("Over time", [head, "", *_table(("cluster", "share", "rows"), lines)])


def _cards(report: Report) -> str:
    some = report.clusters[: report.n_cards]
    if not some:
        return ""
    lines = ["## Cluster by cluster"]
    if (left := report.n_clusters - len(some)) > 0:
        lines += ["", f"The {len(some)} largest; {left:,} more are in the table above alone."]
    for one in some:
        lines += ["", *_card(one)]
    return "\n".join(lines)


def _card(one: ReportCluster) -> Iterator[str]:
    yield f"### {one.id} {md(one.title)}"
    yield ""
    figures = [rows(one.size), f"{share(one.share)} of all"]
    if one.stability is not None:
        figures.append(f"stability {one.stability:.2f}")
    if one.soft:
        figures.append(f"{share(one.soft / one.size)} of it soft")
    yield md(", ".join(figures))
    yield ""
    if one.description:
        yield f"{md(one.description)}\n"
    if one.doubts:
        yield f"**Doubtful**: {md('; '.join(one.doubts))}\n"
    if one.keywords:
        yield f"**Keywords**: {md(', '.join(one.keywords))}\n"
    if one.joined:
        yield f"People merged {md(', '.join(map(str, one.joined)))} into it.\n"
    if one.card is not None:
        yield from _of_card(one, one.card)
    elif one.medoid is not None:
        yield f"- {md(shown(one.medoid))}"
    yield from (f"- field {md(bar.told or bar.name)}" for bar in one.bars)


def _of_card(one: ReportCluster, card: Card) -> Iterator[str]:
    if card.commentary is not None:
        yield from _said(card.commentary)
    for name, some in quotes(card):
        yield from (f"- {name.lower()}: {md(shown(row))}" for row in some)
    if card.siblings:
        yield f"- nearest: {md(', '.join(f'{s.called} ({s.cosine:.2f})' for s in card.siblings))}"
        if card.siblings[0].words:
            yield f"- unlike it: {md(', '.join(card.siblings[0].words))}"
    if card.n_duplicates:
        yield f"- {rows(card.n_duplicates)} say what another says"
    if card.n_outliers:
        yield f"- {rows(card.n_outliers)} may be out of place"
    for inner in one.inner:
        yield f"- within it: {md(inner.path)}, {rows(inner.size)}: {md(', '.join(inner.terms[:5]))}"


def _said(said: Commentary) -> Iterator[str]:
    for claim in said.unusual:
        cited = f" (rows {', '.join(map(str, claim.cited))})" if claim.cited else ""
        yield f"- unusual: {md(claim.text + cited)}"
    if said.interestingness is not None:
        yield f"- interest: {said.interestingness} of 100"
    if said.unique:
        yield f"- a perspective of its own: {md(said.unique)}"


def _noise(report: Report) -> str:
    found = report.noise
    if not found.rows:
        return _section("Rows in no cluster", ["There are none."])
    lines = [f"{rows(found.rows)} ({share(found.share)}).", ""]
    if found.beside:
        beside = ", ".join(f"{_named(report, i)} ({n:,})" for i, n in found.beside)
        lines += [f"Nearest to: {beside}.", ""]
    for name, some in (("farthest out", found.far), ("nearly in a cluster", found.near)):
        lines += [f"- {name}: {md(shown(one))}" for one in some]
    return _section("Rows in no cluster", lines)
