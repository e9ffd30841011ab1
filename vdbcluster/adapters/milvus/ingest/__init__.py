"""Rows into a collection: ``MilvusRecordWriter``."""

from vdbcluster.adapters.milvus.ingest.texts import CollectionSpec, CollectionWriter
from vdbcluster.adapters.milvus.ingest.writer import MilvusRecordWriter, WriterSettings

__all__ = ["CollectionSpec", "CollectionWriter", "MilvusRecordWriter", "WriterSettings"]
