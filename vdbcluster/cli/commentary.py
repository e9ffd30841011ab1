"""Whether the user agrees to what the commentary would take.

In: a forecast, the settings of the chat. Out: yes or no. Promise: asked on standard error before
the first question, and only where there is something to ask; without a terminal, ``--yes`` is
wanted, but after a run, which has its settings from a file.
"""

from __future__ import annotations

import sys

from vdbcluster.cli.asking import agreed
from vdbcluster.config.chat import ChatSettings
from vdbcluster.errors import UsageError
from vdbcluster.pipeline.commentary_forecast import Forecast
from vdbcluster.ports import Observer


def agreed_to(told: Forecast, chat: ChatSettings, *, yes: bool) -> bool:
    """Raises ``UsageError`` where nobody can be asked."""
    if yes or not told.questions:
        return True
    if not sys.stdin.isatty():
        raise UsageError(f"{forecast_line(told, chat)}; pass --yes, as nobody can be asked")
    return agreed(f"{forecast_line(told, chat)}. Ask?")


def agreed_after_run(told: Forecast, chat: ChatSettings, observer: Observer, *, yes: bool) -> bool:
    """After a run that nobody may be watching: the settings ask for it, so it is only told."""
    if told.questions and not yes and sys.stdin.isatty():
        return agreed(f"{forecast_line(told, chat)}. Ask?")
    observer.note(forecast_line(told, chat))
    return True


def forecast_line(told: Forecast, chat: ChatSettings) -> str:
    """The forecast in one line; without prices it tells tokens alone."""
    out = told.answer_tokens + chat.thinking * told.questions
    line = (
        f"{told.questions:,} questions to {chat.model} ({told.cached:,} are answered already), "
        f"about {told.prompt_tokens:,} tokens, and up to {out:,} of answers"
    )
    if chat.price_in or chat.price_out:
        cost = told.cost(chat.price_in, chat.price_out, chat.thinking)
        line += f", at most {cost:,.2f} by the prices given"
    return line
