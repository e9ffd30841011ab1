"""Which language a text is in: real texts, and what is no text."""

from __future__ import annotations

import numpy as np
import pytest

from tests.data import table
from vdbcluster.adapters.languages import Py3LangId
from vdbcluster.graph.groups import UNKNOWN
from vdbcluster.ports.languages import LanguageDetector

DETECTOR: LanguageDetector = Py3LangId()


def test_plain_sentences() -> None:
    texts = [
        "Where can I find the opening hours of the library?",
        "図書館の開館時間はどこで確認できますか。",
        "在哪里可以找到图书馆的开放时间。",
        "Wo finde ich die Öffnungszeiten der Bibliothek?",
    ]
    codes = DETECTOR.detect(texts)
    assert codes.tolist() == ["en", "ja", "zh", "de"]
    assert DETECTOR.detect(texts[::-1]).tolist() == codes.tolist()[::-1]
    assert DETECTOR.description.startswith("py3langid 0.")


def test_what_is_no_text_is_undetermined() -> None:
    nothing = [None, "", "  \n", "12345 67890", "\x00", "\ud800", "!!! ???", "A"]
    assert DETECTOR.detect(nothing).tolist() == [UNKNOWN] * len(nothing)
    assert DETECTOR.detect([]).shape == (0,)


def test_long_texts_are_cut() -> None:
    assert DETECTOR.detect(["The library opens at nine. " * 100_000]).tolist() == ["en"]


@pytest.mark.parametrize(
    ("name", "right"),
    [
        ("sib200_8lang", 0.99),
        ("polis4k", 0.97),
        ("livedoor", 0.98),
        ("thucnews10k", 0.98),
        ("banking77", 0.98),
        ("stackoverflow20k", 0.8),
    ],
)
def test_real_texts(name: str, right: float) -> None:
    rows = table(f"{name}.parquet").sample(300, random_state=0)
    found = DETECTOR.detect(rows["text"].tolist())
    truth = rows["lang"].str.split("-").str[0].to_numpy(object)
    assert (found == truth).mean() >= right
    wrong = found[(found != truth) & (found != UNKNOWN)]
    assert len(wrong) == 0 or np.unique(wrong.astype(str), return_counts=True)[1].max() < 0.03 * 300
