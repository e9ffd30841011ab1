"""The body of an answer as a JSON object.

In: bytes that an endpoint sent, what they should be. Out: the object. Promise: anything else is
``WrongAnswerError``, in one line with the beginning of what came.
"""

from __future__ import annotations

import json
from typing import Any

from vdbcluster.adapters.endpoint.trouble import WrongAnswerError

READ, SHOWN = 600, 160
"""Bytes that are looked at, characters that are repeated."""


def json_object(body: bytes, what: str) -> dict[str, Any]:
    """``what``: with its article, as in "no list of embeddings"."""
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError) as error:
        kind = "an HTML page" if body.lstrip()[:1] == b"<" else "no complete JSON"
        raise WrongAnswerError(f"the answer is {kind}: {excerpt(body)}") from error
    if not isinstance(answer, dict):
        raise not_what(body, what)
    return answer


def not_what(body: bytes, what: str) -> WrongAnswerError:
    """The answer is ``what``, but for instance "no list of embeddings"."""
    return WrongAnswerError(f"the answer is {what} but {excerpt(body)}")


def excerpt(body: bytes) -> str:
    return repr(" ".join(body[:READ].decode("utf-8", "replace").split())[:SHOWN])
