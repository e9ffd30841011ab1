"""What an endpoint refuses of a request is left out or said in another way, and told once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import httpx2
import openai
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.chat_server import error, said
from tests.unit.test_chat_api import ASKED, GOOD, SCHEMA, another, place
from vdbcluster.adapters.chat.dialect import Dialect, first_dialect, request
from vdbcluster.config.chat import ChatSettings
from vdbcluster.errors import BackendError
from vdbcluster.ports.chat import Question

__all__ = ["place"]


def answered(place, settings: dict[str, Any] | None = None) -> dict[str, Any]:
    """The request that was answered in the end."""
    chat = place.chat(**(settings or {}))
    assert chat.ask(ASKED).text == GOOD
    request: dict[str, Any] = place.server.requests[-1]
    assert chat.usage.questions == 1
    return request


def test_asked_of_an_endpoint_that_knows_all(place):
    place.serve(unknown={"max_completion_tokens", "seed", "reasoning_effort"})
    sent = answered(place)
    assert sent["temperature"] == 0
    assert sent["max_tokens"] == ASKED.max_tokens
    assert sent["response_format"]["json_schema"] == {
        "name": "naming",
        "schema": SCHEMA,
        "strict": True,
    }
    assert [message["content"] for message in sent["messages"]] == [ASKED.system, ASKED.user]
    assert sent["auth"].startswith("Bearer sk-")
    assert not place.told
    assert len(place.server.requests) == 1


@pytest.mark.parametrize(
    ("formats", "used"),
    [({"text", "json_object"}, "json_object"), ({"text", "json_schema"}, "json_schema")],
)
def test_the_first_format_that_is_taken(place, formats, used):
    place.serve(formats=formats)
    sent = answered(place)
    assert sent["response_format"]["type"] == used
    if used == "json_object":
        assert '"additionalProperties": false' in said(sent)
        assert "JSON" in said(sent)
        assert place.told == [
            f"m at {place.server.base_url}: it takes no json_schema; asked for json_object instead"
        ]


def test_no_format_is_taken(place):
    place.serve(formats={"text"})
    sent = answered(place)
    assert "response_format" not in sent
    assert '"additionalProperties": false' in said(sent)
    assert len(place.server.requests) == 3
    assert len(place.told) == 2


@pytest.mark.parametrize("wanted", ["json_object", "text", "json_schema"])
def test_a_format_that_was_asked_for_is_kept_to(place, wanted):
    place.serve(formats={wanted, "text"})
    assert (
        answered(place, {"format": wanted}).get("response_format", {"type": "text"})["type"]
        == wanted
    )
    place.server.formats = {"text"}
    if wanted != "text":
        with pytest.raises(BackendError, match=f"response_format.*{wanted}"):
            place.chat(format=wanted).ask(ASKED)


@pytest.mark.parametrize("unknown", [{"max_tokens"}, {"max_completion_tokens"}])
def test_either_name_of_the_limit(place, unknown):
    place.serve(unknown=unknown)
    sent = answered(place, {"thinking": 1000})
    assert {"max_tokens", "max_completion_tokens"} - unknown == {*sent} & {
        "max_tokens",
        "max_completion_tokens",
    }
    assert 1050 in sent.values()
    assert not place.told


def test_a_reasoning_model(place):
    place.serve(unknown={"max_tokens", "temperature", "seed"}, formats={"text"})
    sent = answered(place, {"seed": 7, "effort": "low"})
    assert sent["reasoning_effort"] == "low"
    assert sent["max_completion_tokens"] == 50
    assert not {"temperature", "seed", "max_tokens"} & {*sent}
    assert len(place.server.requests) == 6
    assert "takes no temperature; asked without" in "".join(place.told)
    place.chat().ask(another(1))


def test_it_is_learnt_once_by_all_threads(place):
    place.serve(unknown={"max_tokens", "temperature"}, formats={"text"}, latency=0.02)
    chat = place.chat(concurrency=6)
    with ThreadPoolExecutor(6) as pool:
        found = list(pool.map(chat.ask, map(another, range(30))))
    assert {answer.text for answer in found} == {GOOD}
    assert len(place.told) == 3
    assert len(place.server.requests) <= 30 + 6 * 4
    assert chat.usage.questions == 30


def test_what_names_no_parameter_is_no_dialect(place):
    server = place.serve(error(400, "The temperature in here is too high for us"))
    with pytest.raises(BackendError, match="too high"):
        place.chat().ask(ASKED)
    assert len(server.requests) == 1


def test_neither_name_of_the_limit_ends(place):
    server = place.serve(unknown={"max_tokens", "max_completion_tokens"})
    with pytest.raises(BackendError, match="max_completion_tokens"):
        place.chat().ask(ASKED)
    assert len(server.requests) == 2


# Words of endpoints, as their projects' issues quote them


def refusal(status: int, body: dict[str, Any]) -> openai.APIStatusError:
    client = openai.OpenAI(api_key="k", base_url="http://127.0.0.1:9/v1")
    response = httpx2.Response(
        status, json=body, request=httpx2.Request("POST", "http://127.0.0.1:9/v1/chat/completions")
    )
    with client:
        return client._make_status_error_from_response(response)


@pytest.mark.parametrize(
    ("body", "change"),
    [
        (
            {
                "error": {
                    "message": "Unsupported parameter: 'max_tokens' is not supported with this "
                    "model. Use 'max_completion_tokens' instead.",
                    "param": "max_tokens",
                    "code": "unsupported_parameter",
                }
            },
            {"limit": "max_completion_tokens", "other_limit": None},
        ),
        (
            {
                "error": {
                    "message": "Unsupported value: 'temperature' does not support 0 with this "
                    "model. Only the default (1) value is supported.",
                    "param": "temperature",
                    "code": "unsupported_value",
                }
            },
            {"left_out": frozenset({"temperature"})},
        ),
        (
            {
                "error": {
                    "message": "Invalid parameter: 'response_format' of type 'json_schema' is not "
                    "supported with this model.",
                    "param": None,
                }
            },
            {"formats": ("json_object", "text")},
        ),
        (
            {"error": "'response_format.type' must be 'json_schema' or 'text'"},
            {"formats": ("json_object", "text")},
        ),
        (
            {
                "detail": [
                    {"loc": ["body", "response_format", "type"], "msg": "Input should be 'text'"}
                ]
            },
            {"formats": ("json_object", "text")},
        ),
        (
            {"detail": [{"loc": ["body", "seed"], "msg": "Extra inputs are not permitted"}]},
            {"left_out": frozenset({"seed"})},
        ),
        (
            {"error": {"message": "JSON schema error at #: cannot resolve $ref", "code": 400}},
            {"formats": ("json_object", "text")},
        ),
        ({"error": {"message": "max_tokens is too large: 5000. At most 4096."}}, None),
        ({"error": {"message": "This model's maximum context length is 4096 tokens"}}, None),
        ({"error": {"message": "Invalid 'messages[0].content': string too long"}}, None),
    ],
)
def test_what_endpoints_say(body, change):
    start = Dialect()
    expected = None
    if change is not None:
        expected = replace(start, **change)
    assert start.after(refusal(422 if "detail" in body else 400, body)) == expected


def test_openai_itself_is_asked_with_the_name_that_all_its_models_know():
    assert first_dialect(ChatSettings()).limit == "max_completion_tokens"
    assert first_dialect(ChatSettings(base_url="http://x/v1")).limit == "max_tokens"


REFUSED = {
    name: refusal(400, {"error": {"message": f"unsupported: {name}", "param": name}})
    for name in ("response_format", "max_tokens", "max_completion_tokens", "seed", "temperature")
}


@given(st.lists(st.sampled_from(sorted(REFUSED)), max_size=30))
def test_no_dialect_comes_twice(named):
    dialect, seen = Dialect(), {Dialect()}
    for name in named:
        following = dialect.after(REFUSED[name])
        if following is not None:
            assert following not in seen
            seen.add(following)
            dialect = following
    assert len(seen) <= 6


@pytest.mark.parametrize(
    ("schema", "strict"),
    [
        (SCHEMA, True),
        ({"type": "object", "properties": {"a": {}}, "required": ["a"]}, False),
        ({**SCHEMA, "required": []}, False),
        ({**SCHEMA, "properties": {"name": {"type": "array", "items": SCHEMA}}}, True),
        ({**SCHEMA, "properties": {"name": {"anyOf": [{"properties": {"x": {}}}]}}}, False),
    ],
)
def test_strict_only_where_the_schema_is(schema, strict):
    asked = Question("a name, such as this", "", "", schema, 1)
    sent = request(asked, Dialect(), ChatSettings())
    assert sent["response_format"]["json_schema"]["strict"] is strict
    assert sent["response_format"]["json_schema"]["name"] == "a_name__such_as_this"


@given(st.text(st.characters(), max_size=50), st.text(st.characters(), max_size=50))
def test_any_text_can_be_sent(system, user):
    sent = request(Question("n", system, user, SCHEMA, 1), Dialect(), ChatSettings())
    for message, text in zip(sent["messages"], (system, user), strict=True):
        message["content"].encode()
        if text.isascii():
            assert message["content"] == text


def test_halves_of_characters_are_replaced_on_their_way(place):
    place.serve()
    place.chat().ask(Question("n", "\udc80 a", "b \ud800", SCHEMA, 50))
    assert said(place.server.requests[0]) == "? a\nb ?"
