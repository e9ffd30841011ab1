"""The main job: plan, ask the gate, write.

In: adapters behind ports, ``Settings``. Out: ``RunManifest``, also kept in the run store.
Promise: nothing is written to the collection before the plan is stored; a dry run writes nothing at
all to the database; interrupted anywhere, a second run finishes the job.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, ExitStack, suppress
from dataclasses import dataclass, field, replace
from threading import Lock
from types import TracebackType
from typing import TypeVar

from vdbcluster.config.settings import Settings
from vdbcluster.errors import RefusedError, VdbclusterError
from vdbcluster.model.labels import LabelPlan
from vdbcluster.model.manifest import RunManifest
from vdbcluster.pipeline.adapters import Adapters
from vdbcluster.pipeline.apply import apply_run
from vdbcluster.pipeline.gate import check_gate
from vdbcluster.pipeline.planned import Planned
from vdbcluster.pipeline.planning import plan_run
from vdbcluster.ports import Observer

T = TypeVar("T")
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
    with _Reserved(adapters) as reserved:
        planned = plan_run(
            adapters,
            settings,
            observer,
            run_id=run_id,
            versions=versions,
            meanwhile=lambda: None if dry_run else reserved.make(run_id),
        )
        if dry_run:
            return planned.journal.manifest("planned")
        agree(planned, settings, gated=gated, confirm=confirm)
        return apply_run(planned, reserved.adapters, observer)


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


@dataclass
class _Reserved:
    """What a server makes while neighbours are searched, since it takes seconds to load a
    collection: empty ones for labels and catalogue. What is not used goes when the context ends.

    ``adapters``: those that use it.
    """

    adapters: Adapters
    _made: ExitStack = field(default_factory=ExitStack, init=False)
    _lock: Lock = field(default_factory=Lock, init=False)
    _over: bool = field(default=False, init=False)

    def make(self, run_id: str) -> None:
        """In another thread than that of the context."""
        self._take(self.adapters.sink.result().reserved())
        if self._over or (opened := self.adapters.catalogue) is None:
            return
        with suppress(VdbclusterError):  # told when there is something to write
            held = self._take(opened().reserved(run_id))
            if held is not None:
                self.adapters = replace(self.adapters, catalogue=lambda: held)

    def _take(self, room: AbstractContextManager[T]) -> T:
        """Until the context ends, or at once if it has."""
        made = room.__enter__()
        with self._lock:
            if not self._over:
                self._made.push(room)
                return made
        room.__exit__(None, None, None)
        return made

    def __enter__(self) -> _Reserved:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with self._lock:
            self._over = True
        self._made.__exit__(kind, error, trace)
