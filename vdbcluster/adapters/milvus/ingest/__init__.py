"""Rows into a collection: ``MilvusRecordWriter``."""

from vdbcluster.adapters.milvus.ingest.writer import MilvusRecordWriter, WriterSettings

__all__ = ["MilvusRecordWriter", "WriterSettings"]
