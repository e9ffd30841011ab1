"""Settings of ``report``: how much of a run it tells.

In: values of the ``report`` section. Out: a frozen ``ReportSettings``.
"""

from __future__ import annotations

from typing import Literal

from vdbcluster.config.base import Section, setting


class ReportSettings(Section):
    """Report: what it tells of a run."""

    max_cards: int = setting(
        100, "Clusters with a card of their own, the largest; others are a line each.", ge=0
    )
    time_field: str = setting(
        "",
        "Field that says when a row is from (INT64 in s, ms or us since 1970, a year, or ISO "
        "text), for clusters over time; default: found by name and values; none: no such chart.",
    )
    since: str = setting(
        "",
        "Run to compare with; default: the one before it of the same rows; none: no comparison.",
    )
    picture: Literal["interactive", "static", "none"] = setting(
        "interactive",
        "Map in the HTML report: interactive (the points travel in the file), static (a picture of "
        "them), none (no layout is made either).",
        "--map",
    )
