"""Settings of the map: how rows are laid out, and what its picture shows.

In: values of the ``map`` section. Out: a frozen ``MapSettings``.
"""

from __future__ import annotations

from typing import Literal

from vdbcluster.config.base import Section, setting

LAYING = ("dimensions", "afresh", "layout_seed")
"""What a layout is made by; the rest is about its picture, but for ``write``."""
WRITING = ("write", "layout_seed")
"""What a run is told of its map."""


class MapSettings(Section):
    """Map: where rows lie, and what is drawn of them."""

    write: bool = setting(
        False, "Lay the rows out on a map and write map_x and map_y.", "--write-map"
    )
    dimensions: Literal[2, 3] = setting(2, "Dimensions of the layout that is drawn.")
    afresh: bool = setting(
        False, "Lay out anew, rather than take what is recorded or begin from the last map."
    )
    layout_seed: Literal["auto", "fixed", "none"] = setting(
        "auto",
        "fixed: the same map every time, on one thread; none: parallel, another map every time; "
        "auto: fixed up to 100,000 rows.",
    )
