"""Rows come with the labels that they carry, whichever way those were written."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests import zoo
from tests.contract.sink_worlds import MemoryWorld, MilvusWorld, World, batch_of
from tests.contract.test_sink import EMULATED, LITE, MEMORY, REAL, world  # noqa: F401 - a fixture
from vdbcluster.adapters.memory_labelled import MemoryLabelled
from vdbcluster.adapters.milvus.labelled import MilvusLabelled
from vdbcluster.adapters.milvus.source import MilvusSource, Selection
from vdbcluster.errors import UsageError
from vdbcluster.model.labels import LabelFields
from vdbcluster.model.tables import RowPage
from vdbcluster.ports import LabelSink
from vdbcluster.ports.tables import LabelledRows, Wanted

pytestmark = pytest.mark.usefixtures("probed_once")
SUFFIXES = ("id", "probability", "outlier_score", "run_id", "assignment", "path", "duplicate_of")


def rows_of(there: World, sink: LabelSink, **selection: Any) -> LabelledRows:
    if isinstance(there, MemoryWorld):
        return MemoryLabelled(there.collection, partitions=selection.get("partitions", ()))
    assert isinstance(there, MilvusWorld)
    chosen = Selection(there.name, zoo.VECTOR, **selection)
    source = MilvusSource(there.connection, chosen, 20_000)  # several pages
    return MilvusLabelled(there.connection, source, sink, LabelFields())


def foreign(there: World) -> dict[Any, dict[str, Any]]:
    """What a plain client reads of each row but labels and vectors, by key."""
    if isinstance(there, MemoryWorld):
        titles = there.collection.columns["title"]
        return {k: {"title": t} for k, t in zip(there.collection.keys, titles, strict=True)}
    assert isinstance(there, MilvusWorld)
    found = there.client.query(
        there.name, filter="", output_fields=["*"], limit=1000, consistency_level="Strong"
    )
    return {row[zoo.KEY]: plain(row) for row in found}


def plain(row: Any) -> dict[str, Any]:
    hidden = (zoo.KEY, zoo.VECTOR, *LabelFields().every)
    kept = {k: v for k, v in dict(row).items() if k not in hidden}
    same = (str, int, float, dict, type(None))
    return {k: v if isinstance(v, same) else list(v) for k, v in kept.items()}


def read(pages: list[RowPage]) -> tuple[dict[Any, dict[str, Any]], dict[Any, tuple[Any, ...]]]:
    """Fields and labels by key; each row comes once."""
    fields: dict[Any, dict[str, Any]] = {}
    labels: dict[Any, tuple[Any, ...]] = {}
    for page in pages:
        for i, key in enumerate(page.keys.tolist()):
            assert key not in fields
            fields[key] = {n: v[i] for n, v in page.values.items()} | dict(page.rest[i])
            label = tuple(page.labels[suffix][i] for suffix in SUFFIXES)
            if label[0] is not None:
                labels[key] = (*label[:5], label[5] or "", label[6] or "")
            else:
                assert set(label) == {None}
    return fields, labels


@pytest.mark.slow_on_server
@pytest.mark.parametrize("place", [MEMORY[0], *LITE, *EMULATED[1:4:2], REAL[0], REAL[-1]], ids=str)
def test_all_rows_come_with_fields_and_labels(world: World) -> None:  # noqa: F811
    before, sink = foreign(world), world.sink()
    sink.prepare()
    sent = world.write_all(sink, extras=False)
    sink.finish()
    some = world.keys_in("p1")[:3]
    sink.erase(batch_of(some), "p1")
    world.add(world.new_key, "p2")
    sink.finish()

    pages = list(rows_of(world, world.sink()).pages(Wanted(vectors=True)))
    fields, labels = read(pages)

    assert set(fields) == {*world.keys, world.new_key}
    assert {k: v for k, v in fields.items() if k in before} == before
    whole = {key: label[:7] for key, label in sent.items() if key not in some}
    assert labels == whole
    if not isinstance(world, MemoryWorld):
        assert len(pages) > 3
    vectors = np.concatenate([page.vectors for page in pages if page.vectors is not None])
    assert vectors.shape == (len(fields), zoo.DIM)
    assert all(page.present is not None and page.present.all() for page in pages)

    narrow = rows_of(world, world.sink(), partitions=("p2",))
    theirs, _ = read(list(narrow.pages(Wanted(("title",), clusters=(1, 2)))))
    of_two = {k for k in world.keys_in("p2") if labels[k][0] in (1, 2)}
    assert of_two <= set(theirs) <= {*world.keys_in("p2"), world.new_key}
    assert all(set(values) == {"title"} for values in theirs.values())


@pytest.mark.parametrize("place", [MEMORY[0], LITE[0]], ids=str)
def test_what_is_no_field_is_told(world: World) -> None:  # noqa: F811
    if isinstance(world, MilvusWorld):
        with pytest.raises(UsageError, match="'vec' holds vectors"):
            next(iter(rows_of(world, world.sink()).pages(Wanted(("vec",)))))
    else:
        with pytest.raises(UsageError, match="no field 'nothing'"):
            next(iter(rows_of(world, world.sink()).pages(Wanted(("nothing",)))))


@pytest.mark.parametrize("place", [LITE[2], LITE[3]], ids=str)
def test_paths_and_copies_come_where_there_are_some(world: World) -> None:  # noqa: F811
    from tests.contract.sink_worlds import WITH_EXTRAS

    sink = world.sink(WITH_EXTRAS)
    sink.prepare()
    sent = world.write_all(sink, extras=True)
    sink.finish()
    _, labels = read(list(rows_of(world, world.sink()).pages(Wanted(()))))
    assert labels == {key: label[:7] for key, label in sent.items()}
