"""Which arguments are taken out of the list of processes."""

from __future__ import annotations

import pytest

from vdbcluster.cli.hiding import ADDRESSES, SECRETS, parted
from vdbcluster.config.settings import load_settings

TOKEN, URI = "VDBCLUSTER__MILVUS__TOKEN", "VDBCLUSTER__MILVUS__URI"


@pytest.mark.parametrize(
    ("said", "plain", "secret"),
    [
        (["run", "-c", "docs"], ["run", "-c", "docs"], {}),
        (["run", "--token", "x", "-v"], ["run", "-v"], {TOKEN: "x"}),
        (["run", "--token=a=b"], ["run"], {TOKEN: "a=b"}),
        (["run", "--token", "x", "--token=y"], ["run"], {TOKEN: "y"}),
        (["run", "--uri", "http://h:1"], ["run", "--uri", "http://h:1"], {}),
        (["run", "--uri=docs.db"], ["run", "--uri=docs.db"], {}),
        (["run", "--uri", "http://u:p@h:1"], ["run"], {URI: "http://u:p@h:1"}),
        (["run", "--token"], ["run", "--token"], {}),
        (["x", "--", "--token", "a"], ["x", "--", "--token", "a"], {}),
    ],
)
def test_secrets_are_parted_from_the_rest(
    said: list[str], plain: list[str], secret: dict[str, str]
) -> None:
    assert parted(said) == (plain, secret)


def test_every_variable_is_a_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (SECRETS | ADDRESSES).values():
        monkeypatch.setenv(name, "said")
    settings = load_settings({})
    assert settings.milvus.token.get_secret_value() == "said"
    assert settings.milvus.uri == settings.embed.base_url == "said"
    assert "said" not in repr(settings.embed.api_key)
