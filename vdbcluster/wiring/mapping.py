"""A map of a recorded run, as a file.

In: the name of a run, the settings of now, where the file is to be. Out: ``Mapped``.
Promise: what cannot be written, or needs what is not installed, is said before a row is read;
server, collection and filter are those that the run recorded; nothing is written but the file and
the layout in the record of the run.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from vdbcluster.adapters.outputs import check_output, write_output
from vdbcluster.adapters.picture_fetch import PictureFetcher
from vdbcluster.adapters.pictures import (
    USUAL_FIELDS,
    PictureSource,
    Thumbnailer,
    Thumbnails,
    check_pillow,
)
from vdbcluster.adapters.static_map import StaticMap, check_plots, draw_static
from vdbcluster.config.settings import Settings
from vdbcluster.errors import UsageError, VdbclusterError
from vdbcluster.model.arrays import Keys
from vdbcluster.model.cards import Explanation
from vdbcluster.model.collection import CollectionProfile
from vdbcluster.model.manifest import RunManifest
from vdbcluster.model.maps import MapView
from vdbcluster.pages.map import MapPage, map_page
from vdbcluster.pipeline.adapters import Adapters
from vdbcluster.pipeline.cards import recorded_cards
from vdbcluster.pipeline.copies import texts_of
from vdbcluster.pipeline.layout import run_layout
from vdbcluster.pipeline.map_view import map_view
from vdbcluster.pipeline.members import Members, run_members
from vdbcluster.pipeline.room import room_of
from vdbcluster.ports import Observer
from vdbcluster.wiring.explaining import named_field
from vdbcluster.wiring.history import clustered_run
from vdbcluster.wiring.main_job import check_text_field, open_bench
from vdbcluster.wiring.recorded import recorded_settings

KINDS = (".html", ".htm", ".png", ".svg")
PICTURES_SHARE = 0.75
"""Of the room for texts and pictures, what pictures may take."""
PAGE_BYTES = 5_000_000
ROW_BYTES = 20
"""Of a point and its key, about."""


@dataclass(frozen=True, slots=True)
class Mapped:
    """``told``: what the file does not show, a line each; ``facts``: numbers, by name."""

    manifest: RunManifest
    place: Path
    size: int
    told: tuple[str, ...]
    facts: dict[str, object] = field(default_factory=dict)


def map_job(name: str, settings: Settings, place: Path, observer: Observer) -> Mapped:
    """Draw the map of run ``name`` into ``place``: HTML, PNG or SVG by its ending.

    ``last`` is the newest run that clustered all rows. Raises ``UsageError`` for a place that
    cannot be written, a field that is none, or an extra that is not installed.
    """
    kind = check_place(place)
    static = kind in (".png", ".svg")
    if static:
        check_static(settings)
    if settings.picture.image_field and not static:
        check_pillow()
    manifest = clustered_run(settings.run.runs_dir, name)
    then = recorded_settings(manifest, settings)
    with open_bench(then, observer) as bench, bench.looking() as adapters:
        view, told = _view(adapters, manifest, then, observer, static=static)
    with observer.stage("map", len(view)) as progress:
        if static:
            drawn = draw_static(view, kind.removeprefix("."))
            made = _static(manifest, place, drawn)
            body = drawn.body
        else:
            page = map_page(
                view, max_mb=settings.picture.max_mb, hover_chars=settings.picture.hover_chars
            )
            made = _page(manifest, place, page, told, view)
            body = page.html.encode()
        progress.advance(len(view))
    write_output(place, body)
    return made


def check_place(place: Path) -> str:
    """Its ending; ``UsageError`` if it is none of ``KINDS``, or nothing can be written there."""
    kind = place.suffix.lower()
    if kind not in KINDS:
        raise UsageError(f"{place} must end in .html, .png or .svg (--output)")
    check_output(place)
    return kind


def check_static(settings: Settings) -> None:
    """``UsageError`` for what a picture for a paper cannot have."""
    if settings.map.dimensions == 3:
        raise UsageError("a PNG or SVG is flat; leave --dimensions out, or write HTML")
    check_plots()


def _view(
    adapters: Adapters, manifest: RunManifest, then: Settings, observer: Observer, *, static: bool
) -> tuple[MapView, list[str]]:
    named = named_field(manifest, then)
    check_text_field(adapters.profile, named)
    members = run_members(adapters, manifest, observer, room_of(then))
    layout = run_layout(adapters, manifest, members, then, observer)
    explanation = _explanation(adapters, manifest)
    catalogue = adapters.catalogue().read() if adapters.catalogue else None
    texts: list[str | None] | None = None
    images, told = None, list[str]()
    text_field = named or adapters.profile.text_field() or ""
    if text_field and not static and then.picture.hover_chars:
        texts = _texts(adapters, members.keys, text_field, then.picture.hover_chars, observer)
    if not static:
        images, told = _pictures(adapters, members, then, observer)
    view = map_view(
        manifest,
        members,
        layout,
        catalogue,
        explanation,
        texts=texts,
        images=images,
        dimensions=then.map.dimensions,
    )
    return view, told


def _explanation(adapters: Adapters, manifest: RunManifest) -> Explanation:
    """The cards of this run; none where it was not explained, or by another version."""
    if manifest.run_id not in adapters.runs.having("cards"):
        return Explanation()
    try:
        return Explanation(manifest.run_id, recorded_cards(adapters.runs, manifest.run_id))
    except VdbclusterError:
        return Explanation()


def _texts(
    adapters: Adapters, keys: Keys, text_field: str, most: int, observer: Observer
) -> list[str | None] | None:
    """The beginning of each text, so that long ones are not all held at once."""
    found: list[str | None] = []
    with observer.stage("texts", len(keys)) as progress:
        for text in texts_of(adapters.source, keys, text_field):
            found.append(str(text)[: 8 * most + 65] if text is not None else None)
            progress.advance(1)
    return found if any(found) else None


def _pictures(
    adapters: Adapters, members: Members, then: Settings, observer: Observer
) -> tuple[Sequence[str | None] | None, list[str]]:
    """Thumbnails, and what became of the others."""
    asked = then.picture
    image_field = asked.image_field or _usual_field(adapters.profile)
    if not image_field:
        return None, []
    if asked.image_field:
        check_text_field(adapters.profile, image_field)
    else:
        try:
            check_pillow()
        except UsageError as error:
            observer.warn(f"{image_field!r} may hold pictures, but {error}")
            return None, []
    room = PICTURES_SHARE * (asked.max_mb * 1e6 - PAGE_BYTES - ROW_BYTES * len(members))
    with ExitStack() as stack, observer.stage("pictures", len(members)) as progress:
        fetch = stack.enter_context(PictureFetcher()) if asked.fetch_images else None
        maker = Thumbnailer(PictureSource(asked.image_dir, fetch), asked.image_size)
        values = adapters.source.columns(members.keys, (image_field,))[image_field]
        order = np.random.default_rng(0).permutation(len(values)).astype(np.int64)
        found = maker.of(values, order, int(room))
        progress.advance(len(members))
    if not any(found.uris):
        if asked.image_field or found.missing:
            observer.warn(f"no row has a picture that can be used: {'; '.join(_missing(found))}")
        return None, _missing(found)
    return found.uris, _missing(found)


def _missing(found: Thumbnails) -> list[str]:
    lines = [
        f"{n:,} pictures are left out: {reason} (such as {found.such[reason]!r})"
        for reason, n in sorted(found.missing.items(), key=lambda pair: -pair[1])
    ]
    if found.left:
        lines.append(f"{found.left:,} pictures, drawn by lot, are left out to keep the file small")
    return lines


def _usual_field(profile: CollectionProfile) -> str:
    names = {scalar.name for scalar in profile.scalars}
    return next((usual for usual in USUAL_FIELDS if usual in names), "")


def _page(
    manifest: RunManifest, place: Path, page: MapPage, told: list[str], view: MapView
) -> Mapped:
    made = page.made
    pictures = sum(image is not None for image in view.images or ())
    facts: dict[str, object] = {
        "rows": made.rows,
        "drawn": made.drawn,
        "clusters": made.clusters,
        "texts": made.kept,
        "texts_left_out": made.hovers - made.kept,
        "pictures": pictures,
        "color_distance": made.apart,
    }
    return Mapped(manifest, place, page.size, (*page.told, *told), facts)


def _static(manifest: RunManifest, place: Path, drawn: StaticMap) -> Mapped:
    return Mapped(manifest, place, len(drawn.body), drawn.told, dict(drawn.facts))
