"""Cutting texts into terms, by script."""

from __future__ import annotations

import sys
import unicodedata
from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests import data
from tests.unit import function_words
from vdbcluster.adapters.languages import Py3LangId
from vdbcluster.adapters.tokenizers import ScriptTokenizer
from vdbcluster.errors import UsageError
from vdbcluster.explain.keywords import keywords
from vdbcluster.explain.vocabulary import vocabulary
from vdbcluster.ports.tokens import BREAK, Tokenizer

PLAIN = ScriptTokenizer()
BARE = ScriptTokenizer(extras=False)
SETS = {
    "20news7k": ("minilm-l6-int8.384", 600),
    "bbc2225": ("minilm-l6-int8.384", 200),
    "banking77": ("minilm-l6-int8.384", 1000),
    "livedoor": ("e5-small-q4.384", 1000),
    "thucnews10k": ("e5-small-q4.384", 1000),
    "polis4k": ("e5-small-q4.384", 1000),
    "aipubcom5k": ("e5-small-q4.384", 800),
}


def terms(text: str, tokenizer: Tokenizer = PLAIN) -> list[str]:
    return tokenizer.terms([text])[0]


def words(text: str, tokenizer: Tokenizer = PLAIN) -> list[str]:
    return [term for term in terms(text, tokenizer) if term != BREAK]


@pytest.fixture
def japanese() -> ScriptTokenizer:
    pytest.importorskip("sudachipy")
    pytest.importorskip("sudachidict_core")
    return ScriptTokenizer()


@pytest.fixture
def chinese() -> ScriptTokenizer:
    pytest.importorskip("rjieba")
    pytest.importorskip("opencc")
    return ScriptTokenizer()


def test_english_keeps_what_a_text_is_about() -> None:
    found = terms("The Bank of England's rates didn't rise; Microsoft's computer system did.")
    assert found == [
        "bank",
        "",
        "england",
        "rates",
        "",
        "rise",
        "",
        "microsoft",
        "computer",
        "system",
    ]


def test_addresses_numbers_and_signs_are_no_terms() -> None:
    text = (
        "See https://example.org/a_b?c=d, www.foo.bar/x, me@mail.example.com and @someone! "
        "😀 42 3.14 1st 0x1f b8f9x aaaa &nbsp; <br/> café"
    )
    assert words(text) == ["café"]


def test_addresses_end_where_another_script_begins(japanese: ScriptTokenizer) -> None:
    assert words("映画はexample.comの@someさんme@x.orgに監督", japanese) == ["映画", "監督"]


def test_case_and_width_do_not_matter() -> None:
    assert words("\uff2e\uff21\uff33\uff21 STRAßE") == words("nasa Straße") == ["nasa", "straße"]


def test_french_elision_and_hyphens() -> None:
    french = ScriptTokenizer(languages=("fr",))
    assert words("L'accord d'une e-mail", french) == ["accord", "e-mail"]


def test_vowel_signs_stay_in_their_words() -> None:
    assert words("हिन्दी भाषा") == ["हिन्दी", "भाषा"]
    assert words("cafe\u0301") == ["café"]


def test_function_words_of_one_language_are_content_in_another() -> None:
    german = ["Die Regierung war gegen die Steuer auf das Auto", "Wir wollen mehr Busse"] * 20
    english = ["They died in the war and soldiers die there", "The tax on fuel is too high"] * 20
    found = ScriptTokenizer(detector=Py3LangId()).terms(german + english)
    assert "war" not in found[0]
    assert "regierung" in found[0]
    assert {"war", "die"} <= set(found[40])


def test_japanese_keeps_nouns_and_verbs_in_dictionary_form(japanese: ScriptTokenizer) -> None:
    found = terms("ドコモが新しいスマートフォンを発売したから買われるようです", japanese)
    assert found == ["ドコモ", "", "スマートフォン", "", "発売", "", "買う"]
    assert not japanese.notes
    assert "sudachipy" in japanese.description


def test_japanese_beside_latin_and_full_width(japanese: ScriptTokenizer) -> None:
    assert terms("生成ＡＩの学習", japanese) == ["生成", "ai", "", "学習"]


def test_headlines_without_kana_are_japanese_among_japanese(japanese: ScriptTokenizer) -> None:
    found = japanese.terms(["独女通信", "独女はどうする", "映画を見る"])
    assert found[0] == ["独女", "通信"]
    assert "jieba" not in japanese.description


def test_very_long_japanese_is_cut(japanese: ScriptTokenizer) -> None:
    assert set(words("映画を借りる" * 10_000, japanese)) <= {"映画", "借りる", "画", "映"}


def test_chinese_keeps_words(chinese: ScriptTokenizer) -> None:
    found = words("中国人民公安大学2012年硕士研究生的目录及书目", chinese)
    assert found == ["中国", "人民", "公安大学", "硕士", "研究生", "目录", "书目"]
    assert "rjieba" in chinese.description


def test_traditional_chinese_is_cut_as_words_and_written_as_it_was(
    chinese: ScriptTokenizer,
) -> None:
    found = words("民眾會選擇計程車、因服務內容明確", chinese)
    assert {"民眾", "計程車", "服務"} <= set(found)


def test_mixed_languages_go_their_own_ways(
    japanese: ScriptTokenizer, chinese: ScriptTokenizer
) -> None:
    found = japanese.terms(["映画を見たい", "今年的电影市场", "a film about cats"])
    assert found == [["映画"], ["电影", "市场"], ["film", "", "cats"]]


def test_korean_loses_its_particles() -> None:
    assert words("잠수함은 바다에서 그리고 레이더를") == ["잠수함", "바다", "레이더"]


def test_thai_falls_back_and_says_so() -> None:
    tokenizer = ScriptTokenizer()
    assert words("ภาษาไทย", tokenizer)
    assert tokenizer.notes == ("scripts without spaces: keywords are pieces of a few characters",)


def test_without_extras_character_ngrams_say_so() -> None:
    tokenizer = ScriptTokenizer(extras=False)
    found = tokenizer.terms(["スマートフォンの発売を始める", "今年的电影市场"])
    assert found[0] == ["スマートフォン", "", "発売"]
    assert {"电影", "市场"} <= set(found[1])
    assert [note.rsplit("; ", 1)[1] for note in tokenizer.notes] == [
        "for words: pip install 'vdbcluster[ja]'",
        "for words: pip install 'vdbcluster[zh]'",
    ]
    assert "character n-grams" in tokenizer.description


def test_extras_that_are_not_installed_are_a_note(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("sudachipy", "rjieba"):
        monkeypatch.setitem(sys.modules, module, None)
    tokenizer = ScriptTokenizer()
    tokenizer.terms(["映画を見る", "电影"])
    assert len(tokenizer.notes) == 2


def test_stop_words_of_the_user(japanese: ScriptTokenizer) -> None:
    tokenizer = ScriptTokenizer(stop_words=("Film", "映画"))
    assert tokenizer.terms(["A FILM about cats", "映画と監督"]) == [["cats"], ["監督"]]


def test_dictionary_of_the_user(japanese: ScriptTokenizer) -> None:
    tokenizer = ScriptTokenizer(dictionary=("3D printing", "生成AI", "the who", "c++"))
    found = tokenizer.terms(["New 3d  Printing with C++ by The Who", "生成AIの規制", "wholesome"])
    assert found[0] == ["3d printing", "", "c++", "", "the who"]
    assert found[1] == ["生成ai", "", "規制"]
    assert found[2] == ["wholesome"]


def test_dictionary_without_letters_is_refused() -> None:
    with pytest.raises(UsageError, match="no letter"):
        ScriptTokenizer(dictionary=("42",))


def test_nothing_gives_nothing() -> None:
    assert PLAIN.terms([None, "", " ", "の", "!!!"]) == [[], [], [], [], []]
    assert PLAIN.terms([]) == []


@given(st.lists(st.text(max_size=60), max_size=5))
def test_any_text_gives_clean_terms(texts: Sequence[str]) -> None:
    found = BARE.terms(texts)
    assert found == BARE.terms(texts)
    assert len(found) == len(texts)
    for each in found:
        assert each[:1] != [BREAK]
        assert each[-1:] != [BREAK]
        assert (BREAK, BREAK) not in pairwise(each)
        for term in filter(None, each):
            assert len(term) >= 2
            assert any(c.isalpha() or unicodedata.category(c)[0] == "M" for c in term)
            assert not any(c.isspace() for c in term)


@given(st.text(alphabet="東京都映画を見るのはabc 1。、・ー한국어", max_size=40))
def test_analysers_take_any_mixture(text: str) -> None:
    for term in words(text):
        assert term not in function_words.ALL - {"都"}  # a capital in Japanese


@pytest.mark.parametrize("name", SETS)
def test_no_function_word_among_the_keywords_of_real_sets(name: str) -> None:
    pytest.importorskip("sudachipy")
    pytest.importorskip("rjieba")
    model, most = SETS[name]
    table = data.table(f"{name}.parquet")
    rows = table.sample(most, random_state=0).index.to_numpy()
    points = data.embeddings(f"{name}.{model}.f16.npy")[rows]
    labels = table["label"].astype("category").cat.codes.to_numpy().astype("int64")[rows]
    tokens = ScriptTokenizer(detector=Py3LangId()).terms(table["text"].iloc[rows].tolist())
    found = keywords(vocabulary(tokens), labels, points)
    assert len(found) >= 5
    none_of = function_words.WITH_GERMAN if name == "polis4k" else function_words.ALL
    for label, chosen in found.items():
        said = {part for keyword in chosen for part in (keyword.term, *keyword.term.split())}
        assert not said & none_of, (label, said & none_of)
