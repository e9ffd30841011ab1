"""Export rows with their labels: which collection, which run, into what.

In: the name of a run or a collection in the settings, where to write, what is wanted.
Out: ``ExportedFile``. Promise: only reads the database; what cannot be written is told before it is
asked.
"""

from __future__ import annotations

import shlex
import sys
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from vdbcluster.adapters.milvus.labelled import MilvusLabelled
from vdbcluster.adapters.outputs import check_output
from vdbcluster.adapters.runs import RunDirectory
from vdbcluster.adapters.spool import Spool
from vdbcluster.adapters.table_files import FORMS, TablePlace, table_file
from vdbcluster.config.settings import Settings
from vdbcluster.errors import UsageError
from vdbcluster.model.catalogue import Catalogue, CatalogueEntry
from vdbcluster.model.hierarchy import NOISE
from vdbcluster.model.labels import LabelFields
from vdbcluster.model.manifest import RunManifest, is_assignment
from vdbcluster.pipeline.adapters import Adapters
from vdbcluster.pipeline.export import Exported, Exporting, ExportRequest, export_rows
from vdbcluster.pipeline.export_places import (
    ATLAS_NAMES,
    ATLAS_NEIGHBORS,
    atlas_places,
    recorded_places,
)
from vdbcluster.pipeline.map_record import MAP
from vdbcluster.ports import LabelSink, Observer
from vdbcluster.wiring.history import LAST, clustered_run
from vdbcluster.wiring.main_job import Bench, open_bench
from vdbcluster.wiring.recorded import recorded_settings
from vdbcluster.wiring.stored_labels import label_sink

STDOUT = "-"


@dataclass(frozen=True, slots=True)
class ExportedFile:
    """``labels_in``: the collection that they are in; ``run``: whose map, empty for none.

    ``text_field``: what probably holds the texts of rows, empty for none.
    """

    collection: str
    labels_in: str
    run: str
    text_field: str
    exported: Exported


def table_place(output: str, form: str, *, vectors: bool, spreadsheet: bool) -> TablePlace:
    """Where the table goes; ``UsageError`` for what cannot be."""
    name = output.lower()
    packed = name.endswith(".gz")
    ending = Path(name.removesuffix(".gz")).suffix.removeprefix(".")
    chosen = form or (ending if output != STDOUT else "jsonl")
    if chosen not in FORMS:
        raise UsageError(
            f"the output {output} must end with .parquet, .csv or .jsonl (or name its form: "
            "--format csv)"
        )
    if packed and chosen == "parquet":
        raise UsageError(f"the output {output}: Parquet is compressed already; leave .gz out")
    if vectors and chosen != "parquet":
        raise UsageError(f"--vectors needs Parquet, and {output} is {chosen}")
    if spreadsheet and chosen != "csv":
        raise UsageError(f"--spreadsheet is about CSV, and {output} is {chosen}")
    if output == STDOUT:
        if chosen == "parquet":
            raise UsageError("Parquet does not go to standard output; name a file")
        return TablePlace(None, chosen, False, spreadsheet, sys.stdout.buffer)
    path = Path(output)
    check_output(path)
    return TablePlace(path, chosen, packed, spreadsheet)


def export_job(
    name: str,
    place: TablePlace,
    request: ExportRequest,
    settings: Settings,
    observer: Observer,
    *,
    atlas: bool = False,
) -> ExportedFile:
    """Export the collection that ``settings`` name, or else that of the run ``name``.

    The map is that of the run (``last``: the newest that clustered all rows); without ``name`` that
    of the newest run of the collection that has one. ``atlas``: with places and neighbours, laid
    out and searched now where need be. Raises as ``pipeline.export.export_rows`` does,
    ``UsageError`` if no row has a label.
    """
    manifest = None
    if name or not settings.milvus.collection:
        manifest = clustered_run(settings.run.runs_dir, name or LAST)
        settings = _of_run(manifest, settings, observer)
    with ExitStack() as stack:
        bench = stack.enter_context(open_bench(settings, observer))
        adapters = stack.enter_context(bench.looking())
        sink = label_sink(bench)
        if sink.way.stale:
            observer.warn(sink.way.stale)
        if manifest is None:
            manifest = _newest(bench, atlas=atlas)
        made = _exporting(bench, adapters, sink, place, request, atlas=atlas)
        if manifest is not None and atlas:
            made = replace(made, places=atlas_places(adapters, manifest, settings, observer))
        elif manifest is not None:
            made = replace(made, places=recorded_places(adapters.runs, manifest))
        run_id = manifest.run_id if manifest is not None and made.places is not None else ""
        text = settings.run.text_field or adapters.profile.text_field() or ""
        exported = export_rows(made, observer)
        return ExportedFile(adapters.profile.name, sink.way.target, run_id, text, exported)


def _of_run(manifest: RunManifest, now: Settings, observer: Observer) -> Settings:
    """As the run recorded them; rows that were chosen otherwise now are not passed over unsaid."""
    then = recorded_settings(manifest, now)
    for name in ("collection", "filter", "partitions"):
        said = getattr(now.milvus, name)
        if said and said != getattr(then.milvus, name):
            observer.warn(
                f"the rows are those of run {manifest.run_id}: {name} {said!r} is not heeded; "
                "name the collection and no run to choose rows anew"
            )
    return then


def _newest(bench: Bench, *, atlas: bool) -> RunManifest | None:
    """The newest run of all rows of the collection that has a map, or for ``atlas`` at all."""
    found, prefix = bench.source.found, bench.settings.write.label_prefix
    runs = RunDirectory(bench.settings.run.runs_dir)
    mapped = runs.having(MAP)
    of_it = [
        one
        for one in runs.every()
        if one.identity == found.identity
        and one.settings.get("write", {}).get("label_prefix") == prefix
        and "plan" in one.facts
        and not is_assignment(one)
        and (atlas or one.run_id in mapped)
    ]
    if atlas and not of_it:
        raise UsageError(
            f"there is no run of {found.name!r} in {bench.settings.run.runs_dir}, and its "
            "neighbours are what the atlas shows; name the directory with --runs-dir"
        )
    return of_it[-1] if of_it else None


def _exporting(
    bench: Bench,
    adapters: Adapters,
    sink: LabelSink,
    place: TablePlace,
    request: ExportRequest,
    *,
    atlas: bool,
) -> Exporting:
    fields = LabelFields(bench.settings.write.label_prefix)
    catalogue = adapters.catalogue().read() if adapters.catalogue else None
    adopt = bench.settings.write.adopt
    folder = Path(tempfile.gettempdir()) if place.path is None else place.path.parent
    return Exporting(
        rows=MilvusLabelled(bench.connection, bench.source, sink, fields, adopt=adopt),
        source=bench.source,
        table=table_file(place),
        store=partial(Spool, folder),
        profile=bench.source.found,
        fields=fields,
        request=request,
        names=_titles(catalogue) if atlas else _names(catalogue),
    )


def _names(catalogue: Catalogue | None) -> dict[int, str] | None:
    """As somebody has given them; a cluster without a name has none."""
    if catalogue is None:
        return None
    return {entry.id: entry.name for entry in catalogue.entries if entry.name}


def _titles(catalogue: Catalogue | None) -> dict[int, str]:
    """What a legend shows: every cluster has one, and noise too."""
    entries = catalogue.entries if catalogue is not None else ()
    return {NOISE: "noise"} | {entry.id: _title(entry) for entry in entries}


def _title(entry: CatalogueEntry) -> str:
    return entry.name or ", ".join(entry.keywords[:3]) or f"cluster {entry.id}"


def atlas_command(output: str, found: ExportedFile) -> str:
    """The command line that opens the table."""
    x, y = ATLAS_NAMES
    options = {"--x": x, "--y": y, "--text": found.text_field, "--neighbors": ATLAS_NEIGHBORS}
    words = [word for option, name in options.items() if name for word in (option, name)]
    return shlex.join(["embedding-atlas", output, *words])
