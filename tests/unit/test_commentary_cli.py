"""What the commentary would take, as the user is asked about it."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import pytest

from vdbcluster.cli import commentary
from vdbcluster.config.chat import ChatSettings
from vdbcluster.errors import UsageError
from vdbcluster.pipeline.commentary_forecast import Forecast

CHAT = ChatSettings(model="m", price_in=1, price_out=10, thinking=100)
TOLD = Forecast(questions=20, cached=3, prompt_tokens=40_000, answer_tokens=18_000)


def test_the_forecast_in_one_line() -> None:
    assert commentary.forecast_line(TOLD, CHAT) == (
        "20 questions to m (3 are answered already), about 40,000 tokens, and up to 20,000 of "
        "answers, at most 0.24 by the prices given"
    )
    assert commentary.forecast_line(TOLD, ChatSettings(model="m")).endswith("18,000 of answers")


def test_who_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def agree(question: str) -> bool:
        asked.append(question)
        return False

    monkeypatch.setattr(commentary, "agreed", agree)
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(isatty=lambda: False))
    assert commentary.agreed_to(TOLD, CHAT, yes=True)
    assert commentary.agreed_to(Forecast(0, 23, 0, 0), CHAT, yes=False)
    with pytest.raises(UsageError, match=r"20 questions .* pass --yes"):
        commentary.agreed_to(TOLD, CHAT, yes=False)
    assert asked == []
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(isatty=lambda: True))
    assert not commentary.agreed_to(TOLD, CHAT, yes=False)
    assert asked == [f"{commentary.forecast_line(TOLD, CHAT)}. Ask?"]
