"""A cluster that is much the same keeps what a model said of it, and costs nothing again."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.silent import Listener
from tests.unit.commentary_worlds import English, ScriptedChat
from tests.unit.test_cards import WORDS, held
from tests.unit.test_run import adapters, do
from vdbcluster.adapters.languages import Py3LangId
from vdbcluster.adapters.memory_catalogue import MemoryCatalogue
from vdbcluster.adapters.memory_collection import MemoryCollection
from vdbcluster.adapters.runs import RunDirectory
from vdbcluster.adapters.tokenizers import ScriptTokenizer
from vdbcluster.config.settings import Settings
from vdbcluster.errors import RefusedError
from vdbcluster.model.cards import Card, Claim, Commentary, Keyword
from vdbcluster.model.catalogue import Catalogue, CatalogueEntry
from vdbcluster.pipeline.commentary import Commenting
from vdbcluster.pipeline.commentary_again import as_asked, much_the_same, still
from vdbcluster.pipeline.explain import Explaining, explain_run
from vdbcluster.pipeline.explain_record import Explained
from vdbcluster.pipeline.rollback import restore_catalogue
from vdbcluster.ports.chat import NoAnswerError, Question


def said(question: Question) -> str:
    if question.name != "cluster":
        return json.dumps({"because": "it is.", "more": "A"})
    topic = max(WORDS, key=lambda words: question.user.count(f"{words} number"))
    return json.dumps(
        {
            "name": f"All about {topic}",
            "description": f"Texts that speak of {topic} and of its number.",
            "cites": ["r1", "r2"],
            "perspective": f"How often {topic} comes up.",
            "unusual": [{"text": "One stands out by its number.", "cites": ["r1"]}],
            "interestingness": 40,
        }
    )


def commented_on(
    collection: MemoryCollection,
    runs: Path,
    run_id: str,
    chat: ScriptedChat,
    catalogue: MemoryCatalogue | None = None,
    **how: object,
) -> Explained:
    kept = catalogue or MemoryCatalogue(collection)
    made = Explaining(
        adapters=replace(adapters(collection, runs), catalogue=lambda: kept),
        tokenizer=ScriptTokenizer(detector=Py3LangId()),
        settings=Settings(),
        text_field="text",
        commenting=Commenting(chat, Settings().commentary, English()),
        **how,  # type: ignore[arg-type]
    )
    return explain_run(made, RunDirectory(runs).load(run_id), Listener())


def names_in(catalogue: MemoryCatalogue) -> dict[int, str]:
    found = catalogue.read()
    assert found is not None
    return {entry.id: entry.name for entry in found.live}


@pytest.fixture
def collection(tmp_path: Path) -> MemoryCollection:
    made = held()
    manifest = do(made, tmp_path)
    assert len(manifest.clusters) == 3
    return made


def catalogue_of(collection: MemoryCollection) -> MemoryCatalogue:
    sizes = np.bincount(collection.cluster_id[collection.cluster_id >= 0])
    made = tuple(CatalogueEntry(i, int(size), 0) for i, size in enumerate(sizes))
    catalogue = MemoryCatalogue(collection)
    catalogue.replace(Catalogue(made, "first", collection.identity))
    return catalogue


def test_a_twentieth_of_the_rows_gone_asks_nothing_and_no_claim_cites_a_row_that_is_gone(
    collection: MemoryCollection, tmp_path: Path
) -> None:
    chat = ScriptedChat(said)
    first = commented_on(collection, tmp_path, "first", chat)
    names = {card.id: card.commentary.name for card in first.cards if card.commentary}
    assert sorted(names.values()) == sorted(f"All about {words}" for words in WORDS)
    asked = len(chat.asked)
    cited = {int(key) for card in first.cards if card.commentary for key in card.commentary.cited}
    gone = sorted(cited)[:2] + [row for row in range(0, 600, 21) if row not in cited]
    collection.delete(gone)
    do(collection, tmp_path, run_id="second")
    again = commented_on(collection, tmp_path, "second", chat)
    assert len(chat.asked) == asked
    assert {card.id: card.commentary.name for card in again.cards if card.commentary} == names
    for card in again.cards:
        assert card.commentary is not None
        keys = [*card.commentary.cited, *(k for c in card.commentary.unusual for k in c.cited)]
        assert not set(map(int, keys)) & set(gone)
    assert again.manifest.facts["explain"]["commentary"]["usage"]["questions"] == 0


def test_what_nobody_agreed_to_is_not_asked_and_the_words_stay(
    collection: MemoryCollection, tmp_path: Path
) -> None:
    chat = ScriptedChat(said)
    with pytest.raises(RefusedError, match="not confirmed"):
        commented_on(collection, tmp_path, "first", chat, agree=lambda told: told.questions == 0)
    assert not chat.asked
    assert "explain" in RunDirectory(tmp_path).load("first").facts


def test_a_name_by_people_stays_and_one_by_a_model_follows_the_model(
    collection: MemoryCollection, tmp_path: Path
) -> None:
    catalogue = catalogue_of(collection)
    commented_on(collection, tmp_path, "first", ScriptedChat(said), catalogue)
    names = names_in(catalogue)
    assert sorted(names.values()) == sorted(f"All about {words}" for words in WORDS)
    catalogue.edit(lambda kept: [replace(entry, name="Ours") for entry in kept.live[:1]])

    def otherwise(question: Question) -> str:
        return said(question).replace("All about", "Once more")

    commented_on(collection, tmp_path, "first", ScriptedChat(otherwise), catalogue)
    expected = {i: name.replace("All about", "Once more") for i, name in names.items()}
    assert names_in(catalogue) == expected | {min(names): "Ours"}

    former = max(names)
    back = [names[former]]
    catalogue.edit(lambda kept: [replace(entry, name=back[0]) for entry in kept.live[-1:]])
    commented_on(collection, tmp_path, "first", ScriptedChat(otherwise), catalogue)
    assert names_in(catalogue)[former] == names[former]


def test_what_became_of_the_run_meanwhile_stays(
    collection: MemoryCollection, tmp_path: Path
) -> None:
    catalogue, runs = catalogue_of(collection), RunDirectory(tmp_path)

    def taken_back(_: object) -> bool:
        now = runs.load("first")
        runs.save(replace(now, state="rolled-back", facts={**now.facts, "rollback": {"n": 1}}))
        return True

    commented_on(collection, tmp_path, "first", ScriptedChat(said), catalogue, agree=taken_back)
    after = runs.load("first")
    assert (after.state, after.facts["rollback"]) == ("rolled-back", {"n": 1})
    assert after.facts["explain"]["commentary"]["told_by_model"] == 3
    assert not any(names_in(catalogue).values())


def test_a_model_that_fails_later_takes_nothing_away(
    collection: MemoryCollection, tmp_path: Path
) -> None:
    first = commented_on(collection, tmp_path, "first", ScriptedChat(said))

    def silent(_: Question) -> str:
        raise NoAnswerError("the model refused")

    again = commented_on(collection, tmp_path, "first", ScriptedChat(silent))
    for before, now in zip(first.cards, again.cards, strict=True):
        assert before.commentary is not None
        assert now.commentary is not None
        assert now.commentary.name == before.commentary.name
        assert "refused" in now.commentary.notes[-1]


def test_rolled_back_the_clusters_lose_what_was_said_of_the_run_but_not_what_people_said(
    collection: MemoryCollection,
) -> None:
    identity = collection.identity
    old = tuple(CatalogueEntry(i, 5, 0, keywords=("old",), name="Old") for i in range(3))
    before = Catalogue(old, "r1", identity)
    after = Catalogue(tuple(replace(entry, size=9) for entry in old), "r2", identity)
    held = MemoryCatalogue(collection)
    held.replace(after)
    names = ("By a model", "By people", "Old")
    held.edit(
        lambda kept: [
            replace(entry, name=name, description=name, keywords=("new",))
            for entry, name in zip(kept.live, names, strict=True)
        ]
    )
    said_then = {"0": ["By a model", "By a model"], "1": ["By a model", "By a model"]}
    assert restore_catalogue(held, before, after, said_then) == ""
    back = held.read()
    assert back is not None
    assert [entry.keywords for entry in back.entries] == [("old",)] * 3
    assert [entry.name for entry in back.entries] == ["Old", "By people", "Old"]
    assert [entry.description for entry in back.entries] == ["", "By people", "Old"]
    assert [entry.size for entry in back.entries] == [5, 5, 5]


def card_of(words: str, size: int = 100) -> Card:
    return Card(0, size, keywords=tuple(Keyword(word, 1.0, 5, 0.5, 0.0) for word in words.split()))


def test_a_cluster_with_other_words_or_of_another_size_is_asked_about_anew() -> None:
    before = card_of("a b c d e")
    assert much_the_same(card_of("a b c x y"), before)
    assert not much_the_same(card_of("a b x y z"), before)
    assert much_the_same(card_of("a b c d e", 200), before)
    assert not much_the_same(card_of("a b c d e", 201), before)
    assert not much_the_same(card_of("a b c d e", 49), before)
    assert as_asked([card_of("a b c d x", 120)], [before]) == [before]
    fresh = card_of("v w x y z")
    assert as_asked([fresh], [before]) == [fresh]
    assert as_asked([fresh], []) == [fresh]


def test_a_claim_that_nothing_shows_any_more_is_dropped() -> None:
    told = Commentary("n", "d", (Claim("one", (1, 2)), Claim("two", (3,)), Claim("bare")), (1, 3))
    left = still(told, {1})
    assert left is not None
    assert left.unusual == (Claim("one", (1,)), Claim("bare"))
    assert left.cited == (1,)
