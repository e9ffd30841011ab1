"""Messages of Milvus' wire protocol by the name of their method.

In: a method's name and bytes. Out: messages, and answers that say that something failed.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from pymilvus.grpc_gen import common_pb2, milvus_pb2, schema_pb2

PREFIX = "/milvus.proto.milvus.MilvusService/"
_SERVICE = milvus_pb2.DESCRIPTOR.services_by_name["MilvusService"]
INVALID_PARAMETER = 1100


class RefusedCallError(Exception):
    """The emulated server answers with an error in the response's status."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code, self.reason = code, reason


def known(method: str) -> bool:
    """Whether this is a method of Milvus' service that the client library knows."""
    return method in _SERVICE.methods_by_name


def request_of(method: str, raw: bytes) -> Any:
    return GetMessageClass(_SERVICE.methods_by_name[method].input_type).FromString(raw)


def response_of(method: str, raw: bytes) -> Any:
    return GetMessageClass(_SERVICE.methods_by_name[method].output_type).FromString(raw)


def refusal(method: str, code: int, reason: str) -> Message:
    """The response of a method whose status is an error."""
    kind = _SERVICE.methods_by_name[method].output_type
    status = common_pb2.Status(
        code=code, error_code=common_pb2.ErrorCode.Value("UnexpectedError"), reason=reason
    )
    if kind.full_name == common_pb2.Status.DESCRIPTOR.full_name:
        return status
    field = "alter_status" if "alter_status" in kind.fields_by_name else "status"
    return GetMessageClass(kind)(**{field: status})


def check(answer: Any) -> Any:
    """The answer itself, or ``RefusedCallError`` with the error that it carries."""
    status = answer if isinstance(answer, common_pb2.Status) else answer.status
    if status.code or status.error_code:
        raise RefusedCallError(status.code or status.error_code, status.reason)
    return answer


def key_field(schema: Any) -> Any:
    return next(field for field in schema.fields if field.is_primary_key)


def required(schema: Any) -> list[str]:
    """Names of the fields that a new row cannot do without."""
    return [
        field.name
        for field in schema.fields
        if not (field.nullable or field.is_dynamic or field.is_primary_key)
        and not field.HasField("default_value")
    ]


def column(columns: Iterable[Any], name: str) -> Any | None:
    return next((found for found in columns if found.field_name == name), None)


def values(keys: Any | None) -> list[Any]:
    """The primary keys in a column."""
    if keys is None:
        return []
    kind = "string_data" if keys.type == schema_pb2.VarChar else "long_data"
    return list(getattr(keys.scalars, kind).data)


_ESCAPES = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n", "\r": r"\r", "\t": r"\t"})


def one_of(name: str, keys: Sequence[Any]) -> str:
    """A filter that selects rows by key, in the syntax that Lite reads."""
    literals = (f'"{k.translate(_ESCAPES)}"' if isinstance(k, str) else str(k) for k in keys)
    return f"{name} in [{', '.join(literals)}]"


def merged(old: Iterable[Any], new: Iterable[Any]) -> list[Any]:
    """Columns of whole rows: the new ones over the old ones, dynamic keys one by one."""
    given = {column.field_name or "$meta": column for column in new}
    result = []
    for was in old:
        now = given.get(was.field_name or "$meta")
        if now is None:
            result.append(was)
        elif was.is_dynamic:
            result.append(_merged_dynamic(was, now))
        else:
            result.append(now)
    return result


def _merged_dynamic(old: Any, new: Any) -> Any:
    both = schema_pb2.FieldData()
    both.CopyFrom(old)
    pairs = zip(old.scalars.json_data.data, new.scalars.json_data.data, strict=True)
    members = [json.dumps(json.loads(a or b"{}") | json.loads(b or b"{}")) for a, b in pairs]
    del both.scalars.json_data.data[:]
    both.scalars.json_data.data.extend(text.encode() for text in members)
    return both
