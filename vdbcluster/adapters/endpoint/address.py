"""Where an endpoint is and how it knows us: checked before anything is sent.

In: what the user typed. Out: a clean address, a clean key. Promise: wrong ones are a ``UsageError``
in one line that shows neither user nor password.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from vdbcluster.errors import UsageError

KEY_VARIABLE = "OPENAI_API_KEY"
OFFICIAL_HOST = "api.openai.com"


def checked_key(key: str) -> str:
    """The key without spaces around it."""
    key = key.strip()
    if not (key.isascii() and (key.isprintable())):
        raise UsageError(f"the API key holds characters that no key has; check {KEY_VARIABLE}")
    return key


def check_key_given(base_url: str, key: str, otherwise: str) -> None:
    """``otherwise``: what the user can do who has no key."""
    if is_official(base_url) and not key.strip():
        raise UsageError(f"{OFFICIAL_HOST} needs an API key: set {KEY_VARIABLE}, {otherwise}")


def is_official(base_url: str) -> bool:
    """Whether the address is OpenAI's own."""
    try:
        return urlsplit(base_url).hostname == OFFICIAL_HOST
    except ValueError:
        return False  # ``checked_address`` says what is wrong with it


def checked_address(base_url: str, flag: str, route: str) -> str:
    """The endpoint without user, password and query; ``route``: what the client puts after it."""
    try:
        parts = urlsplit(base_url)
    except ValueError as error:
        raise UsageError(f"{flag} is no address: {error}") from error
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        shown = base_url.rpartition("@")[2]  # before it may be user and password
        raise UsageError(f"{flag} must begin with http:// or https://, not {shown!r}")
    if parts.path.rstrip("/").endswith(route):
        raise UsageError(f"{flag} ends before {route}, with /v1 mostly")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    try:
        port = f":{parts.port}" if parts.port else ""
    except ValueError as error:
        raise UsageError(f"{flag} has no valid port: {error}") from error
    return f"{parts.scheme}://{host}{port}{parts.path.rstrip('/')}"


def identity_of(base_url: str) -> str:
    """What tells an endpoint from others in a cache, without user, password and query."""
    parts = urlsplit(base_url)
    return f"{parts.hostname}:{parts.port or parts.scheme}{parts.path.rstrip('/')}"
