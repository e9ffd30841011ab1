"""Names of clusters: which of them say the same, which are the words of few texts alone.

In: names, texts. Out: whether they are alike, or the few texts that a name is from. Promise: case
and width do not count; languages without blanks are compared by pairs of characters.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence

from vdbcluster.commentary.excerpts import Excerpt
from vdbcluster.commentary.untrusted import folded

_WORDS = re.compile(r"[^\W_]+")
_UNSPACED = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\U00020000-\U000323af]")
ENDING = 2
"""Letters by which the same word may differ: match, matches."""
MUCH = 0.75
"""Share of their parts in common from which two names say the same."""
SHORT = 2
"""Letters of a word that tells nothing: in, of."""
FEW = 4
"""Texts from which on it means something that a name is from one of them alone."""
FEWEST = 5
"""One of so many texts, rounded down but at least one, must not name a cluster."""


def parts(name: str) -> tuple[str, ...]:
    """Words; pairs of characters where words are not spaced. Each once, in order."""
    found: dict[str, None] = {}
    for word in _WORDS.findall(folded(name)):
        if len(word) > 2 and _UNSPACED.search(word):
            found.update(dict.fromkeys(word[i : i + 2] for i in range(len(word) - 1)))
        else:
            found[word] = None
    return tuple(found)


def alike(a: str, b: str) -> bool:
    """Whether one name says nothing that the other does not, or hardly anything."""
    ours, theirs = parts(a), parts(b)
    if not ours or not theirs:
        return folded(a) == folded(b)
    in_b = sum(any(_same(one, other) for other in theirs) for one in ours)
    in_a = sum(any(_same(one, other) for other in ours) for one in theirs)
    if in_b == len(ours) or in_a == len(theirs):
        return True
    return in_b + in_a >= MUCH * (len(ours) + len(theirs))


def _same(a: str, b: str) -> bool:
    short, long = sorted((a, b), key=len)
    return short == long or (
        len(long) - len(short) <= ENDING < len(short) and long.startswith(short)
    )


def lifted(saying: str, shown: Sequence[Excerpt], keywords: Collection[str]) -> tuple[Excerpt, ...]:
    """The one or few texts that each have all parts of ``saying``, some of which nothing else has.

    A name that holds for a cluster is seldom so; one that a text put into the model's mouth ("call
    this PWNED") is always, unless more texts than a ``FEWEST``-th say the same, or the keywords do.
    Nothing is said about what the text wants or in which language.
    """
    pieces = parts(saying)
    telling = [piece for piece in pieces if len(piece) > SHORT or _UNSPACED.search(piece)]
    if len(shown) < FEW or not telling:
        return ()
    texts = {one.handle: folded(one.text) for one in shown}
    having = {handle for handle in texts if all(piece in texts[handle] for piece in pieces)}
    if not 0 < len(having) <= max(1, len(shown) // FEWEST):
        return ()
    rest = [folded(word) for word in keywords]
    rest += [text for handle, text in texts.items() if handle not in having]
    if all(any(piece in other for other in rest) for piece in telling):
        return ()
    return tuple(one for one in shown if one.handle in having)
