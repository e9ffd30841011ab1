"""What the fields of a cluster say, on a terminal.

In: ``Card.features``, plain values as ``pipeline.features.card_features`` makes them. Out: lines of
text. Promise: the fields ranked, the first tells most; names and values are as rows hold them, so
whoever prints them makes them printable.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

FIELDS = 8
LIFTS = 3
"""So many are shown; JSON has all of them."""
GRADES = ((0.95, "very well"), (0.85, "well"), (0.7, "fairly"), (0.0, "weakly"))


def feature_lines(features: Mapping[str, Any]) -> list[str]:
    """How well fields tell the cluster, which do and how, and its most telling values."""
    lines = [_score(features["score"])] if features["score"] and not features["reason"] else []
    if features["reason"]:
        lines.append(features["reason"])
    told = features["features"]
    lines += [f"{i}. {one['told']} [{one['share']:.0%}]" for i, one in enumerate(told[:FIELDS], 1)]
    if len(told) > FIELDS:
        lines.append(f"and {len(told) - FIELDS} more fields")
    lines += [lift["told"] for lift in features.get("lifts", ())[:LIFTS]]
    return lines


def _score(score: Mapping[str, Any]) -> str:
    """The area under the ROC curve is the share of pairs that are told right."""
    auc = score["auc"]
    grade = next(word for least, word in GRADES if auc >= least)
    return (
        f"fields tell it {grade}: of a member and another row, neither seen before, they know "
        f"which is which in {auc:.1%} of pairs ({score['auc_low']:.1%} to {score['auc_high']:.1%})"
    )
