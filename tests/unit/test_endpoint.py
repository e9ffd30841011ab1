"""What adapters of endpoints share: budgets of two prices, and what a refusal means."""

from __future__ import annotations

from typing import Any

import httpx2
import numpy as np
import openai
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vdbcluster.adapters.endpoint.ledger import Budget, Ledger, Tokens
from vdbcluster.adapters.endpoint.trouble import filtered, may_mend, said, too_large
from vdbcluster.errors import BudgetError


def refusal(status: int, body: Any) -> openai.APIStatusError:
    """The error that the client makes of an answer."""
    wanted = httpx2.Request("POST", "http://127.0.0.1:9/v1/chat/completions")
    given = {"content": body} if isinstance(body, bytes) else {"json": body}
    with openai.OpenAI(api_key="k", base_url="http://127.0.0.1:9/v1") as client:
        return client._make_status_error_from_response(
            httpx2.Response(status, request=wanted, **given)
        )


@pytest.mark.parametrize(
    ("status", "body", "words"),
    [
        (400, {"error": {"message": "as OpenAI\nwords it"}}, "as OpenAI words it"),
        (422, {"error": "Input validation error", "error_type": "Validation"}, "Input validation"),
        (422, {"detail": [{"loc": ["body", "seed"], "msg": "no such"}]}, "seed"),
        (502, b"<html>\n<h1>Bad gateway</h1></html>", "<h1>Bad gateway</h1>"),
        (500, b"", "Error code: 500"),
    ],
)
def test_what_was_said_is_told_however_it_was_worded(status, body, words):
    told = said(refusal(status, body))
    assert words in told
    assert "\n" not in told
    assert told.startswith(f"Error code: {status}")


@pytest.mark.parametrize(
    ("status", "body", "found"),
    [
        (413, {"error": "Input validation error: inputs must have less than 512 tokens"}, True),
        (422, {"error": "inputs must have less than 512 tokens. Given: 900"}, True),
        (400, {"object": "error", "message": "maximum context length is 4096 tokens"}, True),
        (400, {"error": "dimensions: too large"}, False),
        (
            400,
            {"error": {"message": "request (9 tokens) exceeds the available context size"}},
            True,
        ),
        (400, {"error": "what?"}, False),
        (500, {"error": "too long"}, False),
    ],
)
def test_too_large_in_the_words_of_several_servers(status, body, found):
    assert too_large(refusal(status, body)) is found


def test_what_filters_say():
    assert filtered(refusal(400, {"error": {"message": "no", "code": "content_filter"}}))
    assert filtered(refusal(403, {"error": {"message": "Your input was flagged"}}))
    assert not filtered(refusal(400, {"error": {"message": "bad request"}}))
    assert not filtered(refusal(500, {"error": {"message": "our content filter is down"}}))
    assert may_mend(refusal(500, {}))


@given(
    st.integers(0, 2**32 - 1),
    st.integers(1, 5000),
    st.floats(1e-6, 0.05),
    st.floats(0, 10),
    st.floats(0, 10),
)
def test_no_order_of_requests_passes_a_limit(seed, max_tokens, max_cost, price_in, price_out):
    rng = np.random.default_rng(seed)
    n = rng.integers(0, 31)
    counts = rng.integers(0, 1001, (2, n)).tolist()
    asked = zip(*counts, rng.random(n).tolist(), (rng.random(n) < 0.5).tolist(), strict=True)
    budget = Budget(price_in, price_out, max_tokens, max_cost)
    ledger = Ledger(budget)
    spent = lost = Tokens()
    for sent, answered, share, is_lost in asked:
        bound = Tokens(sent, answered)
        try:
            with ledger.request(bound) as bill:
                if is_lost:
                    bill.lost()
                    lost += bound
                else:
                    bill.pays(Tokens(int(share * sent), int(share * answered)))
                    spent += bill.taken
        except BudgetError:
            assert budget.passed_by(spent + lost + bound)
        assert ledger.taken[1:] == (spent, budget.cost(spent))
        assert not budget.passed_by(spent + lost)


def test_an_answer_that_came_after_all_is_no_longer_doubtful():
    ledger = Ledger(Budget(max_tokens=100))
    with ledger.request(Tokens(50, 50)) as bill:
        bill.lost()
        bill.pays(Tokens(10, 10))
    with ledger.request(Tokens(40, 40)):
        pass
    with pytest.raises(BudgetError, match="20 tokens"), ledger.request(Tokens(81)):
        pass
