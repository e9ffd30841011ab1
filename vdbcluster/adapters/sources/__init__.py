"""Files, folders and streams as ``ports.records.RecordSource``."""

from vdbcluster.adapters.sources.opening import open_source

__all__ = ["open_source"]
