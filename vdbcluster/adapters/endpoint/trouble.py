"""What an endpoint's refusal means.

In: an exception of the ``openai`` client or a ``WrongAnswerError``. Out: whether trying again can
mend it, how long the server wants to be left alone, whether the request was too large.
Promise: by status, code and headers first, by words only where APIs have nothing else.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import openai

from vdbcluster.errors import BackendError

_MENDS_ITSELF = frozenset({408, 409, 425, 429})
_QUOTA = frozenset({"insufficient_quota", "billing_hard_limit_reached", "quota_exceeded"})
_LARGE_CODES = frozenset(
    {"context_length_exceeded", "max_tokens_per_request", "string_above_max_length"}
)
_LARGE = re.compile(
    r"maximum context length|context[_ ]length|too (?:long|large|many (?:tokens|inputs))"
    r"|max(?:imum)?[_ ](?:\w+[_ ]){0,3}tokens|exceeds? .{0,40}(?:limit|maximum|context|size)"
    r"|larger than the max|less than \d+ tokens|batch size .{0,30}(?:exceed|maximum|>)",
    re.IGNORECASE,
)
_FILTER_CODES = frozenset({"content_filter", "content_policy_violation", "invalid_prompt"})
_FILTER = re.compile(
    r"content (?:management )?(?:policy|filter)|safety system|moderation|flagged", re.IGNORECASE
)
_SPAN = re.compile(r"(\d+(?:\.\d+)?)(ms|us|s|m|h|d)")
_SECONDS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


class WrongAnswerError(BackendError):
    """An answer that cannot be used, although the server thinks that all is well."""


def may_mend(error: BaseException) -> bool:
    """Whether the same request may go through later."""
    if isinstance(error, WrongAnswerError):
        return True
    if not isinstance(error, openai.APIStatusError):
        return isinstance(error, openai.APIConnectionError)
    if error.code in _QUOTA or error.type in _QUOTA:
        return False
    return error.status_code in _MENDS_ITSELF or error.status_code >= 500


def too_large(error: BaseException) -> bool:
    """Whether a smaller request would go through: one text too long, or all of them together."""
    if not isinstance(error, openai.APIStatusError) or error.status_code not in {400, 413, 422}:
        return False
    if error.status_code == 413 or error.code in _LARGE_CODES:
        return True
    words = words_of(error)
    return "dimension" not in words.lower() and _LARGE.search(words) is not None


def filtered(error: BaseException) -> bool:
    """Whether the endpoint will not have this text, for what it says."""
    if not isinstance(error, openai.APIStatusError) or error.status_code not in {400, 403, 422}:
        return False
    return error.code in _FILTER_CODES or _FILTER.search(words_of(error)) is not None


def never_sent(error: BaseException) -> bool:
    """Whether no connection came about, so that nothing can have been billed."""
    return isinstance(error, openai.APIConnectionError) and type(error.__cause__).__name__ in {
        "ConnectError",
        "ConnectTimeout",
        "PoolTimeout",
        "UnsupportedProtocol",
    }


def said(error: BaseException) -> str:
    """What the server or the network said, in one line of at most 300 characters."""
    return words_of(error)[:300]


def words_of(error: BaseException) -> str:
    """All that the server or the network said, in one line.

    The client repeats an error that is worded as OpenAI words it; from others it has the status
    alone, and what they said in ``body``.
    """
    message = str(error)
    if isinstance(error, openai.APIConnectionError) and error.__cause__ is not None:
        message = f"{message.rstrip('.')}: {error.__cause__}"
    if isinstance(error, openai.APIStatusError) and message == f"Error code: {error.status_code}":
        message = f"{message} - {error.body}" if error.body else message
    return " ".join(message.split())


def wanted_pause(headers: Mapping[str, str]) -> float:
    """Seconds that a server wants to be left alone, 0 if it does not say so.

    ``retry-after-ms``, ``retry-after`` (seconds or a date), and ``x-ratelimit-reset-*`` where
    nothing remains of requests or tokens.
    """
    pauses = [_seconds(headers.get("retry-after", ""))]
    if milliseconds := _seconds(headers.get("retry-after-ms", "")):
        pauses = [milliseconds / 1000]
    for what in ("requests", "tokens"):
        if headers.get(f"x-ratelimit-remaining-{what}", "").strip() == "0":
            pauses.append(_seconds(headers.get(f"x-ratelimit-reset-{what}", "")))
    return max(pauses)


def _seconds(text: str) -> float:
    """``1.5``, ``6m0s``, ``20ms`` or an HTTP date, as seconds from now; else 0."""
    text = text.strip()
    if re.fullmatch(r"\d+(\.\d+)?", text):
        return float(text)
    if re.fullmatch(f"(?:{_SPAN.pattern})+", text):
        return sum(float(number) * _SECONDS[unit] for number, unit in _SPAN.findall(text))
    try:
        return max(0.0, (parsedate_to_datetime(text) - datetime.now(UTC)).total_seconds())
    except (TypeError, ValueError):
        return 0.0
