"""A collection without labels is told by one query, which must not overlook a foreign value."""

from __future__ import annotations

from itertools import cycle, product
from typing import Any

import pytest

from tests import backends, zoo
from tests.backends import Backend
from tests.contract.making import connection_to
from tests.contract.sink_steps import ALLOWED, PLAIN, select
from vdbcluster.adapters.milvus.writeback import choose_sink
from vdbcluster.errors import RefusedError

FOREIGN: list[Any] = [7, 1.5, "mine", True, [], [1], {}, {"a": 1}, [None]]
NAMES = (*zoo.LABEL_FIELDS[:3], "cluster_assignment", "cluster_path")
EVERY = list(product(NAMES, FOREIGN))
SOME = list(zip(cycle(NAMES), FOREIGN, strict=False))
"""Each name and each value once at least."""


@pytest.fixture(params=[backends.LITE_FILE, backends.LITE_SERVER])
def lite(request: pytest.FixtureRequest) -> Backend:
    name = backends.FIXTURES[request.param]
    backend: Backend = request.getfixturevalue(name)
    return backend


@pytest.mark.parametrize(
    ("flushed", "values"),
    [(False, EVERY), (True, SOME), pytest.param(True, EVERY, marks=pytest.mark.slow)],
    ids=["as they come", "flushed, some", "flushed"],
)
def test_a_value_of_any_type_under_our_names_is_refused(
    lite: Backend, collection_name: str, flushed: bool, values: list[tuple[str, Any]]
) -> None:
    with backends.connected(lite) as client, connection_to(lite) as connection:
        filled = zoo.build(client, collection_name, PLAIN, rows=20)
        sink = choose_sink(connection, select(collection_name), ALLOWED, dry_run=True)
        assert sink.way.name == "lite-merge"
        assert not list(sink.stored())
        for name, value in values:
            client.upsert(collection_name, [filled.rows[11] | {name: value}])
            if flushed:
                client.flush(collection_name)
            with pytest.raises(RefusedError, match="no run of vdbcluster wrote"):
                list(sink.stored())
            # Lite keeps dynamic keys that an upsert leaves out: None takes the value away
            client.upsert(collection_name, [filled.rows[11] | {name: None}])
        client.drop_collection(collection_name)
