"""What the user has said about the rows, as far as shaping needs it.

In: the sections source and ingest of the settings, and two facts about the source. Out: nothing.
Promise: frozen; defaults mean what the settings' defaults mean.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from vdbcluster.model.records import Rest

DuplicateRule = Literal["keep", "drop", "count"]
LongFields = Literal["fault", "truncate"]

COUNT_FIELD = "duplicates"
"""Where rule ``count`` stores how many rows of one content the source has."""


@dataclass(frozen=True, slots=True)
class ShapeOptions:
    """``fields``: ``name[:type][?]``, with ``?`` for one that may be missing.

    ``typed``: the source tells numbers from text (``RecordSource.typed``). ``vectors``: it brings
    the vectors, so that rows need no text.
    """

    text_field: str = ""
    template: str = ""
    id_field: str = ""
    vector_field: str = ""
    fields: tuple[str, ...] = ()
    rest: Rest = "dynamic"
    key_name: str = ""
    auto_id: bool = False
    duplicates: DuplicateRule = "keep"
    long_fields: LongFields = "fault"
    label_prefix: str = "cluster_"
    typed: bool = True
    vectors: bool = False
