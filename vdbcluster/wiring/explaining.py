"""Explain the clusters of a recorded run.

In: the name of a run, the settings of now. Out: ``Explained``: its record, and a card for each
cluster.
Promise: server, collection and filter are those that the run recorded; nothing is written but the
catalogue and the record of the run.
"""

from __future__ import annotations

from vdbcluster.adapters.languages import Py3LangId
from vdbcluster.adapters.runs import RunDirectory
from vdbcluster.adapters.tokenizers import ScriptTokenizer
from vdbcluster.config.settings import Settings
from vdbcluster.model.collection import CollectionProfile
from vdbcluster.model.manifest import RunManifest, is_assignment
from vdbcluster.pipeline.explain import Explained, Explaining, explain_run
from vdbcluster.ports import Observer
from vdbcluster.wiring.history import LAST, found_run
from vdbcluster.wiring.main_job import open_bench
from vdbcluster.wiring.recorded import recorded_settings


def explain_job(name: str, settings: Settings, observer: Observer) -> Explained:
    """Find out what the clusters of run ``name`` are about; see ``pipeline.explain``.

    ``last`` is the newest that clustered all rows: assignments and merges are passed over.
    """
    manifest = _last(settings) if name == LAST else found_run(settings.run.runs_dir, name)
    then = recorded_settings(manifest, settings)
    told = settings.explain
    tokenizer = ScriptTokenizer(
        detector=Py3LangId(),
        stop_words=told.stop_words,
        dictionary=told.dictionary,
        han=told.han,
    )
    with open_bench(then, observer) as bench, bench.looking() as adapters:
        made = Explaining(
            adapters=adapters,
            tokenizer=tokenizer,
            settings=told,
            text_field=_text_field(manifest, settings, adapters.profile),
            memory_bytes=then.neighbors.memory_mb << 20,
        )
        return explain_run(made, manifest, observer)


def _last(settings: Settings) -> RunManifest:
    every = RunDirectory(settings.run.runs_dir).every()
    clustered = [one for one in every if "plan" in one.facts and not is_assignment(one)]
    return clustered[-1] if clustered else found_run(settings.run.runs_dir, LAST)


def _text_field(manifest: RunManifest, settings: Settings, profile: CollectionProfile) -> str:
    """What is said now, what the run showed, or what looks like it; empty if nothing does."""
    then = manifest.settings.get("run", {}).get("text_field")
    return settings.run.text_field or then or profile.text_field() or ""
