"""Which catalogue belongs to a selection.

In: an open connection, a collection and its vector field, the settings of writing.
Out: ``MilvusCatalogue``. Promise: labels under another prefix have another catalogue.
"""

from __future__ import annotations

from vdbcluster.adapters.milvus.catalogue import MilvusCatalogue, catalogue_name
from vdbcluster.adapters.milvus.client import MilvusConnection
from vdbcluster.adapters.milvus.profile import profile
from vdbcluster.adapters.milvus.writeback.target import Target
from vdbcluster.config.settings import WriteSettings
from vdbcluster.model.collection import VectorField
from vdbcluster.model.labels import LabelFields


def catalogue_of(
    connection: MilvusConnection, collection: str, vector: VectorField, write: WriteSettings
) -> MilvusCatalogue:
    """What its clusters are; the collection as it is now (a run may have added fields)."""
    found = profile(connection, collection, exact=False)
    usual = catalogue_name(found.name)
    if write.label_prefix != LabelFields().prefix:
        usual = catalogue_name(f"{found.name}_{write.label_prefix.rstrip('_')}")
    return MilvusCatalogue(Target(connection, found), vector, write.catalogue_name or usual)
