"""More than a hundred files that cannot be taken as they are, and the line that the user sees.

In: nothing. Out: ``CASES``, each of which makes its file and says what is to be told, and how:

    usage    the source, or a setting, is wrong as a whole (``UsageError``, exit code 2)
    broken   the data ends in the middle (``SourceRowError``, exit code 1)
    fault    one row is bad, all others are taken

``first_trouble`` reads a case as an ingest would, without a database. ``{path}`` in an expected
line stands for the path of the file, ``{folder}`` for its folder;
one that ends with * leaves open what a library adds.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from tests.bad_inputs import files, tables, values
from tests.bad_inputs.case import BadInput, Kind
from vdbcluster.adapters.sources import open_source
from vdbcluster.config.ingest import IngestSettings, SourceSettings
from vdbcluster.errors import SourceRowError, UsageError
from vdbcluster.model.records import Record, RowFault, SourceRow
from vdbcluster.records import Duplicates, ShapeOptions, Shaper, infer_shape

__all__ = ["CASES", "BadInput", "first_trouble", "settings_of"]

CASES: tuple[BadInput, ...] = files.CASES + tables.CASES + values.CASES


def settings_of(case: BadInput, folder: Path) -> tuple[SourceSettings, IngestSettings]:
    """The settings of a case; a side file is named relative to ``folder``."""
    said = dict(case.source)
    if "side_file" in said:
        said["side_file"] = folder / said["side_file"]
    return SourceSettings(**said), IngestSettings(**case.ingest)


def first_trouble(case: BadInput, folder: Path) -> tuple[Kind, int, str] | None:
    """What is told first: how, the row if it is one, and the line."""
    path = case.make(folder)
    source, ingest = settings_of(case, folder)
    try:
        fault = next(_faults(path, source, ingest), None)
    except UsageError as error:
        return "usage", 0, _plain(error, path)
    except SourceRowError as error:
        return "broken", 0, _plain(error, path)
    return ("fault", fault.number, fault.reason) if fault else None


def _plain(error: Exception, path: Path) -> str:
    """The line, with {path} for the file and {folder} for where it lies."""
    return str(error).replace(str(path), "{path}").replace(str(path.parent), "{folder}")


def _faults(path: Path, said: SourceSettings, ingest: IngestSettings) -> Iterator[RowFault]:
    source = open_source(path, said)
    batches = list(source.batches())
    options = ShapeOptions(
        text_field=said.text_field,
        template=said.template,
        id_field=said.id_field,
        vector_field=said.vector_field,
        fields=said.fields,
        rest=said.rest,
        key_name=ingest.key_name,
        auto_id=ingest.auto_id,
        duplicates=ingest.duplicates,
        long_fields=ingest.long_fields,
        typed=source.typed,
        vectors=any(batch.vectors is not None for batch in batches),
    )
    items: list[SourceRow | RowFault] = []
    for batch in batches:
        items += [*batch.rows, *batch.faults]
    items.sort(key=lambda item: item.number)
    rows = [item for item in items if isinstance(item, SourceRow)]
    if not rows:
        yield from (item for item in items if isinstance(item, RowFault))
    shape = infer_shape(rows[: said.sample], options)
    shaper, sift = Shaper(shape, options), Duplicates(options.duplicates, shape)
    for item in items:
        found = shaper.record(item) if isinstance(item, SourceRow) else item
        kept = sift(found) if isinstance(found, Record) else found
        if isinstance(kept, RowFault):
            yield kept
