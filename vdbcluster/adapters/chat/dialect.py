"""How an endpoint wants to be asked, learnt from what it refuses.

    dialect = first_dialect(settings)
    body = request(question, dialect, settings)     # the JSON of /v1/chat/completions
    dialect = dialect.after(error)                  # how to ask instead; None: it is something else

In: a question, and what the endpoint said to the last one. Out: the parameters of a request.
Promise: there are few dialects and none comes twice, so that asking again ends; a refusal counts
only if it names the parameter.

Endpoints differ: reasoning models of OpenAI want ``max_completion_tokens`` and take no other
temperature than their own; most others know ``max_tokens`` alone; some take ``json_object`` and no
``json_schema``, some neither.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import openai

from vdbcluster.adapters.endpoint.address import is_official
from vdbcluster.adapters.endpoint.trouble import words_of
from vdbcluster.config.chat import ChatSettings
from vdbcluster.ports.chat import Question

Format = Literal["json_schema", "json_object", "text"]
FORMATS: tuple[Format, ...] = ("json_schema", "json_object", "text")
LIMITS = ("max_tokens", "max_completion_tokens")
OPTIONAL = ("temperature", "seed")
"""Parameters that an answer can do without."""

_REFUSING = frozenset({400, 404, 415, 422, 500, 501})
_FORMAT = re.compile(r"response_format|json[ _](?:schema|object|mode)|grammar", re.IGNORECASE)
_UNSUPPORTED = re.compile(
    r"un-?supported|not support|n't support|unrecogni[sz]ed|unknown|unexpected|not (?:permitted|"
    r"allowed|implemented|available)|extra[_ ](?:inputs|fields|forbidden)|invalid",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Dialect:
    """``formats``: that in use, then those to fall back to; ``limit``: the name of the limit."""

    formats: tuple[Format, ...] = FORMATS
    limit: str = LIMITS[0]
    other_limit: str | None = LIMITS[1]
    left_out: frozenset[str] = frozenset()

    @property
    def format(self) -> Format:
        return self.formats[0]

    def after(self, error: openai.APIStatusError) -> Dialect | None:
        """The dialect to try now, None if the error is not about this one."""
        if error.status_code not in _REFUSING:
            return None
        words = words_of(error)
        named = error.param or words
        if self.format != "text" and _FORMAT.search(named):
            rest = self.formats[1:]
            return replace(self, formats=rest) if rest else None
        if not _UNSUPPORTED.search(words):
            return None
        if _names(named, self.limit):
            other = self.other_limit
            return replace(self, limit=other, other_limit=None) if other else None
        refused = {one for one in OPTIONAL if one not in self.left_out and _names(named, one)}
        return replace(self, left_out=self.left_out | refused) if refused else None

    def news(self, older: Dialect) -> str:
        """What a user should know who was told nothing since ``older``; empty if nothing."""
        if self.format != older.format:
            return f"it takes no {older.format}; asked for {self.format} instead"
        if gone := self.left_out - older.left_out:
            return f"it takes no {' and no '.join(sorted(gone))}; asked without"
        return ""


def first_dialect(settings: ChatSettings) -> Dialect:
    """What most endpoints at this address understand."""
    formats = FORMATS if settings.format == "auto" else (settings.format,)
    first, second = reversed(LIMITS) if is_official(settings.base_url) else LIMITS
    return Dialect(formats, first, second)


def request(question: Question, dialect: Dialect, settings: ChatSettings) -> dict[str, Any]:
    """The parameters of the request, but for the model."""
    made: dict[str, Any] = {
        "messages": [
            {"role": role, "content": _encodable(content)}
            for role, content in zip(("system", "user"), texts(question, dialect), strict=False)
        ],
        dialect.limit: question.max_tokens + settings.thinking,
    }
    wanted = {"temperature": settings.temperature, "seed": settings.seed}
    made |= {
        name: value
        for name, value in wanted.items()
        if value is not None and name not in dialect.left_out
    }
    if settings.effort:
        made["reasoning_effort"] = settings.effort
    if dialect.format == "json_schema":
        made["response_format"] = {"type": "json_schema", "json_schema": _named_schema(question)}
    elif dialect.format == "json_object":
        made["response_format"] = {"type": "json_object"}
    return made


def texts(question: Question, dialect: Dialect) -> tuple[str, str, str]:
    """What is billed: both messages, and the schema if it goes beside them."""
    schema = json.dumps(question.schema, ensure_ascii=False)
    if dialect.format == "json_schema":
        return question.system, question.user, schema
    told = "Answer with one JSON object and nothing else. It must fit this JSON schema:"
    return f"{question.system}\n\n{told}\n{schema}", question.user, ""


def _named_schema(question: Question) -> dict[str, Any]:
    name = re.sub(r"[^A-Za-z0-9_-]", "_", question.name)[:64] or "answer"
    return {"name": name, "schema": question.schema, "strict": _can_be_strict(question.schema)}


def _can_be_strict(schema: Any) -> bool:
    """Whether every object in it is closed and wants all it has, as OpenAI's strict mode asks."""
    if isinstance(schema, list):
        return all(map(_can_be_strict, schema))
    if not isinstance(schema, Mapping):
        return True
    if isinstance(has := schema.get("properties"), Mapping) and (
        schema.get("additionalProperties") is not False or set(schema.get("required", ())) != {*has}
    ):
        return False
    return all(map(_can_be_strict, schema.values()))


def _names(text: str, parameter: str) -> bool:
    return re.search(rf"(?<![a-z_]){parameter}(?![a-z_])", text) is not None


def _encodable(text: str) -> str:
    """Without halves of characters, which cannot be sent."""
    return text.encode("utf-8", "replace").decode()
