"""The main job: plan, ask the gate, write.

In: adapters behind ports, ``Settings``. Out: ``RunManifest``, also kept in the run store.
Promise: nothing is written to the collection before the plan is stored; a dry run writes nothing at
all to the database; interrupted anywhere, a second run finishes the job.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack

from vdbcluster.config.settings import Settings
from vdbcluster.errors import RefusedError
from vdbcluster.model.labels import LabelPlan
from vdbcluster.model.manifest import RunManifest
from vdbcluster.pipeline.adapters import Adapters
from vdbcluster.pipeline.apply import apply_run
from vdbcluster.pipeline.gate import check_gate
from vdbcluster.pipeline.planned import Planned
from vdbcluster.pipeline.planning import plan_run
from vdbcluster.ports import Observer

Agree = Callable[[LabelPlan], bool]


def run(
    adapters: Adapters,
    settings: Settings,
    observer: Observer,
    *,
    run_id: str,
    versions: Mapping[str, str],
    dry_run: bool = False,
    gated: bool = True,
    confirm: Agree = lambda _: True,
) -> RunManifest:
    """Do the whole job for one selection; see the module for what is promised.

    ``confirm`` is asked once, between plan and writing, after the gate where ``gated``. Raises
    ``RefusedError`` if rows read and rows counted disagree, if no row is selected, if the gate
    refuses or ``confirm`` says no.
    """
    with ExitStack() as stack:
        planned = plan_run(
            adapters,
            settings,
            observer,
            run_id=run_id,
            versions=versions,
            # A server takes seconds to load a collection for labels: it does while we search.
            meanwhile=lambda: None if dry_run else _reserve(stack, adapters),
        )
        if dry_run:
            return planned.journal.manifest("planned")
        agree(planned, settings, gated=gated, confirm=confirm)
        return apply_run(planned, adapters, observer)


def agree(planned: Planned, settings: Settings, *, gated: bool, confirm: Agree) -> None:
    """Raise ``RefusedError``, and say so in the record, unless all agree that it be written."""
    journal = planned.journal
    try:
        if gated:
            check_gate(journal.manifest("planned"), settings.gate)
        if not confirm(planned.plan):
            raise RefusedError("not confirmed; nothing was written")
    except RefusedError:
        journal.record("refused")
        raise


def _reserve(stack: ExitStack, adapters: Adapters) -> None:
    stack.enter_context(adapters.sink.result().reserved())
