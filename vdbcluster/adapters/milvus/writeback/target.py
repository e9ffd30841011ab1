"""The rows that labels are written to: where they are, whether they still are.

In: an open connection and the profile of the collection that was read. Out: ``Target``.
Promise: ``check`` notices a collection that was dropped, re-created or switched behind an alias
before anything is written to another one; every look at rows is strongly consistent.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from vdbcluster.adapters.milvus.client import MilvusConnection
from vdbcluster.adapters.milvus.errors import backend_errors
from vdbcluster.adapters.milvus.expressions import Key, both, key_in
from vdbcluster.adapters.milvus.profile import identity
from vdbcluster.errors import CollectionChangedError
from vdbcluster.model.arrays import Keys
from vdbcluster.model.collection import CollectionProfile

MAX_ANSWER = 16384
"""Most rows of one answer. To be said: without a limit 2.3.5 loses a row for each duplicate key."""


@dataclass(frozen=True, slots=True)
class Target:
    """``profile.name`` is the collection's own name, never an alias."""

    milvus: MilvusConnection
    profile: CollectionProfile

    @property
    def name(self) -> str:
        return self.profile.name

    @property
    def key(self) -> str:
        return self.profile.key.name

    @property
    def many_partitions(self) -> bool:
        """Whether rows have a partition that the writer has to name."""
        return self.profile.partition_key is None and len(self.profile.partitions) > 1

    def check(self) -> None:
        """Raise ``CollectionChangedError`` if this is not the collection that was read."""
        now = identity(self.milvus, self.name)
        if now != self.profile.identity:
            raise CollectionChangedError(
                f"the collection {self.name!r} was dropped and created anew meanwhile; nothing "
                "more was written, run again"
            )

    def placement(self, partition: str) -> dict[str, str]:
        """How an upsert says where its rows are; a partition key must place rows by itself."""
        return {} if self.profile.partition_key else {"partition_name": partition}

    def among(self, partition: str) -> list[str] | None:
        """The partitions to look in for rows of ``partition``."""
        return [partition] if self.many_partitions else None

    def present(self, keys: Sequence[Key] | Keys, partition: str) -> set[Key]:
        """Which of the keys are in the partition now; none if there is no such partition."""
        if self.many_partitions and not self._has_partition(partition):
            return set()
        return self.find(keys, partitions=self.among(partition) or ())

    def find(
        self, keys: Sequence[Key] | Keys, where: str = "", partitions: Sequence[str] = ()
    ) -> set[Key]:
        """Which of the keys have a row that satisfies ``where``; no ``partitions`` means all."""
        found = self._query(both(key_in(self.key, keys), where), [self.key], partitions)
        return {row[self.key] for row in found}

    def has_none(self, where: str) -> bool:
        """Whether certainly no row satisfies ``where``; False if the server cannot tell."""
        try:
            found = self.milvus.raw(
                lambda client, limit: client.query(
                    self.name,
                    where,
                    output_fields=[self.key],
                    limit=1,
                    timeout=limit,
                    consistency_level="Strong",
                )
            )
        except backend_errors():
            return False
        return not found

    def count(self, keys: Sequence[Key] | Keys, consistency: str = "Strong") -> int:
        """Rows that have one of the keys, duplicates counted, in all partitions."""
        found = self._query(key_in(self.key, keys), ["count(*)"], (), consistency)
        return int(found[0]["count(*)"])

    def _has_partition(self, partition: str) -> bool:
        return bool(
            self.milvus.ask(
                f"looking for partition {partition!r} of {self.name!r}",
                lambda client, limit: client.has_partition(self.name, partition, timeout=limit),
            )
        )

    def _query(
        self,
        where: str,
        fields: list[str],
        partitions: Sequence[str],
        consistency: str = "Strong",
    ) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.milvus.ask(
            f"looking for rows of {self.name!r}",
            lambda client, limit: client.query(
                self.name,
                where,
                output_fields=fields,
                partition_names=list(partitions) or None,
                limit=None if fields == ["count(*)"] else MAX_ANSWER,
                timeout=limit,
                consistency_level=consistency,
            ),
        )
        return found
