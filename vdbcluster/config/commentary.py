"""Settings of the commentary: what a language model is shown of the clusters, and asked.

In: values of the ``commentary`` section. Out: a frozen ``CommentarySettings``.
"""

from __future__ import annotations

from pathlib import Path

from vdbcluster.config.base import Section, Share, setting


class CommentarySettings(Section):
    """Commentary: what a language model says of the clusters."""

    language: str = setting(
        "auto",
        "Language of the answers, by code or name (ja, German); auto: that of most texts.",
        "--commentary-language",
        pattern=r"^[^\W\d_][\w ()-]{0,39}$",
    )
    inner: bool = setting(
        False,
        "Ask about the clusters within clusters (--recurse) as well.",
        "--commentary-inner",
    )
    refresh: bool = setting(
        False,
        "Ask anew about every cluster that has changed at all; otherwise one that still has most "
        "of its words and size is asked about as it was, which the cache of answers knows.",
        "--commentary-refresh",
    )
    prompts: Path | None = setting(
        None,
        "Folder with prompt files of your own, each in place of the packaged one of its name.",
        "--prompts",
    )
    texts: int = setting(
        16, "Texts of a cluster that the model reads, at most.", "--commentary-texts", ge=1, le=100
    )
    text_length: int = setting(
        300, "Characters of each of them, at most.", "--commentary-text-length", ge=20, le=10_000
    )
    siblings: int = setting(
        4,
        "Nearest other clusters that the model is told of, by their words.",
        "--commentary-siblings",
        ge=0,
        le=20,
    )
    comparisons: int = setting(
        6,
        "Other clusters that each is compared with, each time in both orders, to rank them by "
        "interest; 0 compares none.",
        ge=0,
        le=100,
    )
    unique: Share = setting(
        0.1,
        "Share of the clusters, at most, that are named for bringing a unique perspective.",
        "--unique-share",
    )
