"""What a chat endpoint answers, read and checked.

In: the body of an answer to ``/v1/chat/completions``. Out: ``Completion``. Promise: what is no
completion is ``WrongAnswerError``, a completion without an answer ``NoAnswerError``, each in one
line.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from vdbcluster.adapters.endpoint.body import json_object, not_what
from vdbcluster.ports.chat import NoAnswerError

WHAT = "no chat completion"
SHOWN = 160
"""Characters of a refusal, or of something that is no answer, that are repeated."""


@dataclass(frozen=True, slots=True)
class Completion:
    """``text`` as it came; ``asked`` and ``answered`` tokens as told, None where they are not."""

    text: str
    refusal: str
    finish: str
    asked: int | None
    answered: int | None


def read_completion(body: bytes) -> Completion:
    """The first choice; some servers send its text in parts."""
    answer = json_object(body, WHAT)
    choices = answer.get("choices")
    choice = choices[0] if isinstance(choices, list) and choices else None
    message = choice.get("message") if isinstance(choice, dict) else None
    if not isinstance(choice, dict) or not isinstance(message, dict):
        raise not_what(body, WHAT)
    usage = answer.get("usage")
    told = usage if isinstance(usage, dict) else {}
    return Completion(
        text=_text(message.get("content")),
        refusal=_text(message.get("refusal")),
        finish=str(choice.get("finish_reason")),
        asked=_count(told.get("prompt_tokens")),
        answered=_count(told.get("completion_tokens")),
    )


def checked_text(found: Completion, limit: int) -> str:
    """The text, if it is whole; ``limit``: the tokens that it could have."""
    if found.refusal:
        raise NoAnswerError(f"the model refused: {_line(found.refusal)}")
    if found.finish == "content_filter":
        raise NoAnswerError("the filter of the endpoint took the answer away")
    if found.finish == "length":
        hint = "" if found.text.strip() else "; a reasoning model needs room, see --chat-thinking"
        raise NoAnswerError(f"the answer was cut off at {limit} tokens{hint}")
    if not found.text.strip():
        raise NoAnswerError("the answer is empty")
    return found.text


def _text(content: Any) -> str:
    if isinstance(content, list):
        parts = [part.get("text") for part in content if isinstance(part, dict)]
        return "".join(part for part in parts if isinstance(part, str))
    return content if isinstance(content, str) else ""


def _count(told: Any) -> int | None:
    """A number of tokens, None if it cannot be one."""
    return told if isinstance(told, int) and not isinstance(told, bool) and told > 0 else None


def _line(text: str) -> str:
    return repr(" ".join(text.split())[:SHOWN])
