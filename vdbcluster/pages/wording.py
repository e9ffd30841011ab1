"""Texts of rows and names, fit for a page.

In: any text. Out: shorter, on one line. Promise: nothing in it steers: no control characters, no
marks that turn the direction of what follows; joiners of scripts and emoji stay.
"""

from __future__ import annotations

import re

_STEERING = re.compile(
    "[\x00-\x1f\x7f-\x9f\u00ad\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]+"
)
ELLIPSIS = "…"
_BOUND = re.compile(r"[\u0300-\u036f\u200c\u200d\ufe00-\ufe0f\U0001f3fb-\U0001f3ff]+$")


def plain(text: str) -> str:
    """On one line, without what steers."""
    return " ".join(_STEERING.sub(" ", text).split())


def shortened(text: str, most: int) -> str:
    """At most ``most`` characters of it, and a sign that there is more.

    Cut between words if one ends in the last fifth; else anywhere but before a combining mark.
    """
    looked = text[: 8 * most + 64]
    told = plain(looked)
    if len(told) <= most and len(looked) == len(text):
        return told
    head = told[: most - 1]
    blank = head.rfind(" ")
    if blank >= 0.8 * most:
        head = head[:blank]
    return _BOUND.sub("", head).rstrip() + ELLIPSIS
