"""Cluster an existing Milvus collection and write the labels back, safely."""

__version__ = "0.1.0"
