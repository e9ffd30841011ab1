"""Settings of duplicates: what counts as one, and whether rows are marked.

In: values of the ``duplicates`` section. Out: a frozen ``DuplicateSettings``.
"""

from __future__ import annotations

from vdbcluster.config.base import Section, setting


class DuplicateSettings(Section):
    """Duplicates: rows that are there more than once."""

    mark: bool = setting(
        False,
        "Write cluster_duplicate_of: the key of the row to keep instead of this one, empty for "
        "rows to keep.",
        "--mark-duplicates",
    )
    texts: bool = setting(
        False,
        "Rows with the same text are duplicates too, whatever their vectors; reads all texts.",
        "--duplicate-texts",
    )
    most: float = setting(
        0.5,
        "Near duplicates lie within this share of the usual distance around them, at most; 0 finds "
        "none but equal ones.",
        "--duplicate-most",
        ge=0,
        lt=1,
    )
    chance: float = setting(
        0.001,
        "How many rows mere chance may put as near as a near duplicate.",
        "--duplicate-chance",
        gt=0,
    )
