"""Answers of a model as JSON: what they must look like, and what they say.

In: the text of an answer. Out: ``ClusterAnswer``, ``CompareAnswer``, or ``Faulty``: all that is
wrong with it, one line each. Promise: whatever the text is, one of these.

Models are told the schema that pydantic makes of these classes, and pydantic reads the answers, so
that what is asked and what is checked cannot differ; it is there anyway, for the settings. Lengths
are not in the schema: some endpoints refuse a schema with them. They are checked in ``checks``.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

LONGEST = 50_000
"""Characters of an answer that are looked at."""
TRIES = 50
"""Braces at which a JSON object is sought."""
M = TypeVar("M", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Faulty:
    """An answer that cannot be used; ``faults``: why, for the model and for people."""

    faults: tuple[str, ...]


class _Said(BaseModel):
    model_config = ConfigDict(
        frozen=True, extra="ignore", json_schema_extra={"additionalProperties": False}
    )


class ClaimAnswer(_Said):
    text: str
    cites: list[str]


class ClusterAnswer(_Said):
    name: str
    description: str
    cites: list[str]
    perspective: str
    unusual: list[ClaimAnswer]
    interestingness: int


class CompareAnswer(_Said):
    because: str
    more: Literal["A", "B"]


CLUSTER_SCHEMA: Mapping[str, Any] = ClusterAnswer.model_json_schema()
COMPARE_SCHEMA: Mapping[str, Any] = CompareAnswer.model_json_schema()


def parsed(text: str, kind: type[M]) -> M | Faulty:
    """The last JSON object in ``text`` that is an answer of this kind.

    What stands around it (a code fence, an introduction) does not count. The last, because models
    that think aloud may quote an object from a text before they give their answer.
    """
    said: M | Faulty = Faulty(("there is no complete JSON object in it",))
    for value in _objects(text[:LONGEST]):
        try:
            said = kind.model_validate(value)
        except ValidationError as error:
            if isinstance(said, Faulty):
                said = Faulty(tuple(_told(error)))
    return said


def _objects(text: str) -> Iterator[dict[str, Any]]:
    """Every outermost JSON object, in order."""
    decoder, at = json.JSONDecoder(), 0
    for _ in range(TRIES):
        if (at := text.find("{", at)) < 0:
            return
        try:
            value, at = decoder.raw_decode(text, at)
        except (ValueError, RecursionError):
            at += 1
        else:
            yield value


def _told(error: ValidationError) -> Iterator[str]:
    for fault in error.errors(include_url=False, include_input=False):
        place = ".".join(map(str, fault["loc"]))
        yield f"{place}: {fault['msg']}" if place else fault["msg"]
