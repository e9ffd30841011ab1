"""Maps as files and on the screen; see ``scripts/bench_map``."""

from __future__ import annotations

import argparse
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import plotly.graph_objects as go
from playwright.sync_api import Browser, sync_playwright

from vdbcluster.model.maps import MapCluster, MapView
from vdbcluster.pages.map import map_page
from vdbcluster.pages.map_colors import LIGHT
from vdbcluster.pages.wording import shortened

CHROMIUM = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = ["--no-sandbox", "--disable-gpu", "--enable-unsafe-swiftshader"]
WORDS = 5_000
HOVER_CHARS = 240
DRAWN = """new Promise((told) => {
  const look = () => document.querySelector(".vmap[data-ready], .plotly-done") ? told() :
    setTimeout(look, 5);
  look();
}).then(() => new Promise((told) => requestAnimationFrame(() => requestAnimationFrame(told))))
  .then(() => performance.now() / 1000)"""
AFTER = """<script>(() => { const look = () => { const plot = document.querySelector(
".js-plotly-plot"); if (plot && plot._fullLayout && plot.querySelector("canvas"))
plot.classList.add("plotly-done"); else setTimeout(look, 5); }; look(); })()</script>"""


def main(about: str) -> None:
    parser = argparse.ArgumentParser(
        description=about, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, nargs="+", default=[10_000, 100_000, 200_000])
    parser.add_argument("--clusters", type=int, default=100)
    parser.add_argument("--repeats", type=int, default=3)
    asked = parser.parse_args()
    chromium = next(filter(None, map(shutil.which, CHROMIUM)), None)
    if chromium is None:
        sys.exit("there is no Chromium on this machine")
    print(
        f"{'rows':>8}{'MB':>7}{'write s':>9}{'paint s':>9}{'texts':>9}   "
        f"{'plotly MB':>10}{'write s':>9}{'paint s':>9}   {'MB':>6}{'paint':>7}"
    )
    with sync_playwright() as playwright, tempfile.TemporaryDirectory() as home:
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        for n in asked.rows:
            line(browser, Path(home), made_up(n, asked.clusters), asked.repeats)
        browser.close()


def line(browser: Browser, home: Path, view: MapView, repeats: int) -> None:
    ours, theirs = home / "ours.html", home / "theirs.html"
    began = time.perf_counter()
    page = map_page(view, hover_chars=HOVER_CHARS)
    ours.write_text(page.html, encoding="utf-8")
    wrote = time.perf_counter() - began
    began = time.perf_counter()
    theirs.write_text(plain_plotly(view), encoding="utf-8")
    plotly_wrote = time.perf_counter() - began
    painted, plotly_painted = (paint(browser, place, repeats) for place in (ours, theirs))
    size, plotly_size = (place.stat().st_size / 1e6 for place in (ours, theirs))
    print(
        f"{len(view):>8,}{size:>7.1f}{wrote:>9.1f}{painted:>9.2f}{page.made.kept:>9,}   "
        f"{plotly_size:>10.1f}{plotly_wrote:>9.1f}{plotly_painted:>9.2f}   "
        f"{size / plotly_size:>6.2f}{painted / plotly_painted:>7.2f}",
        flush=True,
    )


def plain_plotly(view: MapView) -> str:
    """The same points, colours and hover texts, as plotly's users write them."""
    colors = [LIGHT[label % len(LIGHT)] if label >= 0 else "#bcc1c9" for label in view.labels]
    trace = go.Scattergl(
        x=view.points[:, 0],
        y=view.points[:, 1],
        mode="markers",
        marker={"color": colors, "size": 3},
        text=[shortened(text or "", HOVER_CHARS) for text in view.texts or ()],
        hovertemplate="%{text}<extra></extra>",
    )
    html = str(go.Figure(trace).to_html(include_plotlyjs=True, full_html=True))
    return html.replace("</body>", AFTER + "</body>")


def paint(browser: Browser, place: Path, repeats: int) -> float:
    """Seconds from the start of the page to the picture, the median."""
    times = []
    for _ in range(repeats):
        page = browser.new_page(viewport={"width": 1280, "height": 800})
        page.goto(place.as_uri(), wait_until="commit", timeout=120_000)
        times.append(float(page.evaluate(DRAWN)))
        page.close()
    return statistics.median(times)


def made_up(n: int, clusters: int) -> MapView:
    """Rows of clusters in a plane, a tenth of them noise, with texts of 12 to 60 words."""
    rng = np.random.default_rng(0)
    labels = np.where(rng.random(n) < 0.1, -1, rng.integers(0, clusters, n))
    middles = rng.normal(0, 8, (clusters, 2))
    points = middles[labels] + rng.normal(0, 0.6, (n, 2))
    points[labels < 0] = rng.normal(0, 8, (int((labels < 0).sum()), 2))
    letters = np.array(list("abcdefghijklmnopqrstuvwxyz"))
    words = ["".join(rng.choice(letters, rng.integers(2, 10))) for _ in range(WORDS)]
    ranks = np.minimum(rng.zipf(1.3, 60 * 4_000), WORDS) - 1
    told = [" ".join(words[w] for w in ranks[i * 60 : i * 60 + 12 + i % 48]) for i in range(4_000)]
    texts = tuple(f"{told[i % 4_000]} {words[i % 977]} {i}" for i in range(n))
    sizes = np.bincount(labels[labels >= 0], minlength=clusters)
    made = [MapCluster(c, int(sizes[c]), name=" ".join(words[c : c + 2])) for c in range(clusters)]
    return MapView(
        title="made-up rows",
        keys=np.arange(n),
        points=points.astype(np.float32),
        labels=labels,
        probability=rng.random(n).astype(np.float32),
        clusters=tuple(sorted(made, key=lambda one: -one.size)),
        texts=texts,
    )
