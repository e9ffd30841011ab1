"""Which rows of a collection somebody looks at: those of a filter, of partitions, or all.

In: a filter and partitions, or the manifest of a run. Out: ``Part``, the same for the same rows.

    shows(part_of("year > 2020", ()), manifest)
"""

from __future__ import annotations

from collections.abc import Iterable

from vdbcluster.model.manifest import RunManifest

Part = tuple[str, tuple[str, ...]]
WHOLE: Part = ("", ())


def part_of(filter_text: str, partitions: Iterable[str]) -> Part:
    return filter_text, tuple(sorted(partitions))


def shows(part: Part, manifest: RunManifest) -> bool:
    """Whether all that the run tells of may be shown to who looks at ``part``.

    Of the whole every run tells; of a part only one of the very same part, as others tell of other
    rows too.
    """
    chosen = manifest.selection
    return part in (WHOLE, part_of(chosen.get("filter", ""), chosen.get("partitions", ())))
