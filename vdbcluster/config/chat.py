"""Settings of the language model that comments on clusters.

In: values of the ``chat`` section. Out: a frozen ``ChatSettings``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import SecretStr, field_validator

from vdbcluster.config.base import Section, setting


class ChatSettings(Section):
    """Chat: the language model that comments on clusters."""

    base_url: str = setting("https://api.openai.com/v1", "Endpoint, up to /v1.", "--chat-base-url")
    model: str = setting("gpt-5.4-mini", "Model.", "--chat-model")
    api_key: SecretStr = setting(SecretStr(""), "Key; better in OPENAI_API_KEY.", "--chat-api-key")
    format: Literal["auto", "json_schema", "json_object", "text"] = setting(
        "auto",
        "How the form of an answer is asked for: json_schema, json_object, text (in the question "
        "alone), or auto (the first of them that the endpoint takes).",
        "--chat-format",
    )
    temperature: float = setting(
        0.0,
        "Temperature; 0 for the same answer again. Left out where the endpoint refuses it.",
        "--chat-temperature",
        ge=0,
        le=2,
    )
    seed: int | None = setting(None, "Seed, for endpoints that take one.", "--chat-seed")
    effort: str = setting(
        "", "How much a reasoning model thinks: none, minimal, low ...", "--chat-effort"
    )
    thinking: int = setting(
        0,
        "Tokens that a reasoning model may think, beside those of its answer.",
        "--chat-thinking",
        ge=0,
    )
    concurrency: int = setting(4, "Questions under way at once.", "--chat-concurrency", ge=1)
    timeout: float = setting(300.0, "Seconds to wait for one answer.", "--chat-timeout", gt=0)
    max_attempts: int = setting(6, "Attempts per question.", "--chat-attempts", ge=1)
    price_in: float = setting(
        0.0, "Price of a million tokens of questions, for the cost.", "--chat-price-in", ge=0
    )
    price_out: float = setting(
        0.0, "Price of a million tokens of answers, for the cost.", "--chat-price-out", ge=0
    )
    max_cost: float | None = setting(
        None, "Stop before the cost passes this.", "--chat-max-cost", gt=0
    )
    max_tokens: int | None = setting(
        None, "Stop before the tokens pass this.", "--chat-max-tokens", ge=1
    )
    cache: Path | None = setting(
        Path("vdbcluster-cache"),
        "Folder of the cache of answers; none: no cache.",
        "--chat-cache",
    )

    @field_validator("cache", mode="before")
    @classmethod
    def _no_cache(cls, value: Any) -> Any:
        return None if str(value) == "none" else value
