"""Which fields are left out by default, and why.

In: the name and the values of one field. Out: a reason, or nothing. Promise: the same column gives
the same answer; a field that the user forces in is refused only where there is nothing to learn.

- as good as constant: fewer than ``LEAST_OTHER`` rows differ from all others (missing is a value);
- text: half of its values have more than ``LONG`` characters;
- like a name: most rows have a value that no other row has;
- like a key: whole numbers that never repeat and either rise or fall from row to row, have a name
  like ``id``, or never meet although there is so little room that many would by chance (a uniform
  draw of n numbers out of R lets n (n - 1) / 2R pairs meet).

The last two want ``FEW`` rows: of a handful, all values differ anyway. Numbers with a fraction are
never taken for keys, nor are dates.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from statistics import median

from vdbcluster.features.values import LARGEST, Kind, as_text

LEAST_OTHER = 5
LONG = 64
ALONE = 0.5
FEW = 20
MEETINGS = 5.0
_KEY_NAME = re.compile(r"(?:^|[^a-z])(?:id|ids|pk|key|uuid|guid|oid|nr|no)$|[a-z]I[dD]$")


def why_not(
    name: str, values: Sequence[object], present: Sequence[object], kind: Kind, *, forced: bool
) -> str:
    """Why a field is left out; empty if it is not.

    ``present``: the values that are not missing, at least one. ``forced``: by the user.
    """
    counts = Counter(present)
    n_missing = len(values) - len(present)
    usual = max((*counts.values(), n_missing))
    others = len(values) - usual
    if others == 0:
        return "is the same in all rows"
    if forced:
        return ""
    if others < min(LEAST_OTHER, len(values) // 2):
        return f"is the same in all but {others} of {len(values):,} rows"
    if kind == Kind.CATEGORY:
        return _text_like(present, counts)
    if kind == Kind.NUMBER and n_missing == 0 and len(counts) == len(present) >= FEW:
        return _key_like(name, present)
    return ""


def _text_like(present: Sequence[object], counts: Counter[object]) -> str:
    length = median(len(as_text(value)) for value in present)
    if length > LONG:
        return f"is text: half of its values have more than {LONG} characters"
    alone = sum(count == 1 for count in counts.values()) / len(present)
    if alone > ALONE and len(present) >= FEW:
        return f"is like a name or an id: {alone:.0%} of its values occur once"
    return ""


def _key_like(name: str, present: Sequence[object]) -> str:
    """Of values that all differ."""
    whole = [
        int(v) for v in present if isinstance(v, int | float) and abs(v) < LARGEST and v % 1 == 0
    ]
    if len(whole) < len(present):
        return ""
    steps = {after > before for before, after in pairwise(whole)}
    if len(steps) == 1:
        return "is like a key: it counts the rows"
    if _KEY_NAME.search(name) or _KEY_NAME.search(name.lower()):
        return "is like a key: it never repeats and is called like one"
    room = max(whole) - min(whole) + 1
    if len(whole) * (len(whole) - 1) / (2 * room) >= MEETINGS:
        return "is like a key: its whole numbers never repeat in little room"
    return ""
