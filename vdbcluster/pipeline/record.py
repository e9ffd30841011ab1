"""A plan and a catalogue as plain arrays, for the record of a run, and back.

In: ``LabelPlan``, or the ``Catalogue`` before and after a run. Out: arrays by name, none of which
needs pickle. Promise: ``planned(plan_arrays(plan))`` and ``catalogues(catalogue_arrays(a, b))`` are
what went in, to the last bit, whatever a ``RunStore`` did with the arrays in between.

    runs.save_arrays(run_id, plan_arrays(plan))
    standing = still(planned(runs.load_arrays(run_id)), sink.stored())
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vdbcluster.errors import VdbclusterError
from vdbcluster.model.arrays import Float32Array, Keys
from vdbcluster.model.catalogue import Catalogue, CatalogueEntry, ClusterState
from vdbcluster.model.hierarchy import Assignment
from vdbcluster.model.labels import LABEL_FIELDS, LabelBatch, LabelPlan
from vdbcluster.pipeline.plan import compared, same_labels

Arrays = Mapping[str, NDArray[Any]]
KNOWN = {"assignment": tuple(map(str, Assignment))}
"""Texts whose code is always the same: 0 core, 1 soft, 2 noise."""
VALUES = ".values"


def plan_arrays(plan: LabelPlan) -> dict[str, NDArray[Any]]:
    """All that a plan is, by name: ``new`` under the names of its columns, ``old`` with ``old_``.

    Texts are codes, and the texts they stand for are ``<name>.values``: of ``assignment`` 0 is
    core, 1 soft and 2 noise. ``path``, ``duplicate_of`` and their ``old_`` only where a row has
    one.
    """
    return {
        "keys": plan.new.keys,
        "had_label": plan.had_label,
        "changed": plan.changed,
        "partition_of": plan.partition_of,
        "partitions": _objects(plan.partitions),
        **_batch_arrays(plan.new, ""),
        **_batch_arrays(plan.old, "old_"),
    }


def planned(arrays: Arrays) -> LabelPlan:
    """The plan that ``plan_arrays`` made these of.

    Raises ``VdbclusterError`` if they hold less, as those of an earlier version do.
    """
    try:
        keys = arrays["keys"]
        return LabelPlan(
            new=_batch(keys, arrays, ""),
            partition_of=arrays["partition_of"],
            partitions=tuple(arrays["partitions"]),
            had_label=arrays["had_label"],
            old=_batch(keys, arrays, "old_"),
            changed=arrays["changed"],
        )
    except KeyError as error:
        raise VdbclusterError(
            f"the record of this run holds no {error.args[0]!r}, so it cannot be written or taken "
            "back (an earlier version of vdbcluster made it); run again"
        ) from error


@dataclass(frozen=True, slots=True, eq=False)
class Standing:
    """A recorded plan against what is stored by now.

    ``plan``: to be written; ``old`` and ``changed`` are those of now. ``before``: the same, to be
    recorded: where this very run has written a row already, ``old`` and ``changed`` are as
    recorded, so that taking back finds what was there before the run. ``meanwhile``: rows whose
    label is neither the recorded old one nor the new one. ``gone``: rows that had a label and have
    none.
    """

    plan: LabelPlan
    before: LabelPlan
    meanwhile: int
    gone: int


def still(plan: LabelPlan, stored: Iterable[LabelBatch]) -> Standing:
    """How a recorded plan stands to the labels that are ``stored`` now."""
    now = compared(plan.new, plan.partition_of, plan.partitions, stored)
    as_before = plan.had_label & now.had_label & same_labels(plan.old, now.old)
    ours = ~now.changed & (now.old.run_ids == plan.new.run_ids)
    before = replace(
        now,
        had_label=np.where(ours, plan.had_label, now.had_label),
        old=_mixed(ours, plan.old, now.old),
        changed=np.where(ours, plan.changed, now.changed),
    )
    return Standing(
        plan=now,
        before=before,
        meanwhile=int(np.count_nonzero(now.had_label & now.changed & ~as_before)),
        gone=int(np.count_nonzero(plan.had_label & ~now.had_label)),
    )


def _mixed(first: NDArray[Any], one: LabelBatch, other: LabelBatch) -> LabelBatch:
    """Row by row ``one`` where ``first``, else ``other``."""
    both = (one, other)
    held = {which for batch in both for which, _ in batch.columns()}
    one, other = (batch.blanked(held & set(batch.lacking()), None) for batch in both)
    columns = {
        which.column: np.where(first, getattr(one, which.column), getattr(other, which.column))
        for which in held
    }
    return LabelBatch(other.keys, **columns)


def _batch_arrays(batch: LabelBatch, prefix: str) -> dict[str, NDArray[Any]]:
    found: dict[str, NDArray[Any]] = {}
    for which, values in batch.columns():
        name = prefix + which.column
        if which.type == "VARCHAR":
            found[name], found[name + VALUES] = _coded(values, KNOWN.get(which.column, ()))
        else:
            found[name] = values
    return found


def _batch(keys: Keys, arrays: Arrays, prefix: str) -> LabelBatch:
    columns: dict[str, NDArray[Any]] = {}
    for which in LABEL_FIELDS:
        name = prefix + which.column
        if which.optional and name not in arrays:
            continue
        values = arrays[name]
        if which.type == "VARCHAR":
            values = np.append(arrays[name + VALUES], [None])[values]  # whose last is that of -1
        columns[which.column] = values
    return LabelBatch(keys, **columns)


def _coded(values: NDArray[Any], known: Sequence[str]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Integers, and the texts that they are places of, ``known`` first; -1 for None."""
    places = {text: place for place, text in enumerate(known)}
    codes = [-1 if text is None else places.setdefault(text, len(places)) for text in values]
    return np.array(codes, np.int8 if len(places) < 128 else np.int32), _objects(tuple(places))


def _objects(values: Sequence[object]) -> NDArray[Any]:
    found = np.empty(len(values), object)
    found[:] = values
    return found


def catalogue_arrays(before: Catalogue | None, after: Catalogue | None) -> dict[str, NDArray[Any]]:
    """Both catalogues; of one that is None there is nothing."""
    found: dict[str, NDArray[Any]] = {}
    for side, catalogue in (("before", before), ("after", after)):
        if catalogue is not None:
            found |= {f"{side}_{name}": array for name, array in _entries(catalogue).items()}
    return found


def catalogues(arrays: Arrays) -> tuple[Catalogue | None, Catalogue | None]:
    """Those that ``catalogue_arrays`` was given. ``VdbclusterError`` if it was another version."""
    return _catalogue(arrays, "before"), _catalogue(arrays, "after")


def _entries(catalogue: Catalogue) -> dict[str, NDArray[Any]]:
    """Entries as JSON without their centroids; these end to end, -1 values long where None."""
    middles = [entry.centroid for entry in catalogue.entries]
    return {
        "of": _objects((catalogue.run_id, catalogue.identity)),
        "entries": _objects([_entry_json(entry) for entry in catalogue.entries]),
        "centroids": np.concatenate(
            [np.empty(0, np.float32), *(m for m in middles if m is not None)]
        ),
        "dims": np.array([-1 if m is None else len(m) for m in middles], np.int64),
    }


def _entry_json(entry: CatalogueEntry) -> str:
    values = {f.name: getattr(entry, f.name) for f in fields(entry) if f.name != "centroid"}
    return json.dumps(values)


def _catalogue(arrays: Arrays, side: str) -> Catalogue | None:
    if f"{side}_of" not in arrays:
        return None
    run_id, identity = arrays[f"{side}_of"]
    dims = arrays[f"{side}_dims"]
    ends = np.cumsum(np.maximum(dims, 0))
    flat = arrays[f"{side}_centroids"]
    middles = [
        None if dim < 0 else flat[end - dim : end] for dim, end in zip(dims, ends, strict=True)
    ]
    entries = [
        _entry(text, middle)
        for text, middle in zip(arrays[f"{side}_entries"], middles, strict=True)
    ]
    return Catalogue(tuple(entries), run_id, identity)


def _entry(text: str, centroid: Float32Array | None) -> CatalogueEntry:
    stored = json.loads(text).items()
    values: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in stored}
    values["state"] = ClusterState(values["state"])
    try:
        return CatalogueEntry(centroid=centroid, **values)
    except TypeError as error:
        raise VdbclusterError(
            f"the catalogue that this run recorded cannot be read ({error}); another version of "
            "vdbcluster made it"
        ) from error
