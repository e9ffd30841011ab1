"""What a collection is, as found before anything is touched."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

KeyType = Literal["INT64", "VARCHAR"]
ServerKind = Literal["lite", "server", "memory"]

USUAL_TEXT_FIELDS = ("text", "content", "document", "body", "title")
"""What people call the field that holds the text of a row, the likeliest first."""


@dataclass(frozen=True, slots=True)
class ServerInfo:
    """``address`` never carries credentials."""

    kind: ServerKind
    version: str
    address: str


@dataclass(frozen=True, slots=True)
class KeyField:
    name: str
    type: KeyType
    auto_id: bool
    max_length: int | None = None


@dataclass(frozen=True, slots=True)
class VectorField:
    """``type`` is the server's word (FLOAT_VECTOR, ...); no index: ``metric``, ``index`` None.

    ``unindexed_rows``: rows that the index does not hold yet, as far as the server tells.
    """

    name: str
    type: str
    dim: int
    metric: str | None
    index: str | None
    index_params: Mapping[str, Any] = field(default_factory=dict)
    nullable: bool = False
    unindexed_rows: int = 0


@dataclass(frozen=True, slots=True)
class ScalarField:
    name: str
    type: str
    nullable: bool = False
    max_length: int | None = None
    partition_key: bool = False


@dataclass(frozen=True, slots=True)
class CollectionProfile:
    """``identity`` changes when the collection is dropped and created anew under the same name."""

    server: ServerInfo
    name: str
    identity: str
    rows: int
    key: KeyField
    vectors: tuple[VectorField, ...]
    scalars: tuple[ScalarField, ...]
    dynamic: bool
    partitions: tuple[str, ...]
    partition_key: str | None
    loaded: bool
    aliases: tuple[str, ...] = ()

    def vector(self, name: str) -> VectorField | None:
        return next((v for v in self.vectors if v.name == name), None)

    def scalar(self, name: str) -> ScalarField | None:
        return next((s for s in self.scalars if s.name == name), None)

    def text_field(self) -> str | None:
        """The field most likely to hold the text of a row: by name, else the longest VARCHAR."""
        texts = [
            s for s in self.scalars if s.type == "VARCHAR" and not s.name.startswith("cluster_")
        ]
        names = {s.name for s in texts}
        for usual in USUAL_TEXT_FIELDS:
            if usual in names:
                return usual
        return max(texts, key=lambda s: s.max_length or 0).name if texts else None
