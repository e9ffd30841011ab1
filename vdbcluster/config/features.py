"""Settings of features: which scalar fields are looked at, and what counts as told apart.

In: values of the ``features`` section. Out: a frozen ``FeatureSettings``.
"""

from __future__ import annotations

from vdbcluster.config.base import Section, setting

LEARNING = ("enabled", "include", "exclude", "min_size", "alpha", "max_rows")
"""What ``explain`` is told; ``classify`` goes by ``threshold`` alone."""


class FeatureSettings(Section):
    """Features: what scalar fields say of the clusters."""

    enabled: bool = setting(
        False,
        "Which scalar fields tell each cluster from all other rows; needs the extra features.",
        "--features",
    )
    include: tuple[str, ...] = setting(
        (),
        "A field to look at although it is like a text, a name or a key; repeatable.",
        "--feature",
    )
    exclude: tuple[str, ...] = setting((), "A field that is left out; repeatable.", "--leave-out")
    min_size: int = setting(
        20, "Rows of a cluster that can be told by its fields.", "--feature-min-size", ge=5
    )
    alpha: float = setting(
        0.01,
        "Chance that anything is told where fields say nothing.",
        "--feature-alpha",
        gt=0,
        lt=1,
    )
    max_rows: int = setting(
        10_000,
        "Rows that the trees of a cluster are trained on, members and others drawn alike.",
        "--feature-rows",
        ge=100,
    )
    threshold: float = setting(
        0.5, "Least probability at which classify puts a row into a cluster.", ge=0, le=1
    )
