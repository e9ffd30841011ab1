"""What the safety tests share."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from vdbcluster.adapters.milvus.writeback import probe as choosing
from vdbcluster.adapters.milvus.writeback.capabilities import probe


@pytest.fixture(scope="session", autouse=True)
def _probed_once() -> Iterator[None]:
    """Runs inside this process find out once what a server can do, which takes seconds.

    Those that are processes of their own, to be killed, find out every time.
    """
    known: dict[Any, Any] = {}

    def remembering(milvus: Any, key: Any, dynamic: bool, whole_rows: bool) -> Any:
        kind = (milvus.server.version, key.type, key.auto_id, dynamic, whole_rows)
        if kind not in known:
            known[kind] = probe(milvus, key, dynamic, whole_rows)
        return known[kind]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(choosing, "probe", remembering)
        yield
