"""Embedding APIs and models behind the Embedder port."""
