"""How hard Milvus should search: one setting, translated for each kind of index.

In: the index of a vector field, how many hits are wanted, an effort (``low``, ``medium``, ``high``
or a number that the index understands: ``ef``, ``nprobe``, ``search_list``, ``level``).
Out: the ``params`` of a search. Promise: the server accepts them (never less than ``limit`` where
the index demands that), and more effort never means fewer candidates.
"""

from __future__ import annotations

import math
from typing import Literal

from vdbcluster.model.collection import CollectionProfile, VectorField

Effort = Literal["low", "medium", "high"] | int

_FACTOR = {"low": 1.5, "medium": 3.0, "high": 8.0}
_FLOOR = {"low": 64, "medium": 128, "high": 384}
_SHARE = {"low": 1 / 32, "medium": 1 / 8, "high": 1 / 2}
_EXHAUSTIVE = (None, "", "FLAT", "BIN_FLAT", "GPU_BRUTE_FORCE")
_DEFAULT_NLIST = 128


def is_exhaustive(field: VectorField) -> bool:
    """Whether the server compares with every row, so that no neighbour can be missed."""
    return field.index in _EXHAUSTIVE


def ann_index(profile: CollectionProfile, field: VectorField) -> bool:
    """Whether the database has an index that is worth asking for neighbours.

    Not where it would compare with every row, which we do faster here; nor in Lite, whose own
    indexes are slower than a search in the streamed vectors.
    """
    return profile.server.kind == "server" and not is_exhaustive(field)


def search_params(field: VectorField, limit: int, effort: Effort) -> dict[str, int]:
    """The ``params`` for a search with ``limit`` hits on the index of ``field``."""
    index = field.index or ""
    if is_exhaustive(field):
        return {}
    if index == "AUTOINDEX":
        return {"level": effort} if isinstance(effort, int) else {}
    if index == "SCANN":
        reorder = _candidates(limit, "medium" if isinstance(effort, int) else effort)
        return {"nprobe": _probes(field, effort), "reorder_k": reorder}
    if "IVF" in index:
        return {"nprobe": _probes(field, effort)}
    if index == "GPU_CAGRA":
        return {"itopk_size": _candidates(limit, effort)}
    name = "search_list" if index == "DISKANN" else "ef"
    return {name: _candidates(limit, effort)}


def _candidates(limit: int, effort: Effort) -> int:
    if isinstance(effort, int):
        return max(limit, effort)
    return max(_FLOOR[effort], math.ceil(limit * _FACTOR[effort]))


def _probes(field: VectorField, effort: Effort) -> int:
    """Cells to look into: never more than there are."""
    cells = int(field.index_params.get("nlist", _DEFAULT_NLIST))
    wanted = effort if isinstance(effort, int) else max(8, math.ceil(cells * _SHARE[effort]))
    return max(1, min(cells, wanted))
