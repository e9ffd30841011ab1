"""Secrets that were given as arguments, out of the sight of others on this machine.

In: the arguments of this process. Out: none, or the same process anew, which has them in its
environment. Promise: after this no list of processes shows a token, a key, or an address with a
password; it was there for the moment until then, so the environment is the better place.

    hide_secrets()  # first of all
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

SECRETS = {
    "--token": "VDBCLUSTER__MILVUS__TOKEN",
    "--access-token": "VDBCLUSTER__SERVE__ACCESS_TOKEN",
    "--embed-api-key": "VDBCLUSTER__EMBED__API_KEY",
    "--chat-api-key": "VDBCLUSTER__CHAT__API_KEY",
    "--webhook": "VDBCLUSTER__TELEMETRY__WEBHOOK",
    "--pushgateway": "VDBCLUSTER__TELEMETRY__PUSHGATEWAY",
}
ADDRESSES = {
    "--uri": "VDBCLUSTER__MILVUS__URI",
    "--embed-base-url": "VDBCLUSTER__EMBED__BASE_URL",
    "--chat-base-url": "VDBCLUSTER__CHAT__BASE_URL",
}
"""Secret only where they hold a user."""


def hide_secrets() -> None:
    """Does not return if there is something to hide: the process starts anew."""
    said = sys.argv[1:]
    plain, secret = parted(said)
    if not secret or os.name != "posix" or sys.orig_argv[-len(said) :] != said:
        return
    argv = [*sys.orig_argv[: -len(said)], *plain]
    os.execve(sys.executable, argv, os.environ | secret)


def parted(arguments: Sequence[str]) -> tuple[list[str], dict[str, str]]:
    """The arguments without secrets, and these by the variable that names the same setting."""
    plain: list[str] = []
    secret: dict[str, str] = {}
    rest = iter(arguments)
    for argument in rest:
        flag, joined, value = argument.partition("=")
        if argument == "--" or flag not in SECRETS | ADDRESSES:
            plain.append(argument)
            if argument == "--":
                break
            continue
        found = value if joined else next(rest, None)
        if found is None or (flag in ADDRESSES and "@" not in found):
            plain += [argument] if joined or found is None else [argument, found]
        else:
            secret[(SECRETS | ADDRESSES)[flag]] = found
    return [*plain, *rest], secret
