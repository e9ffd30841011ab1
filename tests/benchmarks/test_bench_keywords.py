"""The rule of the keyword bench: what is held out, and how a guess counts."""

from __future__ import annotations

import numpy as np
import pytest

from scripts._bench.keywords import guess, held_out, ours

LISTS = {0: ["cat", "pet"], 1: ["dog", "pet"], 2: ["tax"]}


@pytest.mark.parametrize(
    ("terms", "true", "right", "met"),
    [
        (["cat", "pet"], 0, 1.0, 1.0),
        (["cat", "pet"], 1, 0.0, 1.0),
        (["pet"], 1, 0.5, 1.0),
        (["pet"], 2, 0.0, 1.0),
        (["tax", "tax", "cat", "pet"], 2, 0.0, 1.0),
        (["law"], 2, 0.0, 0.0),
    ],
)
def test_a_guess(terms: list[str], true: int, right: float, met: float) -> None:
    found = guess(LISTS, [terms], [true])
    assert (found.right, found.met) == (right, met)


def test_a_fifth_of_each_cluster_is_held_out() -> None:
    labels = np.repeat([-1, 0, 1, 2], [10, 20, 5, 4])
    held = held_out(labels, seed=3)
    assert [int(held[labels == c].sum()) for c in (-1, 0, 1, 2)] == [0, 4, 1, 0]
    assert (held == held_out(labels, seed=3)).all()
    assert (held != held_out(labels, seed=4)).any()


def test_keywords_do_not_see_what_is_held_out() -> None:
    tokens = [["cat", "purr"]] * 6 + [["dog", "bark"]] * 6 + [["spy", "cat"]] * 3
    labels = np.repeat([0, 1, 0], [6, 6, 3])
    held = np.arange(15) >= 12
    lists, documents = ours(tokens, labels, held, vectors=None, n_grams=1)
    assert "spy" not in {word for words in lists.values() for word in words}
    assert documents == [["cat", "spy"]] * 3
    assert guess(lists, documents, labels[held]).right == 1.0
