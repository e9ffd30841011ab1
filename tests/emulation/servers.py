"""The calls that a newer Milvus answers differently from Lite.

In: a request that a client sent, and ``call``, which asks Lite. Out: the answer of the release.
Emulated: version and collection id; full upsert replaces (1100 for an omitted field); partial
upsert as read-merge-write with the point ``merge`` between (hook it with ``before("merge", ...)``),
which fails as a whole for one missing row, or makes ghost rows where all else is nullable; new keys
on auto-id upsert; added fields, by rebuilding the Lite collection under the same name.
Not emulated: several rows of one key, consistency levels, time travel, the numbering of fields.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable
from typing import Any

from pymilvus.grpc_gen import common_pb2, milvus_pb2, schema_pb2

from tests.emulation import wire
from tests.emulation.rebuild import rebuild
from tests.emulation.releases import Release
from tests.emulation.wire import INVALID_PARAMETER, RefusedCallError

Call = Callable[[str, Any], Any]
"""``call(method, request)`` asks Lite and returns its answer, whatever its status."""


class Emulation:
    """Answers for one release. Composite answers are atomic to all other calls."""

    def __init__(self, release: Release, pause: Callable[[str], None]) -> None:
        self.release = release
        self._pause = pause
        self._lock = threading.RLock()
        self._ids = itertools.count(449_000_000_000_000_001)
        self._id_of: dict[tuple[str, str], int] = {}
        self._answers: dict[str, Callable[[Any, Call], Any]] = {
            "GetVersion": self._version,
            "Connect": self._connect,
            "CreateCollection": self._create,
            "DropCollection": self._drop,
            "RenameCollection": self._rename,
            "DescribeCollection": self._describe,
            **dict.fromkeys(release.adds_fields, self._add_fields),
        }

    def answer(self, method: str, request: Any, call: Call) -> Any:
        """The answer to a request; Lite's own where the release does as Lite does."""
        try:
            if method == "Upsert":
                return self._upsert(request, call)
            with self._lock:
                special = self._answers.get(method)
                return special(request, call) if special else call(method, request)
        except RefusedCallError as error:
            return wire.refusal(method, error.code, error.reason)

    def _version(self, request: Any, call: Call) -> Any:
        answer = call("GetVersion", request)
        answer.version = self.release.version
        return answer

    def _connect(self, request: Any, call: Call) -> Any:
        answer = call("Connect", request)
        answer.server_info.build_tags = self.release.version
        answer.server_info.deploy_mode = "STANDALONE"
        return answer

    def _create(self, request: Any, call: Call) -> Any:
        answer = wire.check(call("CreateCollection", request))
        self._id_of[request.db_name, request.collection_name] = next(self._ids)
        return answer

    def _drop(self, request: Any, call: Call) -> Any:
        self._id_of.pop((request.db_name, request.collection_name), None)
        return call("DropCollection", request)

    def _rename(self, request: Any, call: Call) -> Any:
        answer = wire.check(call("RenameCollection", request))
        was = self._id_of.pop((request.db_name, request.oldName), next(self._ids))
        self._id_of[request.db_name, request.newName] = was
        return answer

    def _describe(self, request: Any, call: Call) -> Any:
        answer = wire.check(call("DescribeCollection", request))
        name = request.db_name, answer.collection_name
        answer.collectionID = self._id_of.setdefault(name, next(self._ids))
        return answer

    def _add_fields(self, request: Any, call: Call) -> Any:
        if isinstance(request, milvus_pb2.AddCollectionFieldRequest):
            fields = [schema_pb2.FieldSchema.FromString(request.schema)]
            done: Any = common_pb2.Status()
        else:
            fields = [info.field_schema for info in request.action.add_request.field_infos]
            done = milvus_pb2.AlterCollectionSchemaResponse()
        schema = self._schema(request, call)
        for field in fields:
            self._check_new(field, schema)
        rebuild(request.db_name, request.collection_name, schema, fields, call)
        return done

    def _check_new(self, field: Any, schema: Any) -> None:
        if any(field.name == known.name for known in schema.fields):
            raise RefusedCallError(INVALID_PARAMETER, f"duplicate field name: {field.name}")
        if not field.nullable:
            raise RefusedCallError(
                INVALID_PARAMETER,
                f"added field must be nullable, please check it, field name = {field.name}",
            )

    def _upsert(self, request: Any, call: Call) -> Any:
        with self._lock:
            schema = self._schema(request, call)
        keys = wire.values(wire.column(request.fields_data, wire.key_field(schema).name))
        if request.partial_update and self.release.partial:
            return self._merge(request, schema, keys, call)
        self._check_complete(request, schema)
        with self._lock:
            new_keys = wire.key_field(schema).autoID
            return self._write(request, request.fields_data, keys if new_keys else [], call)

    def _merge(self, request: Any, schema: Any, keys: list[Any], call: Call) -> Any:
        """Partial upsert: read, merge, write; under compare-and-set until nobody intervened."""
        if len(set(keys)) < len(keys):
            raise RefusedCallError(
                INVALID_PARAMETER, "duplicate primary keys are not allowed in the same batch"
            )
        field = wire.key_field(schema)
        new_keys = keys if field.autoID and not self.release.auto_id_kept else []
        while True:
            old = self._rows(request, field.name, keys, call)
            if wire.values(wire.column(old, field.name)) != keys:
                self._check_complete(request, schema)
                with self._lock:
                    return call("Upsert", request)
            self._pause("merge")
            with self._lock:
                now = self._rows(request, field.name, keys, call)
                if self.release.compare_and_set and now != old:
                    continue
                return self._write(request, wire.merged(old, request.fields_data), new_keys, call)

    def _check_complete(self, request: Any, schema: Any) -> None:
        """One row that is not there, and a field that a new row needs: the whole batch fails."""
        given = {column.field_name for column in request.fields_data}
        for name in wire.required(schema):
            if name not in given:
                raise RefusedCallError(
                    INVALID_PARAMETER,
                    f"fieldSchema({name}) has no corresponding fieldData pass in: "
                    "invalid parameter",
                )

    def _rows(self, request: Any, key: str, keys: list[Any], call: Call) -> list[Any]:
        """All columns of the rows with these keys, in their order; 101 if it is not loaded."""
        question = milvus_pb2.QueryRequest(
            db_name=request.db_name,
            collection_name=request.collection_name,
            expr=wire.one_of(key, keys),
            output_fields=["*"],
        )
        with self._lock:
            return list(wire.check(call("Query", question)).fields_data)

    def _write(self, request: Any, columns: Any, to_renew: list[Any], call: Call) -> Any:
        """Whole rows over whatever is there: Lite's insert replaces. ``to_renew`` get new keys."""
        insert = milvus_pb2.InsertRequest(
            db_name=request.db_name,
            collection_name=request.collection_name,
            partition_name=request.partition_name,
            num_rows=request.num_rows,
        )
        insert.fields_data.extend(columns)
        if to_renew:
            key = wire.key_field(self._schema(request, call)).name
            del insert.fields_data[[c.field_name for c in insert.fields_data].index(key)]
            gone = milvus_pb2.DeleteRequest(
                db_name=request.db_name,
                collection_name=request.collection_name,
                expr=wire.one_of(key, to_renew),
            )
            wire.check(call("Delete", gone))
        answer = wire.check(call("Insert", insert))
        answer.upsert_cnt = answer.insert_cnt
        return answer

    def _schema(self, request: Any, call: Call) -> Any:
        question = milvus_pb2.DescribeCollectionRequest(
            db_name=request.db_name, collection_name=request.collection_name
        )
        return wire.check(call("DescribeCollection", question)).schema
