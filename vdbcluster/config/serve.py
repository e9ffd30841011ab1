"""Settings of the search UI: where it answers, who may ask, what rows are shown by.

In: values of the ``serve`` section. Out: a frozen ``ServeSettings``.
Promise: the token appears in no ``repr`` and no JSON.
"""

from __future__ import annotations

from pydantic import SecretStr

from vdbcluster.config.base import Section, setting


class ServeSettings(Section):
    """Serving: where the search UI answers, and who may do what."""

    host: str = setting(
        "127.0.0.1", "Address to answer on; any but this machine's own needs --access-token."
    )
    port: int = setting(8080, "Port; 0 takes a free one.", ge=0, le=65535)
    access_token: SecretStr = setting(
        SecretStr(""),
        "What whoever asks must know; better in VDBCLUSTER__SERVE__ACCESS_TOKEN.",
    )
    allow_hosts: tuple[str, ...] = setting(
        (),
        "Another name under which people reach it, as behind a proxy; repeatable.",
        "--allow-host",
    )
    allow_edit: bool = setting(False, "Let people rename, describe, pin, hide and merge clusters.")
    query_prefix: str | None = setting(
        None,
        "Put before what is searched for, for instance 'query: '; default: what --embed-prefix "
        "puts before each text.",
    )
    image_field: str = setting("", "Field that holds pictures as data URIs; default: by name.")
