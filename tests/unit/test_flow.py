"""Several threads over a stream: order, bounded look-ahead, the first failure, no late starts."""

from __future__ import annotations

import threading
import time
from contextlib import closing

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vdbcluster.pipeline.flow import in_order


@given(items=st.lists(st.integers(), max_size=60), workers=st.integers(1, 6))
def test_results_come_in_the_order_of_the_stream(items, workers):
    def slow_if_even(x: int) -> int:
        time.sleep(0.0005 * (x % 2 == 0))
        return x * 2

    assert list(in_order(slow_if_even, items, workers)) == [x * 2 for x in items]


def test_all_threads_work_at_once():
    barrier = threading.Barrier(4, timeout=10)

    def meet(_: int) -> int:
        return barrier.wait()

    assert len(list(in_order(meet, range(8), 4))) == 8


def test_no_more_is_taken_than_the_look_ahead():
    taken = []

    def stream():
        for i in range(100):
            taken.append(i)
            yield i

    with closing(in_order(lambda x: x, stream(), 2, ahead=5)) as results:
        assert next(results) == 0
        assert len(taken) == 5


def test_the_first_failure_in_order_is_raised_and_the_rest_is_not_begun():
    begun = []

    def fail(x: int) -> int:
        begun.append(x)
        time.sleep(0.01)
        if x in (3, 4):
            raise ValueError(f"no {x}")
        return x

    results: list[int] = []
    with pytest.raises(ValueError, match="no 3"):
        results.extend(in_order(fail, range(1000), 2, ahead=8))
    assert results == [0, 1, 2]
    time.sleep(0.1)
    assert len(begun) < 14


def test_threads_go_when_the_work_is_done():
    list(in_order(lambda x: x, range(10), 3))
    end = time.monotonic() + 10
    while any(t.name.startswith("flow-") for t in threading.enumerate()):
        assert time.monotonic() < end
        time.sleep(0.01)
