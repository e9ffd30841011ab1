"""Prompts, fences and questions: what goes to a model."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.commentary_answers import (
    NASTY,
    PROMPTS,
)
from tests.unit.commentary_worlds import card
from vdbcluster.commentary import untrusted
from vdbcluster.commentary.checks import NAME
from vdbcluster.commentary.excerpts import excerpts
from vdbcluster.commentary.templates import ALLOWED, NEEDED, Prompts
from vdbcluster.commentary.untrusted import code_for, fenced, folded, plain
from vdbcluster.commentary.wording import (
    neighbour_lines,
    of_cluster,
    of_pair,
    rounded,
    with_other_name,
    with_repair,
)
from vdbcluster.errors import UsageError
from vdbcluster.model.cards import Commentary, Representatives


@given(st.lists(NASTY, min_size=1, max_size=6))
def test_no_text_closes_its_fence(texts: list[str]) -> None:
    lines = [plain(text, 50) or "-" for text in texts]
    code = code_for(lines)
    block = fenced("TEXTS", lines, code).split("\n")
    assert block[0] == f"<<<TEXTS {code}"
    assert block[-1] == f"TEXTS {code}>>>"
    assert len(block) == len(lines) + 2
    assert not any(code in folded(line) for line in block[1:-1])


def test_a_code_that_stands_in_the_text_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where it is written in capitals or in wide letters."""
    codes = ["00c0de", "00c0df", "00c0e0", "00c0e1"]
    monkeypatch.setattr(untrusted, "_hash", lambda text, count: codes[count])
    assert code_for(["boats"]) == "00c0de"
    assert code_for(["boats 00c0de"]) == "00c0df"
    assert code_for(["boats", "00C0DE", "\uff10\uff10\uff430df"]) == "00c0e0"


def test_the_code_follows_the_text() -> None:
    assert code_for(["boats"]) == code_for(["boats"]) != code_for(["boat"])
    assert re.fullmatch("[0-9a-f]{12}", code_for([]))


@given(NASTY, st.integers(1, 80))
def test_plain_is_one_printable_line(text: str, width: int) -> None:
    line = plain(text, width)
    assert line.isprintable()
    assert len(line) <= width
    line.encode("utf-8")


@given(st.lists(NASTY, min_size=8, max_size=8), NASTY)
def test_a_question_holds_its_texts_as_data(texts: list[str], keyword: str) -> None:
    """Between the fences there is one line a text, and none of them looks like another's handle."""
    about = card(1, keyword, texts)
    shown = excerpts(about, 6, 40)
    asked = of_cluster(PROMPTS, about, shown, ["a, b -> c"], "en")
    (code,) = asked.codes
    assert code not in asked.system
    opened = re.findall(rf"^<<<(\w+) {code}$", asked.user, re.MULTILINE)
    closed = re.findall(rf"^(\w+) {code}>>>$", asked.user, re.MULTILINE)
    assert opened == closed
    assert asked.user.count(code) == 2 * len(opened)
    if shown:
        inside = asked.user.split(f"<<<TEXTS {code}\n")[1].split(f"\nTEXTS {code}>>>")[0]
        assert inside.split("\n") == [f"{one.handle}: {one.text}" for one in shown]
        assert [one.handle for one in shown] == [f"r{i}" for i in range(1, len(shown) + 1)]


def test_the_same_texts_are_the_same_question_whatever_keys_and_order() -> None:
    texts = [f"text {i}" for i in range(8)]
    first = card(1, "boats", texts, size=120)
    shown = first.representatives
    assert shown is not None
    turned = Representatives(shown.central[2], shown.central[::-1], (), shown.diverse[::-1])
    straight = replace(shown, border=())
    words = [
        of_cluster(PROMPTS, each, excerpts(each, 8, 100), [], "en")
        for each in (
            replace(first, representatives=straight),
            replace(first, representatives=turned, id=7, size=123),
        )
    ]
    assert words[0] == words[1]
    assert "text 6" in words[0].user
    assert "boats-" not in words[0].user


def test_excerpts_are_of_every_kind_and_no_text_twice() -> None:
    texts = ["a", "A ", "b", "c", "d", "e", "f", "g"]
    shown = excerpts(card(1, "x", texts), 6, 20)
    assert [one.text for one in shown] == ["a", "b", "c", "d", "e", "g"]
    assert [one.key for one in shown] == ["x-0", "x-2", "x-3", "x-4", "x-5", "x-7"]
    assert excerpts(card(1, "x", []), 6, 20) == ()
    assert [one.text for one in excerpts(card(1, "x", ["abcdef", "", "b"]), 6, 4)] == ["abc…", "b"]


def test_neighbours_are_told_by_words_alone() -> None:
    cards = {str(i): card(i, topic) for i, topic in ((2, "cars"), (3, "trains"))}
    mine = card(1, "boats", siblings=[3, 2, 9])
    lines = neighbour_lines(mine, cards, 3)
    assert lines == [" -> boats", "cars -> boats", "trains -> boats"]
    assert neighbour_lines(card(1, "boats", siblings=[2, 3, 9]), cards, 3) == lines
    assert neighbour_lines(mine, cards, 1) == ["trains -> boats"]


def test_sizes_are_rounded() -> None:
    assert [rounded(size) for size in (1, 12, 123, 129, 45_678)] == [1, 12, 120, 130, 46_000]


@given(st.lists(NASTY, min_size=2, max_size=2), NASTY)
def test_names_and_answers_are_data_in_later_questions(names: list[str], answer: str) -> None:
    about = card(1, "boats")
    asked = of_cluster(PROMPTS, about, excerpts(about, 8, 40), [], "en")
    plainly = [plain(name, NAME) or "-" for name in names]
    for longer in (
        with_other_name(PROMPTS, asked, plainly[0], plainly),
        with_repair(PROMPTS, asked, answer, names),
    ):
        assert longer.user.startswith(asked.user)
        code = longer.codes[-1]
        assert longer.codes[:-1] == asked.codes
        assert code not in asked.user
        assert longer.user.count(code) == 4


def test_a_pair_has_one_code_in_either_order() -> None:
    a, b = (
        replace(one, commentary=Commentary(one.terms[0], "d", perspective="p"))
        for one in (card(1, "boats"), card(2, "cars"))
    )
    ab, ba = of_pair(PROMPTS, a, b), of_pair(PROMPTS, b, a)
    assert ab.codes == ba.codes
    assert ab.user != ba.user
    assert ab.user.index("boats") < ab.user.index("cars")


# Prompt files


def test_packaged_prompts_use_every_placeholder() -> None:
    for name, text in PROMPTS.texts.items():
        found = set(re.findall(r"\{\{(\w+)\}\}", text))
        assert found == NEEDED[name] | ALLOWED.get(name, frozenset())


@given(NASTY)
def test_a_value_is_put_in_as_it_is(value: str) -> None:
    prompts = PROMPTS.replaced({"repair.user.md": "[{{answer}}|{{ faults }}]"})
    assert prompts.filled("repair.user.md", answer=value, faults="{{answer}}") == (
        f"[{value}|{{{{answer}}}}]"
    )


@pytest.mark.parametrize(
    ("name", "text", "why"),
    [
        ("cluster.user.md", "{{texts}} {{text}}", "cluster.user.md has the placeholder {{text}}"),
        ("cluster.user.md", "Describe it.", "cluster.user.md lacks {{texts}}"),
        ("compare.user.md", "{{a}} {{b}} {{", "compare.user.md has {{ that no }} closes"),
        ("compare.system.md", " \n", "compare.system.md is empty"),
        ("cluster.md", "{{texts}}", "cluster.md is no prompt file; there are cluster.system.md"),
    ],
)
def test_a_prompt_file_that_cannot_be_used_is_named(name: str, text: str, why: str) -> None:
    with pytest.raises(UsageError) as caught:
        PROMPTS.replaced({name: text})
    assert why in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_version_of_prompts_follows_their_texts() -> None:
    other = PROMPTS.replaced({"compare.system.md": "Choose."})
    assert other.version != PROMPTS.version == Prompts.packaged().version
