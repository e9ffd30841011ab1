"""Settings of ingestion: the source, the embedding, the collection that is filled."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import SecretStr, field_validator

from vdbcluster.config.base import Section, setting


class SourceSettings(Section):
    """Source: how the file is read and what its rows become."""

    format: Literal[
        "auto", "csv", "tsv", "json", "jsonl", "parquet", "arrow", "npy", "npz", "text"
    ] = setting("auto", "Kind of file; auto goes by its name and its first bytes.")
    text_field: str = setting("", "Field that is embedded; default: found by name.")
    template: str = setting("", "Text made of fields, for instance '{title}\\n{description}'.")
    id_field: str = setting("", "Field that is the key; default: a hash of the content.")
    vector_field: str = setting("", "Field that holds vectors, which are then not computed.")
    side_file: Path | None = setting(
        None, "Table with the other fields of the rows of a .npy file, in the same order."
    )
    fields: tuple[str, ...] = setting(
        (), "Field to keep as a column, name[:type]; repeatable.", "--field"
    )
    rest: Literal["dynamic", "drop"] = setting(
        "dynamic", "All other fields: into the dynamic field, or dropped."
    )
    encoding: str = setting("utf-8", "Encoding of text files; a byte-order mark beats it.")
    delimiter: str = setting("", "Separator of a CSV file; default: comma, or tab for TSV.")
    sample: int = setting(1000, "Rows that types are inferred from.", "--sample-rows", ge=1)


class EmbedSettings(Section):
    """Embedding: which model, and within which limits."""

    embedder: Literal["openai", "local"] = setting(
        "openai", "openai (any compatible endpoint) or local (a model that a package ships)."
    )
    base_url: str = setting("https://api.openai.com/v1", "Endpoint, up to /v1.", "--embed-base-url")
    model: str = setting("text-embedding-3-small", "Model.", "--embed-model")
    api_key: SecretStr = setting(SecretStr(""), "Key; better in OPENAI_API_KEY.", "--embed-api-key")
    dimensions: int | None = setting(
        None, "Shorter vectors, where the model can.", "--embed-dimensions", ge=1
    )
    prefix: str = setting("", "Put before each text, for instance 'passage: '.", "--embed-prefix")
    batch: int = setting(256, "Texts per request.", "--embed-batch", ge=1, le=2048)
    batch_tokens: int = setting(50_000, "Tokens per request.", "--embed-batch-tokens", ge=1)
    max_text_tokens: int = setting(
        8191, "Tokens that the model takes per text.", "--embed-text-tokens", ge=1
    )
    long_texts: Literal["fault", "truncate", "split"] = setting(
        "fault",
        "A text that is longer: a faulty row, cut at the end, or the mean of its parts.",
        "--long-texts",
    )
    concurrency: int = setting(8, "Requests under way at once.", "--embed-concurrency", ge=1)
    timeout: float = setting(60.0, "Seconds to wait for one answer.", "--embed-timeout", gt=0)
    max_attempts: int = setting(8, "Attempts per request.", "--embed-attempts", ge=1)
    price: float = setting(0.0, "Price of a million tokens, for the cost.", "--embed-price", ge=0)
    max_cost: float | None = setting(None, "Stop before the cost passes this.", gt=0)
    max_tokens: int | None = setting(None, "Stop before the tokens pass this.", ge=1)
    cache: Path | None = setting(
        Path("vdbcluster-cache"),
        "Folder of the cache of embeddings; none: no cache.",
        "--embed-cache",
    )

    @field_validator("cache", mode="before")
    @classmethod
    def _no_cache(cls, value: Any) -> Any:
        return None if str(value) == "none" else value


class IngestSettings(Section):
    """Writing: the collection that is made or filled."""

    index: str = setting("", "Index of the vectors; default AUTOINDEX, FLAT in a Lite file.")
    metric: Literal["COSINE", "IP", "L2"] = setting("COSINE", "Metric of the index.")
    key_name: str = setting("", "Primary key of a new collection; default id, or the id field.")
    auto_id: bool = setting(False, "The server makes the keys; running again adds rows again.")
    duplicates: Literal["keep", "drop", "count"] = setting(
        "keep", "Rows of equal content: keep all, the first, or the first with their number."
    )
    on_error: Literal["stop", "skip", "quarantine"] = setting(
        "stop", "A bad row: stop, skip it, or put it into a file with the reason."
    )
    long_fields: Literal["fault", "truncate"] = setting(
        "fault", "A value longer than its column: a faulty row, or cut at the end."
    )
    batch_bytes: int = setting(16 << 20, "Bytes written at once.", "--write-bytes", ge=1 << 16)
    way: Literal["upsert", "bulk"] = setting(
        "upsert", "upsert, or files for the server's bulk import.", "--write-way"
    )
    bulk_folder: Path | None = setting(
        None, "Where bulk files are written; default bulk in the runs directory."
    )
    bulk_prefix: str = setting(
        "", "Path of that folder in the server's object store; empty: files only, no import."
    )
