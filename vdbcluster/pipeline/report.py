"""All that a report tells of a recorded run, gathered.

In: adapters, the manifest of a run, settings. Out: ``Report``. Promise: nothing is written but the
layout of the map into the record of the run; labels are those that the run wrote, rows those that
are still there; what cannot be told is a line of ``notes``.

    report = report_of(Reporting(adapters, settings, "text"), manifest, observer)
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np

from vdbcluster.config.settings import Settings
from vdbcluster.errors import UsageError, VdbclusterError
from vdbcluster.model.arrays import Int64Array, Keys
from vdbcluster.model.cards import Explanation, Shown
from vdbcluster.model.catalogue import Catalogue, RowKey, utc_text
from vdbcluster.model.hierarchy import NOISE, Assignment
from vdbcluster.model.manifest import RunManifest
from vdbcluster.model.maps import MapView
from vdbcluster.model.report import Changes, NoiseTold, Report, Timeline
from vdbcluster.pipeline.adapters import Adapters
from vdbcluster.pipeline.cards import CARDS, plain_key, recorded_cards
from vdbcluster.pipeline.layout import run_layout
from vdbcluster.pipeline.map_view import map_view
from vdbcluster.pipeline.members import Members, run_members
from vdbcluster.pipeline.report_changes import changes_since, run_before
from vdbcluster.pipeline.report_clusters import Sources, cited_keys, labels_now, report_clusters
from vdbcluster.pipeline.report_doubts import doubts
from vdbcluster.pipeline.report_fields import Column, column_of, told_fields
from vdbcluster.pipeline.report_near import boxes, nearness, noise_beside
from vdbcluster.pipeline.report_quality import measures
from vdbcluster.pipeline.report_run import asked, copies, parameters, summary, versions
from vdbcluster.pipeline.report_time import is_time, seconds, time_field, timeline
from vdbcluster.pipeline.room import room_of
from vdbcluster.ports import Observer

NONE = "none"
SAMPLE = 400
"""Rows by which a field of times is found."""
EXAMPLES, LONGEST = 4, 2000
"""Rows of noise of each kind; characters of a text, of which a report shows less."""
FEWEST = 5
"""Rows of which a map says anything."""
SCALARS = frozenset({"INT8", "INT16", "INT32", "INT64", "FLOAT", "DOUBLE", "VARCHAR"})


@dataclass(frozen=True, slots=True)
class Reporting:
    """What ``report_of`` works with; ``text_field``: whose texts are shown, empty for none."""

    adapters: Adapters
    settings: Settings
    text_field: str


def report_of(made: Reporting, manifest: RunManifest, observer: Observer) -> Report:
    """See the module.

    Raises ``UsageError`` if the run labelled nothing, or a field or a run that was named is none;
    ``RefusedError`` if the collection was created anew since or most rows are gone.
    """
    return _Gathering(made, manifest, observer, []).report()


@dataclass(frozen=True, slots=True)
class _Gathering:
    """``notes`` grows while the parts are gathered."""

    made: Reporting
    manifest: RunManifest
    observer: Observer
    notes: list[str]

    @property
    def adapters(self) -> Adapters:
        return self.made.adapters

    def report(self) -> Report:
        manifest, settings = self.manifest, self.made.settings
        before = self._before()  # a wrong name is told before a row is read
        explanation, catalogue = self._explanation(), self._catalogue()
        members = run_members(self.adapters, manifest, self.observer, room_of(settings))
        self._check_texts(members.keys)
        labels = labels_now(members.labels, catalogue)
        when = self._timeline(members.keys, labels)
        known = self._sources(members, explanation, catalogue)
        clusters = report_clusters(labels, members.labelled.assignment == Assignment.SOFT, known)
        if gone := members.n_then - len(members):
            self.notes.append(f"{gone:,} rows of the run are no longer there, and not told of.")
        quality = measures(manifest)
        noise = self._noise(members, labels)
        titles = {str(one.id): one.title for one in clusters}
        titles |= {one.path: ", ".join(one.terms[:3]) for one in explanation.cards if one.path}
        return Report(
            title=f"{manifest.collection}: {len(clusters):,} clusters",
            run_id=manifest.run_id,
            state=manifest.state,
            made=utc_text(datetime.now(UTC)),
            n_rows=len(members),
            summary=summary(manifest, clusters, noise, quality),
            asked=asked(manifest, self.made.text_field),
            parameters=parameters(manifest),
            versions=versions(manifest),
            seconds=dict(manifest.seconds),
            quality=quality,
            doubts=doubts(manifest, quality),
            clusters=clusters,
            n_cards=min(settings.report.max_cards, len(clusters)),
            explained=bool(explanation.cards),
            noise=noise,
            copies=copies(manifest),
            boxes=boxes(labels, members.labelled.path, lambda path: titles.get(path, "") or path),
            nearness=nearness(labels, members.vectors),
            changes=self._changes(before, catalogue),
            timeline=when,
            view=self._view(members, explanation, catalogue),
            notes=tuple(self.notes),
        )

    def _explanation(self) -> Explanation:
        runs, run_id = self.adapters.runs, self.manifest.run_id
        if run_id not in runs.having(CARDS):
            self.notes.append(
                f"The clusters have no cards yet (words, outliers, what sets them apart): "
                f"vdbcluster explain {run_id} makes them."
            )
            return Explanation()
        try:
            return Explanation(run_id, recorded_cards(runs, run_id))
        except VdbclusterError as error:
            self.notes.append(f"{error}.")
            return Explanation()

    def _catalogue(self) -> Catalogue | None:
        """Names by people go with the id, whatever run the catalogue was last written by."""
        if self.adapters.catalogue is None:
            return None
        try:
            found = self.adapters.catalogue().read()
        except VdbclusterError as error:
            self.notes.append(
                f"The catalogue cannot be read, so names by people are left out: {error}"
            )
            return None
        same = found is not None and found.identity == self.manifest.identity
        return found if same else None

    def _before(self) -> RunManifest | None:
        """The run to compare with."""
        name, runs = self.made.settings.report.since, self.adapters.runs
        if name == NONE:
            return None
        if not name:
            return run_before(runs.every(), self.manifest)
        before = runs.load(name)
        if before.identity != self.manifest.identity:
            raise UsageError(f"run {name} is of another collection (--since)")
        return before

    def _changes(self, before: RunManifest | None, catalogue: Catalogue | None) -> Changes | None:
        if before is None:
            return None
        heirs = catalogue.heirs() if catalogue else {}
        try:
            return changes_since(self.adapters.runs, before, self.manifest, heirs)
        except VdbclusterError as error:
            self.notes.append(f"No comparison with run {before.run_id}: {error}")
            return None

    def _sources(
        self, members: Members, explanation: Explanation, catalogue: Catalogue | None
    ) -> Sources:
        cards = explanation.cards
        keys = tuple(dict.fromkeys(key for card in cards for key in cited_keys(card)))
        texts = self._texts(keys)
        middle: dict[int, Shown] = {}
        if not cards and catalogue is not None:
            entries = [e for e in catalogue.entries if e.size]
            said = self._texts(tuple(e.medoid_key for e in entries))
            middle = {e.id: Shown(e.medoid_key, said.get(e.medoid_key)) for e in entries}
        elif not cards:
            rows = [r for r in self.manifest.clusters if r.representative]
            middle = {r.id: Shown("", r.representative) for r in rows}
        return Sources(
            manifest=self.manifest,
            explanation=explanation,
            catalogue=catalogue,
            columns=self._columns(members, explanation),
            medoids=middle,
            cited=texts,
            days={one.run_id: one.started[:10] for one in self.adapters.runs.every()},
        )

    def _columns(self, members: Members, explanation: Explanation) -> dict[str, Column]:
        """The fields that the cards speak of."""
        names = sorted({name for card in explanation.cards for name in told_fields(card.features)})
        if not names:
            return {}
        with self.observer.stage("fields", len(members)) as progress:
            found = self._read_columns(members.keys, names)
            progress.advance(len(members))
        made = {name: column_of(name, values) for name, values in found.items()}
        return {name: column for name, column in made.items() if column is not None}

    def _read_columns(self, keys: Keys, names: list[str]) -> dict[str, list[object]]:
        try:
            return self.adapters.source.columns(keys, names)
        except UsageError as error:
            self.notes.append(f"Fields are not drawn: {error}")
            return {}

    def _timeline(self, keys: Keys, labels: Int64Array) -> Timeline | None:
        asked_for = self.made.settings.report.time_field
        if asked_for == NONE or not len(keys):
            return None
        name = asked_for or self._time_field(keys)
        if not name:
            return None
        values = self.adapters.source.columns(keys, [name])[name]
        if asked_for and not is_time(name, values):
            raise UsageError(
                f"the field {name!r} holds no times that differ (--time-field): numbers in s, ms "
                "or us since 1970, years, or ISO texts; none leaves the chart out"
            )
        found = timeline(name, seconds(values, name), labels)
        if asked_for and found is None:
            self.notes.append(f"All rows are of one period by {name}: no chart over time.")
        return found

    def _time_field(self, keys: Keys) -> str:
        adapters = self.adapters
        sample = keys[np.linspace(0, len(keys) - 1, min(SAMPLE, len(keys))).astype(np.int64)]
        prefix = self.made.settings.write.label_prefix
        declared = [s.name for s in adapters.profile.scalars if s.type in SCALARS]
        names = [*declared, *adapters.source.dynamic_fields(sample)]
        chosen = [
            name
            for name in dict.fromkeys(names)
            if not name.startswith(prefix)
            and name not in (self.made.text_field, adapters.profile.key.name)
        ]
        return time_field(adapters.source.columns(sample, chosen)) if chosen else ""

    def _check_texts(self, keys: Keys) -> None:
        """A dynamic field may be named that no row has."""
        field, sample = self.made.text_field, keys[:SAMPLE]
        if field and len(sample) and not any(self.adapters.source.texts(sample, field)):
            self.notes.append(f"No row has a text in the field {field!r}, so none are shown.")

    def _texts(self, keys: tuple[RowKey, ...]) -> dict[RowKey, str]:
        """Of rows that are still there and have one."""
        if not keys or not self.made.text_field:
            return {}
        wanted = np.array(keys, object if isinstance(keys[0], str) else np.int64)
        texts = self.adapters.source.texts(wanted, self.made.text_field)
        return {k: t[:LONGEST] for k, t in zip(keys, texts, strict=True) if t}

    def _noise(self, members: Members, labels: Int64Array) -> NoiseTold:
        rows = np.flatnonzero(labels == NOISE)
        if not len(rows):
            return NoiseTold(0, 0.0)
        order = rows[np.argsort(-members.labelled.outlier_score[rows], kind="stable")]
        far, near = order[:EXAMPLES], order[EXAMPLES:][::-1][:EXAMPLES]
        return NoiseTold(
            rows=len(rows),
            share=len(rows) / len(members),
            far=tuple(self._shown(members.keys, far)),
            near=tuple(self._shown(members.keys, near)),
            beside=noise_beside(labels, members.vectors),
        )

    def _shown(self, keys: Keys, rows: Int64Array) -> Iterator[Shown]:
        plain = tuple(plain_key(key) for key in keys[rows])
        texts = self._texts(plain)
        return (Shown(key, texts.get(key)) for key in plain)

    def _view(
        self, members: Members, explanation: Explanation, catalogue: Catalogue | None
    ) -> MapView | None:
        """The map; None where none is wanted, or it cannot be laid out."""
        settings, manifest = self.made.settings, self.manifest
        if settings.report.picture == NONE or len(members) < FEWEST:
            return None
        flat = settings.map.model_copy(update={"dimensions": 2})
        wanted = settings.model_copy(update={"map": flat})
        try:
            layout = run_layout(self.adapters, manifest, members, wanted, self.observer)
        except VdbclusterError as error:
            self.notes.append(f"There is no map: {error}")
            return None
        texts = None
        if settings.report.picture == "interactive" and self.made.text_field:
            texts = self.adapters.source.texts(members.keys, self.made.text_field)
        return map_view(manifest, members, layout, catalogue, explanation, texts=texts)
