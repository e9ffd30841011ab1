"""A collection as an application would have made it: texts of this machine, in a Milvus Lite file.

In: a path. Out: the collection ``docs`` with ``id``, ``text``, ``module``, ``added`` (a date) and
``vector``. The texts are docstrings of Python's own standard library, so nothing is downloaded; the
vectors are counts of words, made small by SVD. A real application has an embedding model, and the
notebooks are the same with its vectors.
"""

from __future__ import annotations

import sysconfig
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from pymilvus import DataType, MilvusClient
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.preprocessing import normalize

from vdbcluster.adapters.pydocs import Doc, standard_library_docs

MODULES = (
    *("_pydecimal", "asyncio", "email", "encodings", "importlib", "logging", "mailbox"),
    *("multiprocessing", "pathlib", "tarfile", "unittest", "xml"),
)
DIM = 64
COLLECTION = "docs"


def texts(modules: Sequence[str] = MODULES) -> list[Doc]:
    """The docstrings of some modules of the interpreter that runs."""
    library = Path(sysconfig.get_path("stdlib"))
    with tempfile.TemporaryDirectory() as folder:
        for name in modules:
            for source in (library / name, library / f"{name}.py"):
                if source.exists():
                    (Path(folder) / source.name).symlink_to(source)
        return standard_library_docs(Path(folder))


def vectors(docs: Sequence[Doc]) -> np.ndarray:
    """``(n, 64) float32``, each of length 1."""
    words = TfidfVectorizer(sublinear_tf=True, min_df=2, stop_words="english")
    counts = words.fit_transform(doc.text for doc in docs)
    small = TruncatedSVD(DIM, random_state=0).fit_transform(counts)
    small[~small.any(axis=1)] = 1.0  # a text without a word that another has
    return normalize(small).astype(np.float32)


def rows(docs: Sequence[Doc], added: str) -> list[dict[str, Any]]:
    """What an application inserts."""
    return [
        {"id": doc.key, "text": doc.text, "module": doc.module, "added": added, "vector": vector}
        for doc, vector in zip(docs, vectors(docs), strict=True)
    ]


def make_collection(path: str, some: Sequence[dict[str, Any]]) -> None:
    """Create ``docs`` in the file at ``path`` and put the rows in."""
    client = MilvusClient(path)
    schema = client.create_schema(enable_dynamic_field=True)
    schema.add_field("id", DataType.VARCHAR, is_primary=True, max_length=256)
    schema.add_field("text", DataType.VARCHAR, max_length=4096)
    schema.add_field("module", DataType.VARCHAR, max_length=64)
    schema.add_field("vector", DataType.FLOAT_VECTOR, dim=DIM)
    index = client.prepare_index_params()
    index.add_index("vector", index_type="FLAT", metric_type="COSINE")
    client.create_collection(COLLECTION, schema=schema, index_params=index)
    client.insert(COLLECTION, list(some))
    client.close()
