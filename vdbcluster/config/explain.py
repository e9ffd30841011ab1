"""Settings of ``explain``: which words are to tell a cluster.

In: values of the ``explain`` section. Out: a frozen ``ExplainSettings``.
"""

from __future__ import annotations

from typing import Literal

from vdbcluster.config.base import Section, setting

ALONE = ("commentary", "keywords", "n_keywords", "n_representatives", "n_grams")
WORDS = ("stop_words", "dictionary", "han")
"""What ``explain`` is told; ``run`` is told ``after_run`` alone."""


class ExplainSettings(Section):
    """Explain: what the clusters are."""

    after_run: bool = setting(
        False,
        "Explain the clusters as well, once labels are written, as the sections explain, features, "
        "commentary and chat of the settings file say.",
        "--explain",
    )
    commentary: bool = setting(
        False,
        "Let a language model name and describe the clusters, and say what is interesting in them; "
        "see the sections Chat and Commentary.",
    )
    keywords: Literal["mixture", "odds", "tfidf", "contrast", "centroid"] = setting(
        "mixture",
        "How: odds (against all other texts), contrast (with the nearest sibling), tfidf "
        "(class-based), centroid (words of texts in the middle), mixture (odds and centroid).",
    )
    n_keywords: int = setting(10, "Keywords of each cluster, at most.", ge=1, le=100)
    n_representatives: int = setting(5, "Rows of each kind that a card shows.", ge=1, le=50)
    n_grams: int = setting(2, "Longest run of words in a keyword.", ge=1, le=5)
    stop_words: tuple[str, ...] = setting(
        (), "A word that is never a keyword; repeatable.", "--stop-word"
    )
    dictionary: tuple[str, ...] = setting(
        (), "A word or phrase that is kept whole; repeatable.", "--phrase"
    )
    han: Literal["auto", "ja", "zh"] = setting(
        "auto", "What Han characters in a text without kana are: auto goes by all texts."
    )
