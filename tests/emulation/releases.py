"""What the releases of Milvus that cannot be run here do differently, as they document it.

In: a release's short name. Out: ``Release``, the switches that ``Emulation`` obeys.

Compare-and-set is no call of the client (pymilvus 3.0.2 has none: its ``field_ops`` only append to
and remove from arrays). It happens inside a 3.0 server: the read-merge-write of a partial upsert is
checked at commit and done again if a row changed meanwhile (milvus #49980, #52495).
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Release:
    """``partial``: ``partial_update`` is obeyed, by read-merge-write in the proxy of the server.

    ``adds_fields``: the call that adds a field; ``auto_id_kept``: a partial upsert on an auto-id
    collection keeps the keys; ``compare_and_set``: no update is lost between read and write.
    """

    name: str
    version: str
    partial: bool = False
    adds_fields: tuple[str, ...] = ()
    auto_id_kept: bool = False
    compare_and_set: bool = False


RELEASES = {
    release.name: release
    for release in (
        Release("2.4", "v2.4.15"),
        Release("2.5", "v2.5.10"),
        Release("2.6", "v2.6.3", partial=True, adds_fields=("AddCollectionField",)),
        Release(
            "3.0",
            "v3.0.1",
            partial=True,
            adds_fields=("AddCollectionField", "AlterCollectionSchema"),
            auto_id_kept=True,
            compare_and_set=True,
        ),
    )
}
