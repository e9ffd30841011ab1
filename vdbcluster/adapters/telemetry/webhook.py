"""A JSON POST to whoever wants to know.

    post("https://chat.example/hooks/x", {"event": "refused", ...})

In: an address, a JSON object. Out: nothing. Promise: tried again with jitter on broken connections,
time-outs, 408, 429 and 5xx, for less than a minute; no redirect is followed; raises
``WebhookError`` in one line that does not hold the address, which may be a secret itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import httpx2
from tenacity import RetryError, Retrying, retry_if_exception_type, stop_after_attempt
from tenacity.wait import wait_base, wait_random_exponential

from vdbcluster.errors import VdbclusterError

ATTEMPTS = 4
TIMEOUT = 8.0
WAIT = wait_random_exponential(multiplier=0.5, max=8)
MAY_MEND = (408, 425, 429, 500, 502, 503, 504)


class WebhookError(VdbclusterError):
    """The webhook was not told."""


class _AgainError(Exception):
    """Worth another attempt."""


def post(url: str, body: Mapping[str, Any], wait: wait_base = WAIT) -> None:
    """Send ``body``; see the module."""
    again = Retrying(
        stop=stop_after_attempt(ATTEMPTS), wait=wait, retry=retry_if_exception_type(_AgainError)
    )
    try:
        again(_once, url, body)
    except RetryError as error:
        last = error.last_attempt.exception()
        raise WebhookError(
            f"the webhook was not told, after {ATTEMPTS} attempts: {last}"
        ) from error


def _once(url: str, body: Mapping[str, Any]) -> None:
    try:
        answer = httpx2.post(url, json=body, timeout=TIMEOUT)
    except httpx2.TransportError as error:
        raise _AgainError(type(error).__name__) from error
    except httpx2.InvalidURL as error:
        raise WebhookError("the webhook was not told: its address is no URL") from error
    if answer.status_code in MAY_MEND:
        raise _AgainError(f"it answers {answer.status_code}")
    if not answer.is_success:
        raise WebhookError(f"the webhook was not told: it answers {answer.status_code}")
