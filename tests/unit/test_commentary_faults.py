"""What a model, or the way to it, does wrong, and what becomes of the cards then."""

from __future__ import annotations

import pytest

from tests.unit.commentary_worlds import (
    CARDS,
    ScriptedChat,
    Watching,
    by_topic,
    card,
    commenting,
    run,
    said,
    sensible,
)
from vdbcluster.errors import BackendUnavailableError, BudgetError, UsageError
from vdbcluster.pipeline.commentary import commented
from vdbcluster.ports.chat import NoAnswerError, Question


def test_a_bad_answer_is_shown_to_the_model_and_mended() -> None:
    def script(question: Question) -> str:
        if "<<<FAULTS" in question.user:
            assert "name: 10 characters" not in question.user
            assert "- interestingness: Field required" in question.user
            assert "<<<ANSWER" in question.user
            return sensible(question)
        return (
            '{"name": "boats", "description": "d", "cites": [], "perspective": "p", "unusual": []}'
        )

    found, chat, _ = run(by_topic("boats", script))
    assert found.facts["repaired"] == ["0"]
    assert found.facts["told_by_model"] == 5
    assert [one.name for one in chat.asked].count("cluster") == 6
    again, chat, _ = run(by_topic("boats", script))
    assert again == found


@pytest.mark.parametrize(
    "answer", ["not JSON", "", '{"name": "boats"', said("<b>x</b>"), said("x", interestingness=900)]
)
def test_two_bad_answers_are_told_by_keywords_and_forgotten(answer: str) -> None:
    script = by_topic("boats", lambda question: answer)
    found, chat, _ = run(script)
    told = found.cards[0].commentary
    assert told is not None
    assert (told.name, told.model, told.interestingness) == ("boats", "", None)
    assert told.trouble.startswith("the model's answer cannot be used: ")
    assert found.facts["failed"] == {"0": told.trouble}
    assert found.facts["told_by_model"] == 4
    assert found.facts["pairs"] == 6
    assert answer not in chat.kept.values()
    before = len(chat.asked)
    chat.script = sensible
    again = commented(commenting(chat), CARDS, Watching())
    assert again.facts["told_by_model"] == 5
    assert again.facts["repaired"] == []
    assert len(chat.asked) == before + 1 + 8


@pytest.mark.parametrize("why", ["the model refused: I can't", "the answer is empty"])
def test_no_answer_is_told(why: str) -> None:
    def refuse(question: Question) -> str:
        raise NoAnswerError(why)

    found, _, watching = run(by_topic("cars", refuse))
    told = found.cards[1].commentary
    assert told is not None
    assert told.trouble == f"the model gave no answer: {why}"
    assert told.name == "cars"
    assert found.facts["told_by_model"] == 4
    assert watching.warnings == []


def test_a_limit_of_cost_leaves_what_was_answered() -> None:
    count = 0

    def script(question: Question) -> str:
        nonlocal count
        count += 1
        if count > 3:
            raise BudgetError("the cost would pass 0.01; raise --chat-max-cost")
        return sensible(question)

    chat, watching = ScriptedChat(script), Watching()
    found = commented(commenting(chat), CARDS, watching)
    models = [one.commentary.model for one in found.cards if one.commentary]
    assert models == ["script-1"] * 3 + [""] * 2
    assert count == 4  # nothing was asked once the limit was told
    assert found.cards[4].commentary is not None
    assert found.cards[4].commentary.trouble == (
        "not asked: the cost would pass 0.01; raise --chat-max-cost"
    )
    assert found.facts["ended"] in watching.warnings[0]
    assert found.facts["unanswered_pairs"] == 3
    chat.script = sensible
    before = len(chat.asked)
    whole = commented(commenting(chat), CARDS, Watching())
    assert whole.facts["told_by_model"] == 5
    assert [one.name for one in chat.asked[before:]].count("cluster") == 2


def test_a_limit_of_cost_does_not_keep_from_what_is_known() -> None:
    chat = ScriptedChat(sensible)
    commented(commenting(chat, siblings=0, comparisons=0), CARDS[1:], Watching())

    def stop(question: Question) -> str:
        raise BudgetError("enough")

    chat.script = stop
    found = commented(commenting(chat, siblings=0), CARDS, Watching())
    models = [one.commentary.model for one in found.cards if one.commentary]
    assert models == ["", *["script-1"] * 4]


def test_a_model_that_goes_away_is_not_asked_for_ever() -> None:
    count = 0

    def script(question: Question) -> str:
        nonlocal count
        count += 1
        if count > 1:
            raise BackendUnavailableError("timed out")
        return sensible(question)

    cards = [card(i, f"topic{i}") for i in range(12)]
    found, _, watching = run(script, cards)
    assert found.facts["told_by_model"] == 1
    assert count == 1 + 3
    assert "could not be reached: timed out" in watching.warnings[0]


def test_one_time_out_is_one_cluster() -> None:
    def late(question: Question) -> str:
        raise BackendUnavailableError("timed out")

    found, _, watching = run(by_topic("cars", late))
    assert found.facts["told_by_model"] == 4
    assert "timed out" in found.facts["failed"]["1"]
    assert watching.warnings == []


def test_a_model_that_never_answers_is_an_error() -> None:
    def away(question: Question) -> str:
        raise BackendUnavailableError("nobody at 127.0.0.1")

    with pytest.raises(BackendUnavailableError, match="nobody"):
        run(away)

    def wrong(question: Question) -> str:
        raise UsageError("the key is wrong")

    with pytest.raises(UsageError, match="key"):
        run(wrong, workers=3)


def test_resumed_after_a_kill_only_what_is_missing_is_asked() -> None:
    class KilledError(Exception):
        """What ends a process."""

    count = 0

    def script(question: Question) -> str:
        nonlocal count
        count += 1
        if count == 9:
            raise KilledError
        return sensible(question)

    chat = ScriptedChat(script)
    with pytest.raises(KilledError):
        commented(commenting(chat), CARDS, Watching())
    resumed = commented(commenting(chat), CARDS, Watching())
    assert resumed.cards == run(sensible)[0].cards
    assert len(chat.kept) == 25
    assert count == 25 + 1
