"""What rows were classified as, in a file.

In: ``Classified`` batches, a place that ends with .csv or .jsonl. Out: a line a row: ``row`` (its
number in the source), the named field if there is one, ``cluster_id``, ``cluster_probability``.
Promise: the file is there as a whole or not at all; memory of a batch.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from vdbcluster.adapters.replacing import replacing
from vdbcluster.errors import UsageError, VdbclusterError
from vdbcluster.model.classified import Classified

ENDINGS = (".csv", ".jsonl")


def lines_of(batch: Classified, id_field: str) -> Iterator[dict[str, Any]]:
    """Each row as plain values."""
    names = batch.names or (None,) * len(batch.numbers)
    rows = zip(
        batch.numbers, names, batch.labels.tolist(), batch.probabilities.tolist(), strict=True
    )
    for number, name, label, probability in rows:
        named = {id_field: name} if id_field else {}
        yield {"row": number, **named, "cluster_id": label, "cluster_probability": probability}


def check_place(place: Path, source: Path) -> None:
    """Raises ``UsageError`` for another ending, or for the file that is read."""
    if place.suffix.lower() not in ENDINGS:
        raise UsageError(f"the output {place} must end with {' or '.join(ENDINGS)}")
    if place.exists() and source.exists() and place.samefile(source):
        raise UsageError(f"the output {place} is the file that is read; name another")


def write_classified(place: Path, batches: Iterable[Classified], id_field: str) -> None:
    """Raises ``VdbclusterError`` where it cannot be written."""
    form = _jsonl if place.suffix.lower() == ".jsonl" else _csv
    try:
        with replacing(place) as file:
            for text in form(batches, id_field):
                file.write(text.encode("utf-8", "backslashreplace"))
    except OSError as error:
        raise VdbclusterError(f"{place} cannot be written: {error.strerror}") from error


def _jsonl(batches: Iterable[Classified], id_field: str) -> Iterator[str]:
    for batch in batches:
        for line in lines_of(batch, id_field):
            yield json.dumps(line, ensure_ascii=False) + "\n"


def _csv(batches: Iterable[Classified], id_field: str) -> Iterator[str]:
    named = [id_field] if id_field else []
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["row", *named, "cluster_id", "cluster_probability"])
    for batch in batches:
        writer.writerows(line.values() for line in lines_of(batch, id_field))
        yield text.getvalue()
        text.seek(0)
        text.truncate()
