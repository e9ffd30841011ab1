"""The commentary of clusters by a scripted model: names, siblings, faults, budget, costs."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from tests.unit.commentary_worlds import (
    CARDS,
    TOPICS,
    English,
    Script,
    ScriptedChat,
    Watching,
    by_topic,
    card,
    commenting,
    keywords_in,
    run,
    said,
    sensible,
)
from vdbcluster.model.cards import Sibling
from vdbcluster.pipeline.commentary import commented
from vdbcluster.pipeline.commentary_forecast import forecast
from vdbcluster.ports.chat import Question


def test_every_card_gets_name_description_citations_and_rank() -> None:
    found, chat, watching = run(sensible)
    assert [one.id for one in found.cards] == [0, 1, 2, 3, 4]
    for one, topic in zip(found.cards, TOPICS, strict=True):
        told = one.commentary
        assert told is not None
        assert (told.name, told.model, told.trouble) == (topic, "script-1", "")
        assert told.description == f"What people write on {topic}."
        assert told.cited == (f"{topic}-0", f"{topic}-1")
        assert told.unusual[0].cited == (f"{topic}-2",)
        assert replace(one, commentary=None) == CARDS[one.id]
    scores = [one.commentary.interestingness or 0 for one in found.cards if one.commentary]
    order = sorted(range(5), key=lambda i: TOPICS[i])
    assert sorted(range(5), key=lambda i: scores[i]) == order
    assert max(scores) - min(scores) > 20
    unique = [one.commentary.unique for one in found.cards if one.commentary]
    assert unique == ["", "", "Views on trains.", "", ""]
    facts = json.loads(json.dumps(found.facts))
    assert facts["rubric"] == {str(i): 85 for i in range(5)}
    assert facts["pairs"] == 10
    assert facts["contradictory_pairs"] == facts["unanswered_pairs"] == 0
    assert facts["usage"]["questions"] == len(chat.asked) == 5 + 20
    assert facts["told_by_model"] == facts["clusters"] == 5
    assert facts["failed"] == {}
    assert watching.stages == {"asking about clusters": (5, 5), "comparing clusters": (20, 20)}
    assert watching.warnings == []


def test_threads_change_nothing() -> None:
    alone, crowd = run(sensible), run(sensible, workers=4)
    assert alone[0] == crowd[0]
    asked = [sorted((one.system, one.user) for one in found[1].asked) for found in (alone, crowd)]
    assert asked[0] == asked[1]


def test_unchanged_clusters_cost_nothing() -> None:
    """The same cards: no question. One cluster changed: its own question and its own pairs."""
    chat = ScriptedChat(sensible)
    cards = [card(i, f"{TOPICS[i % 5]} {i}", size=1000) for i in range(20)]
    made = commenting(chat, comparisons=4)
    first = commented(made, cards, Watching())
    asked = len(chat.asked)
    again = commented(made, list(reversed(cards)), Watching())
    assert len(chat.asked) == asked
    assert again.cards == first.cards[::-1]
    assert again.facts["usage"]["questions"] == 0
    grown = replace(cards[3], size=1004)
    commented(made, [*cards[:3], grown, *cards[4:]], Watching())
    assert len(chat.asked) == asked
    changed = card(3, "ships", size=1000)
    commented(made, [*cards[:3], changed, *cards[4:]], Watching())
    new = chat.asked[asked:]
    assert [one.name for one in new].count("cluster") == 1
    assert all("ships" in one.user for one in new)
    assert len(new) <= 1 + 2 * 4


def test_a_name_that_a_sibling_has_is_asked_for_again_once() -> None:
    def script(question: Question) -> str:
        if question.name == "comparison":
            return sensible(question)
        word = keywords_in(question)[0]
        return said(f"{word} on rails" if "<<<NAMES" in question.user else "vehicles")

    cards = [card(0, "cars", siblings=[1]), card(1, "trains"), card(2, "trams", siblings=[1])]
    found, chat, watching = run(script, cards)
    names = [one.commentary.name for one in found.cards if one.commentary]
    assert names == ["vehicles", "trains on rails", "trams on rails"]
    assert found.facts["renamed"] == ["1", "2"]
    again = [one for one in chat.asked if "<<<NAMES" in one.user]
    assert len(again) == 2
    assert all("\nvehicles\n" in one.user.split("<<<NAMES")[1] for one in again)
    assert watching.stages["telling names apart"] == (2, 2)
    assert found.cards[1].commentary is not None
    assert found.cards[1].commentary.description == "What people write on vehicles."


def test_names_alike_trouble_siblings_alone() -> None:
    names = {"boats": "Sports news", "cars": "Sports", "trains": "News of sports", "planes": "X"}

    def script(question: Question) -> str:
        if question.name == "comparison":
            return sensible(question)
        return said(names.get(keywords_in(question)[0], "other"))

    cards = [
        card(0, "boats", siblings=[3]),
        card(1, "cars", siblings=[0]),
        card(2, "trains"),
        card(3, "planes"),
    ]
    found, chat, _ = run(script, cards, comparisons=0)
    assert [keywords_in(one)[0] for one in chat.asked if "<<<NAMES" in one.user] == ["cars"]
    # it insists; the names differ to the letter, and stay
    assert [one.commentary.name for one in found.cards if one.commentary] == [
        "Sports news",
        "Sports",
        "News of sports",
        "X",
    ]


def test_one_name_for_two_is_asked_for_again_siblings_or_not() -> None:
    def script(question: Question) -> str:
        word = keywords_in(question)[0]
        return said(f"fast {word}" if "<<<NAMES" in question.user else "vehicles")

    cards = [card(0, "cars"), card(1, "trains")]
    found, *_ = run(script, cards, comparisons=0)
    assert [one.commentary.name for one in found.cards if one.commentary] == [
        "vehicles",
        "fast trains",
    ]


def test_a_cluster_that_fails_changes_no_other_pair() -> None:
    cards = [card(i, f"topic{i}") for i in range(20)]

    def compared(script: Script) -> set[str]:
        chat = run(script, cards, comparisons=4)[1]
        return {one.user for one in chat.asked if one.name == "comparison"}

    whole = compared(sensible)
    part = compared(by_topic("topic7", lambda _: "nothing"))
    assert part == {user for user in whole if "name: topic7\n" not in user}


def test_names_that_stay_the_same_get_a_keyword() -> None:
    def script(question: Question) -> str:
        return sensible(question) if question.name == "comparison" else said("Vehicles")

    found, *_ = run(script)
    names = [one.commentary.name for one in found.cards if one.commentary]
    assert names[0] == "Vehicles"
    assert names[1:] == [f"Vehicles ({topic})" for topic in TOPICS[1:]]


def test_the_language_is_that_of_most_texts_or_as_set() -> None:
    chat = ScriptedChat(sensible)
    made = replace(
        commenting(chat, comparisons=0), detector=English("ja", "und", "ja", "en", "und")
    )
    found = commented(made, CARDS, Watching())
    assert found.facts["language"] == "ja"
    assert all("Language of all that you write: ja," in one.system for one in chat.asked)
    assert run(sensible, language="Deutsch")[0].facts["language"] == "Deutsch"
    unknown = replace(made, detector=English("und"))
    assert commented(unknown, CARDS, Watching()).facts["language"] == "that of the texts"


def test_inner_clusters_are_told_by_their_path() -> None:
    """They have the id of the cluster that they are in; siblings are told by paths too."""
    inner = [card(i, f"boats {i}").inside(0, f"0/{i}") for i in range(3)]
    near = (Sibling(0, 0.9, ("sail",), "0/1"), Sibling(0, 0.8, (), "0/2"))
    inner[0] = replace(inner[0], siblings=near)
    chat = ScriptedChat(sensible)
    found = commented(commenting(chat), [*CARDS, *inner], Watching())
    assert [one.commentary.name for one in found.cards[5:] if one.commentary] == [
        "boats 0",
        "boats 1",
        "boats 2",
    ]
    assert set(found.facts["rubric"]) == {"0", "1", "2", "3", "4", "0/0", "0/1", "0/2"}
    (asked,) = (one for one in chat.asked if keywords_in(one) == ["boats 0"])
    assert "\nboats 1 -> sail\nboats 2\n" in asked.user


def test_no_comparisons_leave_the_score_of_the_rubric() -> None:
    found, chat, _ = run(sensible, comparisons=0)
    assert {one.name for one in chat.asked} == {"cluster"}
    assert {one.commentary.interestingness for one in found.cards if one.commentary} == {85}
    assert {one.commentary.unique for one in found.cards if one.commentary} == {""}


def test_a_cluster_without_texts_is_not_asked_about() -> None:
    cards = [*CARDS, card(5, "ships", []), card(6, "rafts", ["", " \n"])]
    found, *_ = run(sensible, cards)
    for one in found.cards[5:]:
        assert one.commentary is not None
        assert one.commentary.trouble == "there are no texts of it to show to the model"
    assert run(sensible, [])[0].cards == ()
    with pytest.raises(ValueError, match="path of its own"):
        run(sensible, [CARDS[0], CARDS[0]])
    assert run(sensible, cards[5:])[0].facts["told_by_model"] == 0


@pytest.mark.parametrize("comparisons", [0, 4, 6])
def test_the_forecast_counts_what_is_asked(comparisons: int) -> None:
    chat = ScriptedChat(sensible)
    made = commenting(chat, comparisons=comparisons, siblings=0)
    first = forecast(made, CARDS)
    assert chat.asked == []
    assert first.cached == 0
    commented(made, CARDS, Watching())
    assert first.questions == len(chat.asked)
    assert first.prompt_tokens >= sum(map(chat.tokens, chat.asked))
    assert first.answer_tokens == sum(one.max_tokens for one in chat.asked)
    assert first.cost(2, 10, 100) == pytest.approx(
        (2 * first.prompt_tokens + 10 * (first.answer_tokens + 100 * first.questions)) / 1e6
    )
    asked = len(chat.asked)
    after = forecast(made, CARDS)
    assert (after.questions, after.cached, after.prompt_tokens) == (0, asked, 0)
    changed = [card(0, "ships", siblings=[1]), *CARDS[1:]]
    part = forecast(made, changed)
    assert 0 < part.questions < first.questions
    commented(made, changed, Watching())
    assert len(chat.asked) == asked + part.questions


def test_a_forecast_forgets_nothing() -> None:
    chat = ScriptedChat(sensible)
    made = commenting(chat, comparisons=0)
    question = forecast(made, CARDS)
    assert question.questions == 5
    commented(made, CARDS, Watching())
    for key in chat.kept:
        chat.kept[key] = "nonsense"
    kept = dict(chat.kept)
    again = forecast(made, CARDS)
    assert chat.kept == kept
    assert (again.cached, again.questions) == (5, 5)  # five answers to be mended
