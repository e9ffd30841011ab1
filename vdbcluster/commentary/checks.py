"""What of a model's answer may stand on a card.

In: a ``ClusterAnswer`` and what the model was given. Out: a ``Commentary``, or ``Faulty``.
Promise: every text is one printable line of limited length, without address, HTML or Markdown and
without the code of a fence; every key cited is that of an excerpt; what had to be left out is said
in ``notes``. An answer is data, whatever it says.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from vdbcluster.commentary.answers import ClaimAnswer, ClusterAnswer, Faulty
from vdbcluster.commentary.excerpts import Excerpt
from vdbcluster.commentary.untrusted import folded, markup_in, plain
from vdbcluster.model.cards import Card, Claim, Commentary
from vdbcluster.model.catalogue import RowKey

NAME = 60
SENTENCE = 300
CLAIMS = 3
QUOTED = 12
"""Characters from which on words in quotation marks must stand in a text that is cited."""
_WIDE = 100_000
_HANDLES = re.compile(r"\s*[\[(]\s*r\d+(?:\s*[,;]\s*r\d+)*\s*[\])]")
_QUOTES = re.compile(r"[\"\u201c\u201e]([^\"\u201c\u201d]+)[\"\u201d\u201c]|「([^」]+)」|«([^»]+)»")
_AROUND = " \t\"'*_#.。“”„«»「」"


@dataclass(frozen=True, slots=True)
class Given:
    """What the model was given: texts, and the codes of the fences."""

    shown: Sequence[Excerpt]
    codes: Sequence[str]


def checked(answer: ClusterAnswer, given: Given, model: str) -> Commentary | Faulty:
    """The answer as a card may show it."""
    name = _prose(answer.name).strip(_AROUND)
    faults = (
        *_wrong("name", name, NAME, given.codes),
        *_handles_in(name, given.shown),
        *_wrong("description", answer.description, SENTENCE, given.codes),
        *_wrong("perspective", answer.perspective, SENTENCE, given.codes),
        *_out_of_range(answer.interestingness),
    )
    if faults:
        return Faulty(faults)
    keys = {one.handle: one.key for one in given.shown}
    claims, dropped = _claims(answer.unusual, given, keys)
    cited, forged = _keys(answer.cites, keys)
    return Commentary(
        name=name,
        description=_prose(answer.description),
        unusual=claims,
        cited=cited,
        interestingness=answer.interestingness,
        perspective=_prose(answer.perspective),
        model=model,
        notes=(*_forged("the description", forged), *dropped),
    )


def _prose(text: str) -> str:
    """One printable line, without handles, which say nothing to whoever reads a card."""
    return plain(_HANDLES.sub("", text), _WIDE)


def _wrong(field: str, text: str, most: int, codes: Sequence[str]) -> Iterator[str]:
    said = _prose(text)
    if not any(character.isalnum() for character in said):
        yield f"{field}: it is empty"
    if len(said) > most:
        yield f"{field}: {len(said)} characters; at most {most}"
    if markup_in(text):
        yield f"{field}: it has an address or markup in it; use plain words"
    if any(code in folded(text) for code in codes):
        yield f"{field}: it repeats the code of the data"


def _handles_in(name: str, shown: Sequence[Excerpt]) -> Iterator[str]:
    words = {word.strip(".,;:()[]") for word in folded(name).split()}
    if words.intersection(one.handle for one in shown):
        yield "name: it has the handle of a text in it; say what the texts are about"


def _out_of_range(score: int) -> Iterator[str]:
    if not 0 <= score <= 100:
        yield "interestingness: it must be a whole number from 0 to 100"


def _claims(
    said: Sequence[ClaimAnswer], given: Given, keys: Mapping[str, RowKey]
) -> tuple[tuple[Claim, ...], list[str]]:
    """The claims that may stand, and why others may not."""
    claims: list[Claim] = []
    notes: list[str] = []
    for number, claim in enumerate(said, 1):
        cited, forged = _keys(claim.cites, keys)
        why = _against(claim, cited, given)
        if why or len(claims) == CLAIMS:
            notes.append(f"claim {number} was left out: {why or f'more than {CLAIMS}'}")
        else:
            claims.append(Claim(_prose(claim.text), cited))
            notes += _forged(f"claim {number}", forged)
    return tuple(claims), notes


def _against(claim: ClaimAnswer, cited: Sequence[RowKey], given: Given) -> str:
    """What speaks against it; empty if nothing does."""
    if faults := list(_wrong("text", claim.text, SENTENCE, given.codes)):
        return faults[0]
    if not cited:
        return "it cites no text that was shown"
    texts = [folded(one.text) for one in given.shown if one.key in cited]
    for quote in _quoted(claim.text):
        if not any(quote in text for text in texts):
            return "it quotes words that no text it cites has"
    return ""


def _quoted(text: str) -> Iterator[str]:
    for found in _QUOTES.finditer(text):
        words = next(group for group in found.groups() if group is not None)
        for piece in re.split(r"…|\.\.\.", words):
            if len(quote := folded(piece).strip(" .,;:!?")) >= QUOTED:
                yield quote


def _keys(cites: Sequence[str], keys: Mapping[str, RowKey]) -> tuple[tuple[RowKey, ...], int]:
    """Keys of the handles that were given, each once, and how many others there are."""
    handles = [folded(cite).strip(" []()") for cite in cites]
    known = dict.fromkeys(keys[handle] for handle in handles if handle in keys)
    return tuple(known), sum(handle not in keys for handle in handles)


def _forged(what: str, count: int) -> Iterator[str]:
    if count:
        yield f"{what} cited {count} text(s) that the model was not shown"


def from_keywords(card: Card, trouble: str) -> Commentary:
    """What can be said without a model."""
    terms = [plain(term, NAME) for term in card.terms]
    name = plain(", ".join(terms[:3]), NAME) or f"Cluster {card.called}"
    return Commentary(name, plain(", ".join(terms), SENTENCE), trouble=plain(trouble, SENTENCE))
