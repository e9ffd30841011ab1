"""A report of a recorded run.

In: the name of a run, the settings of now. Out: ``Report``.
Promise: server, collection and filter are those that the run recorded; nothing is written to the
database, and of the record of the run nothing but the layout of its map.
"""

from __future__ import annotations

from pathlib import Path

from vdbcluster.adapters.outputs import write_output
from vdbcluster.config.settings import Settings
from vdbcluster.errors import UsageError
from vdbcluster.model.report import Report
from vdbcluster.pipeline.report import NONE, Reporting, report_of
from vdbcluster.ports import Observer
from vdbcluster.wiring.explaining import named_field
from vdbcluster.wiring.history import LAST, clustered_run, found_run
from vdbcluster.wiring.main_job import check_text_field, open_bench
from vdbcluster.wiring.recorded import recorded_settings


def report_job(name: str, settings: Settings, observer: Observer) -> Report:
    """What run ``name`` found; see ``pipeline.report``.

    ``last`` is the newest that clustered all rows: assignments and merges are passed over.
    """
    manifest = clustered_run(settings.run.runs_dir, name)
    then = _with_since(recorded_settings(manifest, settings), settings)
    with open_bench(then, observer) as bench, bench.looking() as adapters:
        named = named_field(manifest, settings)
        check_text_field(adapters.profile, named)
        field = named or adapters.profile.text_field() or ""
        return report_of(Reporting(adapters, then, field), manifest, observer)


def save(place: Path, text: str) -> None:
    """As a whole or not at all; ``VdbclusterError`` where that cannot be done."""
    write_output(place, text.encode("utf-8", "replace"))


def _with_since(then: Settings, settings: Settings) -> Settings:
    """With the whole id of the run to compare with, where one is named."""
    since = settings.report.since
    if since in ("", NONE):
        return then
    if since == LAST:
        raise UsageError("--since wants the run before, not the last; name it, or leave it out")
    found = found_run(settings.run.runs_dir, since)
    report = settings.report.model_copy(update={"since": found.run_id})
    return then.model_copy(update={"report": report})
