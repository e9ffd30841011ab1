"""Which fields of a row people are shown, and how they are cut.

In: a profile, a few whole rows, names that the settings give. Out: ``ShownFields``; plain values.
Promise: fields of ours are left out; what comes out is JSON that every reader takes: no NaN, whole
numbers beyond 2^53 as text.
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from vdbcluster.model.collection import USUAL_TEXT_FIELDS, CollectionProfile
from vdbcluster.model.live import LiveRow

USUAL_IMAGE_FIELDS = ("image", "thumbnail", "picture", "img")
FEW = 6
LONG = 200
"""Characters of a text that is too long to stand beside another."""
SHOWN_TEXT = 1_000
DEEPEST = 50
"""Values within values that are shown."""
SAFE = 2**53
_IMAGE = re.compile(r"data:image/(?:png|jpeg|gif|webp|avif);base64,[A-Za-z0-9+/=]+\Z")
_PLAIN = ("VARCHAR", "BOOL", "INT8", "INT16", "INT32", "INT64", "FLOAT", "DOUBLE")


@dataclass(frozen=True, slots=True)
class ShownFields:
    """``text``, ``image``: None where there is none. ``few``: what else stands beside a row."""

    text: str | None = None
    image: str | None = None
    few: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """All that is asked for."""
        return tuple(dict.fromkeys([*filter(None, (self.text, self.image)), *self.few]))


def shown_fields(
    profile: CollectionProfile,
    samples: Sequence[LiveRow],
    ours: Collection[str],
    *,
    text: str = "",
    image: str = "",
) -> ShownFields:
    """``samples``: whole rows, which tell the names in the dynamic field; ``ours``: left out."""
    declared = [s for s in profile.scalars if s.name not in ours]
    loose: dict[str, object] = {}
    for row in samples:
        loose |= {name: value for name, value in row.fields.items() if name not in ours}
    found = text or _text_field(profile, loose, ours)
    picture = image or next((n for n in USUAL_IMAGE_FIELDS if n in loose), "")
    names = [s.name for s in declared if s.type in _PLAIN]
    names += [n for n in loose if n not in names and profile.scalar(n) is None]
    few = [n for n in names if n not in (found, picture) and _short(loose.get(n))]
    return ShownFields(found or None, picture or None, tuple(few[:FEW]))


def _text_field(
    profile: CollectionProfile, loose: Mapping[str, object], ours: Collection[str]
) -> str:
    named = profile.text_field()
    if named and named not in ours:
        return named
    texts = {name: value for name, value in loose.items() if isinstance(value, str)}
    usual = next((name for name in USUAL_TEXT_FIELDS if name in texts), "")
    return usual or max(texts, key=lambda name: len(texts[name]), default="")


def _short(value: object) -> bool:
    return isinstance(value, int | float | str | None) and len(str(value)) <= LONG


def plain(value: object, deep: int = DEEPEST) -> object:
    """As JSON has it; what lies more than ``deep`` values deep is left out."""
    if isinstance(value, bool) or value is None or isinstance(value, str):
        return value
    if isinstance(value, int):
        return value if abs(value) <= SAFE else str(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, bytes):
        return f"{len(value):,} bytes"
    if isinstance(value, Mapping | list | tuple):
        return _inner(value, deep - 1) if deep else "…"
    item = getattr(value, "item", None)
    return plain(item()) if callable(item) else str(value)


def _inner(value: Mapping[Any, object] | Sequence[object], deep: int) -> object:
    if isinstance(value, Mapping):
        return {str(name): plain(one, deep) for name, one in value.items()}
    return [plain(one, deep) for one in value]


def brief(value: object) -> object:
    """As ``plain``; of what is longer than ``LONG`` as text, the beginning of that."""
    found = plain(value)
    if not isinstance(found, str | dict | list):
        return found
    return found if len(str(found)) <= LONG else text_of(str(found), LONG)


def text_of(value: object, most: int = SHOWN_TEXT) -> str | None:
    """As text, cut to ``most`` characters."""
    if value is None:
        return None
    text = value if isinstance(value, str) else str(plain(value))
    return text if len(text) <= most else f"{text[: most - 1]}…"


def image_of(value: object) -> str | None:
    """A data URI of a picture that can hold no script; None for anything else."""
    return value if isinstance(value, str) and _IMAGE.match(value) else None
