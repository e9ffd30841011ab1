"""Languages of texts by py3langid: naive Bayes on byte n-grams, its model inside the package.

In: texts. Out: language codes. Promise: offline, deterministic, 5,000 to 19,000 texts a second.

Measured on 1,500 texts a set, share right / undetermined / wrong: FLORES sentences in eight
languages 0.999 / 0 / 0.001, Japanese headlines 0.998 / 0 / 0.002, Chinese headlines 1 / 0 / 0,
English intents 0.996 / 0.003 / 0.001, titles of programming questions 0.868 / 0.121 / 0.011; single
words 0.01 / 0.90 / 0.09. What is wrong scatters over many languages, none above 1 %.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from importlib.metadata import version
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vdbcluster.graph.groups import UNKNOWN

MOST_CHARACTERS = 1000
"""More of a text changes nothing but the time it takes."""
SURE = 0.2
"""Below this probability the text is too short or too mixed to tell."""
FOLDED = {
    "wuu": "zh",  # headlines in standard Chinese are often taken for Wu, whose script is the same
    "yue": "zh",
    "pcm": "en",  # Nigerian Pidgin: terse English looks like it
    "zxx": UNKNOWN,  # no language: numbers, codes, addresses
}


class Py3LangId:
    """``LanguageDetector`` on py3langid; the model is loaded at the first text (0.3 s)."""

    @property
    def description(self) -> str:
        return f"py3langid {version('py3langid')}"

    def detect(self, texts: Sequence[str | None]) -> NDArray[Any]:
        codes = np.full(len(texts), UNKNOWN, object)
        for row, text in enumerate(texts):
            if text and not text.isspace():
                code = self._model.classify(text[:MOST_CHARACTERS])[0]
                codes[row] = FOLDED.get(code, code)
        return codes

    @cached_property
    def _model(self) -> Any:
        from py3langid.langid import MODEL_FILE, LanguageIdentifier

        return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True, min_confidence=SURE)
