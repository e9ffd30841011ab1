"""Rows of a selection that carry no label: those that came since the last run.

In: a connection, a source, the sink that writes its labels. Out: their keys and vectors.
Promise: only reads, and no vector of a row that has a label. Where labels are in the rows a filter
tells them, if its counts add up; else keys are compared with those that are labelled.

Measured on Lite 3.2.2 and the server 2.3.5, for a dynamic key ``x``, with rows in which it is
absent, null, empty and set: ``not (exists x)`` finds absent ones on both, null on Lite alone;
``not (x > "")`` finds empty ones on both, absent and null on 2.3.5 alone. So both are asked for.
``is null`` is no expression on 2.3.5, which has no nullable columns either.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from vdbcluster.adapters.milvus.client import MilvusConnection
from vdbcluster.adapters.milvus.decode import keys_array
from vdbcluster.adapters.milvus.expressions import both
from vdbcluster.adapters.milvus.search import key_positions
from vdbcluster.adapters.milvus.source import MilvusSource, Selection
from vdbcluster.errors import (
    BackendError,
    BackendUnavailableError,
    CollectionChangedError,
    UsageError,
)
from vdbcluster.model.arrays import Keys
from vdbcluster.model.collection import CollectionProfile
from vdbcluster.model.labels import LabelFields
from vdbcluster.model.neighbors import PADDING
from vdbcluster.model.rows import VectorPage
from vdbcluster.ports import LabelSink


class MilvusUnlabelled:
    """See the module and ``ports.unlabelled``."""

    def __init__(
        self,
        connection: MilvusConnection,
        source: MilvusSource,
        sink: LabelSink,
        fields: LabelFields,
    ) -> None:
        self._connection = connection
        self._source = source
        self._sink = sink
        self._name = fields.run_id
        self._told_by = ""

    @property
    def told_by(self) -> str:
        """A filter, or where keys were compared."""
        return self._told_by

    def pages(self) -> Iterator[VectorPage]:
        """See the port."""
        way = self._sink.way
        if way.name != "side-collection":
            without = lacking(self._source.found, self._name)
            if without and self._adds_up(without):
                self._told_by = f"the filter {without}"
                yield from self._narrowed(without).pages()
                return
        self._told_by = f"comparing keys with those labelled in {way.target!r}"
        yield from self._by_key(way.name == "side-collection")

    def _narrowed(self, where: str) -> MilvusSource:
        chosen = self._source.selection
        return MilvusSource(self._connection, replace(chosen, where=both(where, chosen.where)))

    def _adds_up(self, without: str) -> bool:
        """Whether the filter is understood as it is meant: a row is labelled or it is not.

        Rows that come while it is counted only send us the longer way.
        """
        try:
            labelled = self._narrowed(f'{self._name} > ""').count()
            return labelled + self._narrowed(without).count() == self._source.count()
        except (BackendUnavailableError, CollectionChangedError):
            raise
        except (BackendError, UsageError):  # it is no filter at all for this server
            return False

    def _by_key(self, beside: bool) -> Iterator[VectorPage]:
        stored = self._side_keys() if beside else (b.keys for b in self._sink.stored())
        none = keys_array([], self._source.key)
        labelled = key_positions(np.sort(np.concatenate([none, *stored])))
        for page in self._source.scalars(()):
            new = page.keys[labelled(page.keys) == PADDING]
            yield from self._source.vectors(new, page.partition)

    def _side_keys(self) -> Iterator[Keys]:
        """Keys alone, of the whole side collection: it may hold more than the selection."""
        if next(self._sink.stored(), None) is None:  # there is none, or it is not ours
            return
        for page in MilvusSource(self._connection, Selection(self._sink.way.target)).scalars(()):
            yield page.keys


def lacking(profile: CollectionProfile, name: str) -> str:
    """A filter for rows that hold nothing in a text field; empty if rows cannot hold the field."""
    column = profile.scalar(name)
    if column is None:
        return f'not (exists {name}) or not ({name} > "")' if profile.dynamic else ""
    return f'{name} is null or {name} == ""' if column.nullable else f'{name} == ""'
