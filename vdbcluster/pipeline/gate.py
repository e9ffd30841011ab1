"""Whether what a run would change is as much as one expects.

In: the facts of a planned run, limits. Out: a line for each limit that is passed.
Promise: no I/O; what was not measured passes; a first run has nothing to move and nothing to lose.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from vdbcluster.config.gate import GateSettings
from vdbcluster.errors import RefusedError
from vdbcluster.model.manifest import RunManifest
from vdbcluster.model.matching import ENDS
from vdbcluster.pipeline.told import SAME


def check_gate(manifest: RunManifest, limits: GateSettings) -> None:
    """Raise ``RefusedError`` with all that is beyond the limits, in one line."""
    if found := tuple(breaches(manifest, limits)):
        raise RefusedError(
            f"the gate refuses run {manifest.run_id}: {'; '.join(found)}. Nothing was written. "
            f"To see it: vdbcluster runs show {manifest.run_id}; to write it all the same: "
            f"vdbcluster apply {manifest.run_id} --yes"
        )


def breaches(manifest: RunManifest, limits: GateSettings) -> Iterator[str]:
    """What is beyond the limits, each with the value and the setting."""
    facts = manifest.facts
    upper = (
        ("max_moved", moved(facts), "of the labelled rows would change cluster"),
        ("max_died", died(facts), "of the clusters would end"),
        ("max_noise_share", noise(facts), "of the rows would be noise"),
    )
    for name, share, told in upper:
        if share is not None and share > getattr(limits, name):
            yield f"{share:.0%} {told} ({name} {getattr(limits, name):g})"
    audit = facts.get("audit", {})
    if audit.get("sample") and audit["high"] < limits.min_recall:
        yield f"recall is {audit['recall']:.2f} (min_recall {limits.min_recall:g})"
    mean = stability(manifest)
    if mean is not None and mean < limits.min_stability:
        yield f"mean stability is {mean:.2f} (min_stability {limits.min_stability:g})"


def moved(facts: Mapping[str, Any]) -> float | None:
    """Share of the rows with a label whose cluster would be another; None if none had one."""
    plan = facts["plan"]
    labelled = plan["rows"] - plan["unlabelled_before"]
    return plan["moved"] / labelled if labelled else None


def died(facts: Mapping[str, Any]) -> float | None:
    """Share of the clusters before that would end; None if there were none."""
    events = facts["identity"]["events"]
    ended = sum(events.get(kind.value, 0) for kind in ENDS)
    before = ended + sum(events.get(kind.value, 0) for kind in SAME)
    return ended / before if before else None


def noise(facts: Mapping[str, Any]) -> float | None:
    """Share of the rows that would be noise; None without rows."""
    plan = facts["plan"]
    return plan["noise"] / plan["rows"] if plan["rows"] else None


def stability(manifest: RunManifest) -> float | None:
    """Mean over the clusters whose stability was measured."""
    found = [row.stability for row in manifest.clusters if row.stability is not None]
    return float(np.mean(found)) if found else None
