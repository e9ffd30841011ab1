"""Reports to look at: of real news, and of texts that would harm a page.

In: a directory. Out: a collection in memory with two runs and cards, and its ``Report``.
"""

from __future__ import annotations

import atexit
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from tests.data import embeddings, table
from tests.silent import Listener
from tests.unit.test_run import adapters
from vdbcluster.adapters.memory_catalogue import MemoryCatalogue
from vdbcluster.adapters.memory_collection import MemoryCollection
from vdbcluster.adapters.runs import RunDirectory
from vdbcluster.adapters.tokenizers import ScriptTokenizer
from vdbcluster.config.settings import Settings, load_settings
from vdbcluster.model.cards import (
    Card,
    Claim,
    Commentary,
    Copies,
    Keyword,
    Odd,
    Representatives,
    Shown,
    Sibling,
)
from vdbcluster.model.maps import MapLayout
from vdbcluster.model.report import Bars, Fact, Report
from vdbcluster.pipeline.explain import Explaining, explain_run
from vdbcluster.pipeline.map_record import keep_layout
from vdbcluster.pipeline.report import Reporting, report_of
from vdbcluster.pipeline.run import run

FIRST = 650
"""Rows that the first run knows."""


@dataclass(frozen=True, eq=False)
class News:
    """870 rows of news in memory; ``runs`` holds ``first``, and ``second`` with cards."""

    collection: MemoryCollection
    runs: Path
    frame: Any

    def report(
        self, run_id: str = "second", catalogue: MemoryCatalogue | None = None, **settings: Any
    ) -> Report:
        wanted = load_settings({"report": {"picture": "none", **settings}})
        opened = adapters(self.collection, self.runs)
        if catalogue is not None:
            opened = replace(opened, catalogue=lambda: catalogue)
        made = Reporting(opened, wanted, "text")
        return report_of(made, RunDirectory(self.runs).load(run_id), Listener())

    def keep_map(self, run_id: str) -> None:
        """A map that costs nothing: the two directions in which the rows differ most."""
        vectors = self.collection.vectors - self.collection.vectors.mean(axis=0)
        flat = vectors @ np.linalg.svd(vectors, full_matrices=False)[2][:2].T
        keep_layout(RunDirectory(self.runs), run_id, MapLayout(np.asarray(flat, np.float32)))


@cache
def shared_news() -> News:
    """One for all tests of a process; nobody changes it but for the map in its second record."""
    folder = TemporaryDirectory(prefix="vdbcluster-news-")
    atexit.register(folder.cleanup)
    made = news(Path(folder.name))
    made.keep_map("second")
    return made


def news(runs: Path) -> News:
    """By date: the first 650 rows clustered, then all of them, and the second run explained."""
    frame = table("news870.parquet").sort_values(["published_at", "id"], kind="stable")
    frame = frame.reset_index(drop=True)
    vectors = embeddings("news870.e5-small-q4.384.f16.npy")[frame["id"].to_numpy()]
    names = ("text", "venue", "published_at")
    columns: dict[str, list[Any]] = {name: frame[name].tolist() for name in names}
    columns["length"] = frame["text"].str.len().tolist()
    before = {name: values[:FIRST] for name, values in columns.items()}
    held = MemoryCollection(vectors[:FIRST], columns=before, name="news")
    _run(held, runs, "first")
    after = {name: values[FIRST:] for name, values in columns.items()}
    held.insert(np.arange(FIRST, len(frame)), vectors[FIRST:], "_default", after)
    _run(held, runs, "second")
    made = Explaining(
        adapters=adapters(held, runs),
        tokenizer=ScriptTokenizer(detector=English()),
        settings=load_settings({"features": {"enabled": True}}),
        text_field="text",
    )
    explain_run(made, RunDirectory(runs).load("second"), Listener())
    return News(held, runs, frame)


class English:
    """A detector that knows what these texts are, at no cost."""

    def detect(self, texts: Sequence[str | None]) -> Any:
        found = np.empty(len(texts), object)
        found[:] = "en"
        return found


def _run(held: MemoryCollection, runs: Path, run_id: str) -> None:
    opened = replace(adapters(held, runs), languages=English())
    run(opened, Settings(), Listener(), run_id=run_id, versions={}, confirm=lambda _: True)


HOSTILE = (
    "</script><script>window.hacked = 1</script>",
    "<img src=x onerror='window.hacked = 2'>",
    '" onmouseover="window.hacked = 3" x="',
    "'); window.hacked = 4; ('",
    "{{ 7 * 7 }} {% raw %} ${window.hacked = 5}",
    "a | b `code` [click](javascript:alert(1)) ![x](http://evil.example/x.png) <b>b</b>",
    "# no heading\n- no list\n\n---\n| no | table |",
    "\u202eright to left\u202c \u0000\u001b[31m \ud800 \u2028 www.evil.example &lt;i&gt;",
    "مرحبا بالعالم",
    "東京の天気は晴れです",
    "]]></style><style>*{display:none}</style><!-- x --><base href=http://evil.example/>",
    "javascript:window.hacked=6",
)
"""What texts, names and values of others may hold."""


def hostile(report: Report) -> Report:
    """The same report, all texts of others replaced by such."""
    clusters = tuple(_hostile(one, i) for i, one in enumerate(report.clusters))
    view = report.view
    if view is not None:
        texts = tuple(HOSTILE[i % len(HOSTILE)] for i in range(len(view)))
        named = tuple(
            replace(one, name=HOSTILE[i % len(HOSTILE)], description=HOSTILE[0])
            for i, one in enumerate(view.clusters)
        )
        view = replace(view, title=HOSTILE[0], texts=texts, clusters=named)
    return replace(
        report,
        title=HOSTILE[0],
        asked=tuple(Fact(one.name, HOSTILE[i % 3]) for i, one in enumerate(report.asked)),
        summary=HOSTILE,
        notes=HOSTILE,
        clusters=clusters,
        noise=replace(report.noise, far=tuple(Shown(text, text) for text in HOSTILE)),
        boxes=tuple(replace(one, title=HOSTILE[0]) for one in report.boxes),
        view=view,
    )


def _hostile(one: Any, i: int) -> Any:
    text, other = HOSTILE[i % len(HOSTILE)], HOSTILE[(i + 1) % len(HOSTILE)]
    rows = tuple(Shown(said, said) for said in HOSTILE)
    card = Card(
        id=one.id,
        size=one.size,
        keywords=tuple(Keyword(said, 1.0, 1, 0.5, 0.1) for said in HOSTILE),
        representatives=Representatives(rows[0], rows[:4], rows[4:6], rows[6:9], rows[9:]),
        siblings=(Sibling(one.id, 0.5, HOSTILE),),
        copies=(Copies(text, rows[0], (other,)),),
        n_duplicates=1,
        odd=(Odd(text, 0.5, other, text),),
        n_outliers=1,
        commentary=Commentary(
            text,
            other,
            unusual=(Claim(text, (text, other)),),
            interestingness=5,
            unique=other,
            model=text,
        ),
    )
    bars = Bars(text, "category", HOSTILE, (0.1,) * len(HOSTILE), (0.05,) * len(HOSTILE), other)
    inner = (replace(card, path=f"{one.id}/{text}"),)
    return replace(
        one,
        title=text,
        name=text,
        description=other,
        keywords=HOSTILE,
        card=card,
        inner=inner,
        bars=(bars, replace(bars, kind="number")),
        cited={text: other},
        history=HOSTILE,
    )
