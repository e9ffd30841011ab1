"""A file, settings -> an ingest into Milvus: which adapters, in what order they are opened.

In: the name of a source, ``Settings``, an observer. Out: ``IngestResult``, or ``IngestPreview``.
Promise: what is wrong with the settings, the source as a whole or an existing collection is said
before anything is embedded or written; a preview asks no model and makes no file.
"""

from __future__ import annotations

import hashlib
import json
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from pydantic import SecretStr

from vdbcluster.adapters.embedding import open_embedder
from vdbcluster.adapters.embedding.local import LocalEmbedder
from vdbcluster.adapters.embedding.server import EmbeddingServer
from vdbcluster.adapters.ingest_files import IngestFiles
from vdbcluster.adapters.milvus.client import MilvusConnection, connect
from vdbcluster.adapters.milvus.ingest import MilvusRecordWriter, WriterSettings
from vdbcluster.adapters.milvus.ingest.bulk import BulkRecordWriter, ImportSettings
from vdbcluster.adapters.sources import open_source
from vdbcluster.config.settings import Settings, WriteSettings
from vdbcluster.errors import SourceRowError, UsageError
from vdbcluster.model.preview import IngestPreview
from vdbcluster.model.records import IngestReport, Record, RecordShape, RowFault, SourceRow
from vdbcluster.pipeline.ingest import IngestAdapters, IngestRules, ingest
from vdbcluster.ports import Observer
from vdbcluster.ports.embedder import Embedder
from vdbcluster.ports.records import RecordSource
from vdbcluster.records import Duplicates, ShapeOptions, Shaper, count_contents, infer_shape
from vdbcluster.wiring.main_job import address

SHOWN = 10


@dataclass(frozen=True, slots=True)
class IngestResult:
    """``shortened``: values cut to fit; ``quarantine``: where bad rows lie, if any do."""

    report: IngestReport
    shape: RecordShape
    collection: str
    shortened: int
    quarantine: Path | None
    next_command: str


def ingest_job(source: str, settings: Settings, observer: Observer) -> IngestResult:
    """Take the file, folder or stream ``source`` into the collection of ``settings``."""
    _check(settings)
    found = open_source(source, settings.source, ours=_ours(settings))
    return ingest_source(found, source, settings, observer)


def ingest_source(
    source: RecordSource, name: str, settings: Settings, observer: Observer
) -> IngestResult:
    """The same for any source; ``name`` tells its checkpoint from that of others."""
    _check(settings)
    plan = _plan(source, settings)
    embedder = None if plan.options.vectors else open_embedder(settings.embed, observer.warn)
    try:
        return _ingest(plan, embedder, name, settings, observer)
    finally:
        if embedder is not None:
            embedder.close()


def _ingest(
    plan: _Plan, embedder: Embedder | None, name: str, settings: Settings, observer: Observer
) -> IngestResult:
    target = settings.milvus
    files = IngestFiles(settings.run.runs_dir / f"ingest-{target.collection}", name)
    with connect(address(target), create=True) as connection:
        writer = _writer(connection, settings)
        shape = writer.fit(plan.shape)
        before = (_told(shape), *writer.notes)
        for note in before:
            observer.note(note)
        shaper = Shaper(shape, plan.options)
        adapters = IngestAdapters(
            source=plan.source,
            shape=shaper.record,
            sift=_sift(plan, shape, observer),
            embedder=embedder,
            writer=writer,
            log=files,
        )
        rules = IngestRules(
            settings=_fingerprint(settings, shape),
            model=_model(settings, embedder),
            on_error=settings.ingest.on_error,
            concurrency=settings.embed.concurrency,
        )
        with files.held():
            report = ingest(adapters, rules, observer)
        for note in writer.notes[len(before) - 1 :]:
            observer.note(note)
    return IngestResult(
        report=report,
        shape=shape,
        collection=target.collection,
        shortened=shaper.shortened,
        quarantine=files.quarantined if files.quarantined.exists() else None,
        next_command=_next_command(settings),
    )


def preview_job(source: str, settings: Settings, observer: Observer) -> IngestPreview:
    """Read all rows as an ingest would, and estimate what it would take."""
    _check(settings)
    plan = _plan(open_source(source, settings.source, ours=_ours(settings)), settings)
    shape, exists, notes = plan.shape, False, tuple[str, ...]()
    where = address(settings.milvus)
    if not where.is_file or where.path.exists():
        with connect(where) as connection:
            gently = replace(writer_settings(settings), try_out=False)
            writer = MilvusRecordWriter(connection, gently)
            shape, exists = writer.fit(plan.shape), bool(writer.identity)
            notes = tuple(writer.notes)
    embedder = None if plan.options.vectors else open_embedder(_unasked(settings).embed)
    try:
        found = _Survey(embedder)
        found.read(plan, shape, _sift(plan, shape, observer), observer)
    finally:
        if embedder is not None:
            embedder.close()
    return IngestPreview(
        source=plan.source.description,
        collection=settings.milvus.collection,
        exists=exists,
        shape=shape,
        records=tuple(found.records),
        rows=found.rows,
        duplicates=found.duplicates,
        faulty=found.faulty,
        faults=tuple(found.faults),
        embedder=embedder.description if embedder else "the vectors of the source",
        tokens=found.tokens,
        requests=found.requests,
        cost=found.tokens * settings.embed.price / 1e6,
        dim=found.dim,
        notes=notes,
    )


@dataclass(frozen=True, slots=True)
class _Plan:
    source: RecordSource
    options: ShapeOptions
    shape: RecordShape


def _plan(source: RecordSource, settings: Settings) -> _Plan:
    """The shape, from the first rows of the source."""
    sample: list[SourceRow] = []
    faults: list[RowFault] = []
    vectors = False
    for batch in source.batches():
        faults += batch.faults[:1]
        vectors = vectors or batch.vectors is not None
        sample += batch.rows
        if len(sample) >= settings.source.sample:
            break
    if not sample and faults:
        raise SourceRowError(
            f"{source.description}: no row can be read; row {faults[0].number:,}: "
            f"{faults[0].reason}"
        )
    options = ShapeOptions(
        text_field=settings.source.text_field,
        template=settings.source.template.replace("\\n", "\n"),
        id_field=settings.source.id_field,
        vector_field=settings.source.vector_field,
        fields=settings.source.fields,
        rest=settings.source.rest,
        key_name=settings.ingest.key_name,
        auto_id=settings.ingest.auto_id,
        duplicates=settings.ingest.duplicates,
        long_fields=settings.ingest.long_fields,
        label_prefix=settings.write.label_prefix,
        typed=source.typed,
        vectors=vectors,
    )
    shape = infer_shape(sample[: settings.source.sample], options)
    if settings.milvus.vector_field:
        shape = replace(shape, vector_name=settings.milvus.vector_field)
    return _Plan(source, options, shape)


def _sift(plan: _Plan, shape: RecordShape, observer: Observer) -> Duplicates:
    rule = plan.options.duplicates
    if rule != "count":
        return Duplicates(rule, shape)
    shaper = Shaper(shape, plan.options)
    with observer.stage("count copies", plan.source.total, "rows") as progress:
        rows = (row for row in _all_rows(plan.source) if isinstance(row, SourceRow))
        shaped = (shaper.record(row) for row in rows)
        counts = count_contents(found for found in shaped if isinstance(found, Record))
        progress.advance(counts.total())
    return Duplicates(rule, shape, counts)


def _all_rows(source: RecordSource) -> Iterator[SourceRow | RowFault]:
    for batch in source.batches():
        yield from batch.rows
        yield from batch.faults


class _Survey:
    """What a source holds, row by row."""

    def __init__(self, embedder: Embedder | None) -> None:
        self.rows = self.duplicates = self.faulty = self.tokens = self.dim = 0
        self.records: list[Record] = []
        self.faults: list[RowFault] = []
        self._embedder = embedder
        self._texts = 0

    @property
    def requests(self) -> int:
        if self._embedder is None:
            return 0
        limits = self._embedder.limits
        return max(-(-self._texts // limits.texts), -(-self.tokens // limits.tokens))

    def read(self, plan: _Plan, shape: RecordShape, sift: Duplicates, observer: Observer) -> None:
        shaper = Shaper(shape, plan.options)
        with observer.stage("read", plan.source.total, "rows") as progress:
            for batch in plan.source.batches():
                if batch.vectors is not None:
                    self.dim = int(batch.vectors.shape[1])
                for row in batch.rows:
                    self._take(shaper.record(row), sift)
                for fault in batch.faults:
                    self._take(fault, sift)
                progress.advance(len(batch.rows) + len(batch.faults))
        if not self.rows:
            raise UsageError(f"{plan.source.description} has no row")

    def _take(self, found: Record | RowFault, sift: Duplicates) -> None:
        self.rows += 1
        kept = sift(found) if isinstance(found, Record) else found
        if kept is None:
            self.duplicates += 1
        elif isinstance(kept, RowFault):
            self.faulty += 1
            self.faults += [kept] if len(self.faults) < SHOWN else []
        else:
            self.records += [kept] if len(self.records) < SHOWN else []
            self._texts += 1
            if self._embedder is not None:
                self.tokens += self._embedder.tokens(kept.text or "")


def embedding_server(host: str, port: int) -> EmbeddingServer:
    """The local model, ready to serve."""
    return EmbeddingServer(LocalEmbedder(), host, port)


def _writer(
    connection: MilvusConnection, settings: Settings
) -> MilvusRecordWriter | BulkRecordWriter:
    writer = MilvusRecordWriter(connection, writer_settings(settings))
    if settings.ingest.way == "upsert":
        return writer
    folder = settings.ingest.bulk_folder or settings.run.runs_dir / "bulk"
    return BulkRecordWriter(connection, writer, ImportSettings(folder, settings.ingest.bulk_prefix))


def writer_settings(settings: Settings) -> WriterSettings:
    """How the collection is made and written."""
    return WriterSettings(
        collection=settings.milvus.collection,
        metric=settings.ingest.metric,
        index=settings.ingest.index,
        batch_bytes=settings.ingest.batch_bytes,
        label_prefix=settings.write.label_prefix,
    )


def _check(settings: Settings) -> None:
    if not settings.milvus.collection:
        raise UsageError("no collection was named; pass --collection NAME")


def _ours(settings: Settings) -> list[Path]:
    """What an ingest writes, which is no part of a folder of texts that holds it by chance."""
    where = address(settings.milvus)
    kept = [settings.run.runs_dir, settings.embed.cache, where.path if where.is_file else None]
    return [path for path in kept if path is not None]


def _unasked(settings: Settings) -> Settings:
    """Settings for estimates alone: no cache is made, and a key is not needed yet."""
    spare = {"cache": None, "api_key": settings.embed.api_key or SecretStr("not used")}
    return settings.model_copy(update={"embed": settings.embed.model_copy(update=spare)})


def _model(settings: Settings, embedder: Embedder | None) -> str:
    """The model by what it computes, wherever it runs."""
    if embedder is None:
        return ""
    embed = settings.embed
    if embed.embedder == "local":
        return embedder.description
    size = f", {embed.dimensions} dimensions" if embed.dimensions else ""
    prefix = f", prefix {embed.prefix!r}" if embed.prefix else ""
    return f"{embed.model}{size}{prefix}"


def _fingerprint(settings: Settings, shape: RecordShape) -> str:
    """Of everything that decides which rows are written and how; not of how fast."""
    embed = settings.embed
    said: Mapping[str, object] = {
        "shape": asdict(shape),
        "source": settings.source.model_dump(mode="json", exclude={"sample"}),
        "duplicates": settings.ingest.duplicates,
        "long_fields": settings.ingest.long_fields,
        "long_texts": [embed.long_texts, embed.max_text_tokens],
        "on_error": settings.ingest.on_error,
    }
    text = json.dumps(said, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _told(shape: RecordShape) -> str:
    """The shape in one line."""
    key = f"{shape.key.name} {shape.key.type}"
    made = "made by the server" if shape.auto_id else shape.id_field or "a hash of the content"
    fields = ", ".join(f"{spec.name} {spec.type}" for spec in shape.fields) or "none"
    rest = "the dynamic field" if shape.rest == "dynamic" else "nowhere"
    text = f"text {shape.text.name} from {shape.template!r}" if shape.text else "no text"
    return f"key {key} ({made}); {text}; columns: {fields}; other fields go into {rest}"


def _next_command(settings: Settings) -> str:
    words = ["vdbcluster", "run", "--uri", address(settings.milvus).shown]
    words += ["--collection", settings.milvus.collection]
    if settings.milvus.db:
        words += ["--db", settings.milvus.db]
    if settings.write.label_prefix != WriteSettings().label_prefix:
        words += ["--label-prefix", settings.write.label_prefix]
    return shlex.join(words)
