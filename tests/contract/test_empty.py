"""A selection without rows says why, a collection that is gone says what to do."""

from __future__ import annotations

import pytest
from pymilvus import MilvusClient

from tests.contract.making import Shape, make, some_vectors
from vdbcluster.adapters.milvus.client import MilvusConnection
from vdbcluster.adapters.milvus.emptiness import unknown_names
from vdbcluster.adapters.milvus.source import MilvusSource, Selection
from vdbcluster.errors import CollectionChangedError

SHAPE = Shape(range(20), some_vectors(20), dynamic=True, partitions=("_default", "p"))


def test_why_nothing_is_selected(
    client: MilvusClient, connection: MilvusConnection, collection_name: str
) -> None:
    make(client, collection_name, SHAPE)
    client.create_partition(collection_name, "bare")

    def why(where: str = "", *partitions: str) -> str:
        source = MilvusSource(connection, Selection(collection_name, "", where, partitions))
        assert source.count() == 0
        return source.why_empty()

    name = repr(collection_name)
    assert why("n > 500") == f"no row of {name} matches the filter 'n > 500'"
    assert why("extra > 500 and n > 3").endswith("'extra > 500 and n > 3'")
    assert why("yaer > 2000 and extra > 0").endswith("; no row has a field 'yaer'")
    assert why("yaer > 2000 and naem == 'n'").endswith("; no row has a field 'yaer' or 'naem'")
    assert why("", "bare").startswith(f"no row of {name} is in bare")
    assert f"no row of {name} in bare matches" in why("n >= 0", "bare")
    client.delete(collection_name, filter="n >= 0")
    assert why() == ""
    assert why("n > 3") == ""

    source = MilvusSource(connection, Selection(collection_name))
    client.drop_collection(collection_name)
    with pytest.raises(CollectionChangedError, match="see that it is there, then run again"):
        source.identity()


@pytest.mark.parametrize("backend", ["lite-file"], indirect=True)
def test_names_in_a_filter(
    client: MilvusClient, connection: MilvusConnection, collection_name: str
) -> None:
    make(client, collection_name, SHAPE)
    found = MilvusSource(connection, Selection(collection_name)).found
    for where, names in {
        "n > 3 and text == 'some words, and \\' more' or key in [1, 2]": [],
        'year >= 2000 AND NOT (lang == "de") or year < 3': ["year", "lang"],
        "json_contains(tags, 'x') and vec2 is not null": ["tags", "vec2"],
        '$meta["year"] > 1e5 and text like "a%"': [],
        "exists a and b in {some}": ["a", "b"],
    }.items():
        assert list(unknown_names(found, where)) == names
