"""Classifiers of ``vdbcluster.features`` in a file.

In: a place. Out: the same classifiers on another machine or later. Promise: the file is there as a
whole or not at all; a file that cannot be used is one line with its name.

    save_classifiers(Path("runs/20260301/classifiers.json"), classifiers)
"""

from __future__ import annotations

from pathlib import Path

from vdbcluster.adapters.replacing import replacing
from vdbcluster.errors import UsageError, VdbclusterError
from vdbcluster.features.classifiers import (
    Classifiers,
    classifiers_from_json,
    classifiers_to_json,
)


def save_classifiers(place: Path, classifiers: Classifiers) -> None:
    """Write ``place``, in place of what is there. Raises ``VdbclusterError`` where it cannot be."""
    try:
        with replacing(place) as file:
            file.write(classifiers_to_json(classifiers).encode())
    except OSError as error:
        raise VdbclusterError(f"{place} cannot be written: {error.strerror}") from error


def load_classifiers(place: Path) -> Classifiers:
    """What was saved there. Raises ``UsageError`` if there is no such file or it is not ours."""
    try:
        return classifiers_from_json(place.read_text("utf-8"))
    except OSError as error:
        raise UsageError(f"{place} cannot be read: {error.strerror}") from error
    except ValueError as error:  # text that is no UTF-8 is one, too
        raise UsageError(f"{place} cannot be used: {error}") from error
