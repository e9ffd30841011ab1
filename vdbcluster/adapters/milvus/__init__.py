"""Milvus behind the ports; the only package that imports pymilvus."""
