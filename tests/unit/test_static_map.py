"""Maps for a paper: PNG and SVG, with a font that has the characters, and nothing asked for."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import pytest

from tests.browser.map_world import map_view
from vdbcluster.adapters import static_map
from vdbcluster.adapters.static_map import check_plots, draw_static
from vdbcluster.errors import UsageError
from vdbcluster.model.maps import MapCluster
from vdbcluster.pages.map_colors import GREY, LIGHT

pytest.importorskip("datamapplot")
image = pytest.importorskip("PIL.Image")


def test_names_are_unique_and_the_pinned_come_first() -> None:
    many = [MapCluster(i, 100 - i, name="same", pinned=i == 70) for i in range(80)]
    named = static_map._named(many)
    assert len(named) == static_map.LABELS
    assert named[0].id == 70
    titles = static_map._titles(named)
    assert len(set(titles.values())) == len(named)
    assert titles[70] == "same"


def test_a_font_that_has_the_characters() -> None:
    assert static_map._font(["late parcels"]) == ("DejaVu Sans", set())
    assert static_map._font(["late \U0010ffff parcels"])[1] == {"\U0010ffff"}
    font, lacking = static_map._font(["配送の遅れ", "parcels"])
    if lacking:
        pytest.skip("no font with Japanese is installed")
    assert font != "DejaVu Sans"


@pytest.mark.slow
def test_png_and_svg(monkeypatch: pytest.MonkeyPatch) -> None:
    import requests

    def asked(*_: object, **__: object) -> None:
        raise AssertionError("something was asked for")

    monkeypatch.setattr(requests, "get", asked)
    view = replace(map_view(), title="$parcels$ \U0010ffff")
    drawn = draw_static(view, "png")
    seen = np.asarray(image.open(io.BytesIO(drawn.body)).convert("RGB")).reshape(-1, 3)
    for color in (*(LIGHT[one.id] for one in view.clusters[:2]), GREY[0]):
        wanted = np.array([int(color[i : i + 2], 16) for i in (1, 3, 5)])
        assert (np.abs(seen.astype(int) - wanted).sum(axis=1) < 12).sum() > 100
    assert drawn.facts["names"] == 5
    assert drawn.told[0] == "1 of 620 rows have no place on the map"
    assert "lacks" in drawn.told[1]
    svg = draw_static(view, "svg").body.decode()
    assert svg.count("<image") >= 1
    assert "<script" not in svg
    assert len(svg) < 3_000_000


def test_without_datamapplot_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(static_map, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r"pip install 'vdbcluster\[plots\]'"):
        check_plots()
