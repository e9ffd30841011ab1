"""Parts of ``scripts/bench``: vectors, collections, measured cases, tables."""
