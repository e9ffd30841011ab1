"""Explain the clusters of a recorded run.

In: the name of a run, the settings of now. Out: ``Explained``: its record, and a card for each
cluster.
Promise: server, collection and filter are those that the run recorded; nothing is written but the
catalogue and the record of the run.
"""

from __future__ import annotations

from contextlib import ExitStack

from vdbcluster.adapters.languages import Py3LangId
from vdbcluster.adapters.tokenizers import ScriptTokenizer
from vdbcluster.config.explain import ExplainSettings
from vdbcluster.config.settings import Settings
from vdbcluster.model.manifest import RunManifest
from vdbcluster.pipeline.explain import Agree, Explaining, explain_run
from vdbcluster.pipeline.explain_record import Explained
from vdbcluster.ports import Observer
from vdbcluster.wiring.commenting import open_commenting
from vdbcluster.wiring.history import clustered_run
from vdbcluster.wiring.main_job import check_text_field, open_bench
from vdbcluster.wiring.recorded import recorded_settings


def explain_job(
    name: str, settings: Settings, observer: Observer, *, agree: Agree = lambda _: True
) -> Explained:
    """Find out what the clusters of run ``name`` are about; see ``pipeline.explain``.

    ``last`` is the newest that clustered all rows: assignments and merges are passed over.
    """
    manifest = clustered_run(settings.run.runs_dir, name)
    then = recorded_settings(manifest, settings)
    with ExitStack() as stack:
        # A wrong key or prompt is told before a row is read.
        asked = settings.explain.commentary
        commenting = stack.enter_context(open_commenting(settings, observer)) if asked else None
        bench = stack.enter_context(open_bench(then, observer))
        adapters = stack.enter_context(bench.looking())
        named = named_field(manifest, settings)
        check_text_field(adapters.profile, named)
        made = Explaining(
            adapters=adapters,
            tokenizer=tokenizer_of(settings.explain),
            settings=then.model_copy(update={"duplicates": settings.duplicates}),
            text_field=named or adapters.profile.text_field() or "",
            named=bool(named),
            commenting=commenting,
            agree=agree,
        )
        return explain_run(made, manifest, observer)


def tokenizer_of(settings: ExplainSettings) -> ScriptTokenizer:
    """Who cuts texts into terms."""
    return ScriptTokenizer(
        detector=Py3LangId(),
        stop_words=settings.stop_words,
        dictionary=settings.dictionary,
        han=settings.han,
    )


def named_field(manifest: RunManifest, settings: Settings) -> str:
    """The field of texts that was named now, or for the run; empty if none was."""
    then = manifest.settings.get("run", {}).get("text_field")
    return settings.run.text_field or then or ""
