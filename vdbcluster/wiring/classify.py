"""Rows of a file, classified by the classifiers that a run recorded.

In: the name of a run, a file, settings. Out: the run's id and batches of ``Classified``; or how
many rows went where, after they were written to a file. Promise: no database is asked.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from vdbcluster.adapters.classified_file import check_place, write_classified
from vdbcluster.adapters.runs import RunDirectory
from vdbcluster.adapters.sources import open_source
from vdbcluster.config.settings import Settings
from vdbcluster.errors import UsageError
from vdbcluster.model.classified import Classified
from vdbcluster.pipeline.classify import classify
from vdbcluster.pipeline.features import CLASSIFIERS, load_classifiers
from vdbcluster.wiring.history import LAST, found_run


@dataclass(frozen=True, slots=True, eq=False)
class Classifying:
    """``clusters``: those that can be told; ``batches``: rows as they are read, once."""

    run_id: str
    clusters: tuple[int, ...]
    batches: Iterator[Classified]


def classify_job(name: str, file: str, settings: Settings, id_field: str = "") -> Classifying:
    """``name``: as ``found_run``, but ``last`` is the newest run that has classifiers.

    Raises ``UsageError`` where the run has none, or none that tells a cluster apart.
    """
    run_id = _run(name, settings.run.runs_dir)
    classifiers = load_classifiers(RunDirectory(settings.run.runs_dir), run_id)
    if not classifiers.each:
        raise UsageError(f"the fields tell no cluster of run {run_id} apart; nothing can be told")
    source = open_source(file, settings.source)
    threshold = settings.features.threshold
    batches = classify(classifiers, source, threshold=threshold, id_field=id_field)
    return Classifying(run_id, classifiers.clusters, batches)


def write_job(found: Classifying, output: Path, id_field: str) -> Counter[int]:
    """Write all rows to ``output``; how many went to each cluster, -1 for none."""
    counts: Counter[int] = Counter()

    def counted() -> Iterator[Classified]:
        for batch in found.batches:
            counts.update(batch.labels.tolist())
            yield batch

    write_classified(output, counted(), id_field)
    return counts


def check_output(output: Path, file: str) -> None:
    """Raises ``UsageError`` for a place that cannot be meant."""
    check_place(output, Path(file))


def _run(name: str, runs_dir: Path) -> str:
    runs = RunDirectory(runs_dir)
    if name == LAST:
        having = set(runs.having(CLASSIFIERS))
        if found := [one.run_id for one in runs.every() if one.run_id in having]:
            return found[-1]
    return found_run(runs_dir, name).run_id
