"""An outcome, and metrics read back, for the tests of telemetry."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from vdbcluster.model.manifest import RunManifest
from vdbcluster.model.outcome import Outcome, figures_of

MANIFEST = RunManifest(
    run_id="20250601T030000-abcdef",
    state="written",
    collection="docs",
    identity="1",
    selection={},
    settings={},
    versions={},
    facts={
        "clustering": {"rows": 200, "clusters": 4, "noise": 50},
        "plan": {"rows": 200, "changed": 20, "moved": 3},
        "audit": {"sample": 100, "recall": 0.97},
        "identity": {"events": {"born": 1, "unchanged": 3}},
    },
    seconds={"read": 1.5, "cluster": 0.5},
)


def outcome(code: int = 0, minute: int = 0, **more: Any) -> Outcome:
    given: dict[str, Any] = {
        "command": "run",
        "job": "news",
        "collection": "docs",
        "exit_code": code,
        "seconds": 12.5,
        "figures": figures_of(MANIFEST.to_json()),
        "finished": datetime(2025, 6, 1, 3, minute, tzinfo=UTC),
        **more,
    }
    return Outcome(**given)


def samples(text: str) -> dict[tuple[str, ...], float]:
    """Values by name and the labels other than job and command."""
    found: dict[tuple[str, ...], float] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            assert sample.labels.pop("job_name") == "news"
            assert sample.labels.pop("command") == "run"
            found[sample.name.removeprefix("vdbcluster_"), *sample.labels.values()] = sample.value
    return found
