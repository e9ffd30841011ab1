"""Pieces told as rows: all of them in the end, never one too many."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from vdbcluster.pipeline.by_share import ByShare


@given(rows=st.integers(0, 10**9), done=st.lists(st.integers(0, 3), max_size=50))
def test_all_rows_are_told_once(rows: int, done: list[int]) -> None:
    told: list[int] = []
    share = ByShare(rows, sum(done), told.append)
    for count in done:
        if sum(done):
            share(count)
    assert sum(told) == (rows if sum(done) else 0)
    assert min(told, default=0) >= 0
    assert all(told[at] == 0 for at, count in enumerate(done) if not count and told)
