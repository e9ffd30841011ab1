"""Tests, and the harness they share: real Milvus backends, specimens, snapshots, emulation."""
