"""Rows become records: text filled in, values cast, key made, the rest kept or dropped.

In: a ``RecordShape``, then one ``SourceRow`` after the other. Out: ``Record``, or ``RowFault`` with
the field, the value and what was expected. Promise: a record can be stored as it is (every value
has its type, fits its length, is UTF-8 and JSON); nothing is cut unless the user said so, and then
at the border of a character, and counted; the same row always gives the same record.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from vdbcluster.model.labels import LabelFields
from vdbcluster.model.records import FieldSpec, Record, RecordShape, RowFault, SourceRow
from vdbcluster.records.keys import digest_of, hash_key
from vdbcluster.records.options import COUNT_FIELD, ShapeOptions
from vdbcluster.records.template import Template
from vdbcluster.records.values import MisfitError, as_json, cast, encoded, is_missing

MAX_JSON = 65_536
"""Bytes that the dynamic field, or a JSON column, of one row may take."""


class Shaper:
    """Makes records of one shape; ``shortened`` counts the values that were cut.

    The shape may be another than the inferred one: what an existing collection wants.
    """

    def __init__(self, shape: RecordShape, options: ShapeOptions) -> None:
        self.shortened = 0
        self._shape = shape
        self._truncate = options.long_fields == "truncate"
        self._template = Template(shape.template)
        self._columns = tuple(s for s in shape.fields if s.name != _count_field(options))
        self._loose = {spec.name: spec for spec in shape.loose}
        used = {shape.id_field, self._template.single} - {"", None}
        self._used = used | {spec.name for spec in self._columns} | set(self._loose)
        self._taken = {
            *(spec.name for spec in shape.declared),
            shape.vector_name,
            "$meta",
            *LabelFields(options.label_prefix).every,
        }

    def record(self, row: SourceRow) -> Record | RowFault:
        """The row as the collection will hold it, or why it cannot."""
        try:
            text = self._text(row.values)
            declared = {spec.name: self._value(spec, row.values) for spec in self._columns}
            rest = dict(self._rest(row.values))
            content = digest_of(text, self._canonical(declared, rest))
            key = self._key(row.values, content)
        except MisfitError as error:
            return RowFault(row.number, str(error), dict(row.values))
        return Record(row.number, key, text, {**declared, **rest}, content)

    def _text(self, values: Mapping[str, Any]) -> str | None:
        if self._shape.text is None:
            return None
        try:
            text = self._template.fill(values)
            if not text.strip():
                raise MisfitError(
                    "is empty"
                    if self._template.single
                    else "is empty, as are all fields of its template"
                )
            return self._fitting(text, self._shape.text.max_length)
        except MisfitError as error:
            single = self._template.single
            name = f" (field {single!r})" if single else ""
            raise MisfitError(f"the text{name} {error}") from None

    def _value(self, spec: FieldSpec, values: Mapping[str, Any]) -> Any:
        try:
            return self._cast(spec, values.get(spec.name))
        except MisfitError as error:
            raise MisfitError(f"the field {spec.name!r} {error}") from None

    def _cast(self, spec: FieldSpec, value: Any) -> Any:
        if is_missing(value) or (value == "" and spec.type != "VARCHAR"):
            if spec.nullable:
                return None
            raise MisfitError(
                f"is missing, but the column takes no empty values; "
                f"--field '{spec.name}:{spec.type}?' makes one that does"
            )
        try:
            found = cast(value, spec.type)
        except MisfitError as error:
            raise MisfitError(f"{error}; --field {spec.name}:VARCHAR would take it") from None
        if spec.type == "VARCHAR":
            return self._fitting(found, spec.max_length)
        if spec.type == "JSON":
            _check_size(as_json(found), "takes")
        return found

    def _fitting(self, text: str, limit: int) -> str:
        data = encoded(text)
        if len(data) <= limit:
            return text
        if not self._truncate:
            raise MisfitError(
                f"has {len(data):,} bytes, {limit:,} are allowed; --long-fields truncate cuts it"
            )
        self.shortened += 1
        return data[:limit].decode(errors="ignore")

    def _rest(self, values: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
        """What goes into the dynamic field."""
        for name, spec in self._loose.items():
            value = values.get(name)
            if not is_missing(value):
                yield name, _cast_or_keep(value, spec)
        if self._shape.rest == "drop":
            return
        for name, value in values.items():
            if name in self._used or is_missing(value):
                continue
            if name in self._taken:
                raise MisfitError(f"the field {name!r} has the name of a column; rename it")
            yield name, _cast_or_keep(value, None)

    def _canonical(self, declared: Mapping[str, Any], rest: Mapping[str, Any]) -> str:
        """All fields as canonical JSON; checks what the dynamic field cannot hold."""
        present = {name: value for name, value in declared.items() if value is not None}
        try:
            body = as_json({**present, **rest})
        except MisfitError:
            raise _blamed(rest) from None
        if "\\u0000" in body or not _is_utf8(body):
            for name, value in {**present, **rest}.items():
                _check_text(name, value)
        if len(body) * 4 > MAX_JSON:
            _check_size(as_json(rest), "the fields that are no columns take")
        return body

    def _key(self, values: Mapping[str, Any], content: bytes) -> int | str:
        if self._shape.auto_id or not self._shape.id_field:
            return hash_key(content)
        name, key = self._shape.id_field, self._shape.key
        value = values.get(name)
        if is_missing(value) or value == "":
            raise MisfitError(f"the key (field {name!r}) is empty")
        try:
            found: int | str = cast(value, key.type)
            size = len(encoded(found)) if isinstance(found, str) else 0
        except MisfitError as error:
            other = f"; --field {name}:VARCHAR would take it" if key.type == "INT64" else ""
            raise MisfitError(f"the key (field {name!r}) {error}{other}") from None
        if size > key.max_length:
            raise MisfitError(
                f"the key (field {name!r}) has {size:,} bytes, {key.max_length:,} are allowed"
            )
        return found


def _count_field(options: ShapeOptions) -> str:
    return COUNT_FIELD if options.duplicates == "count" else ""


def _cast_or_keep(value: Any, spec: FieldSpec | None) -> Any:
    """A value for the dynamic field; whole numbers that JSON readers would bend become text."""
    try:
        if spec is not None:
            return cast(value, spec.type)
        if isinstance(value, int) and not isinstance(value, bool):
            return cast(value, "INT64")
        return cast(value, "VARCHAR") if isinstance(value, bytes) else value
    except MisfitError:
        return str(value) if isinstance(value, int) else value


def _blamed(rest: Mapping[str, Any]) -> MisfitError:
    """Which field JSON cannot say."""
    for name, value in rest.items():
        if isinstance(value, bytes):
            return MisfitError(f"the field {name!r} holds bytes; leave it out with --rest drop")
        try:
            as_json(value)
        except MisfitError as error:
            return MisfitError(f"the field {name!r} {error}")
    return MisfitError("the fields cannot be said in JSON")


def _check_text(name: str, value: Any) -> None:
    """Every string within a value must be storable."""
    try:
        for text in _strings(value):
            encoded(text)
        encoded(name)
    except MisfitError as error:
        raise MisfitError(f"the field {name!r} {error}") from None


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield key
            yield from _strings(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _strings(inner)


def _is_utf8(body: str) -> bool:
    try:
        body.encode()
    except UnicodeEncodeError:
        return False
    return True


def _check_size(body: str, what: str) -> None:
    size = len(body.encode())
    if size > MAX_JSON:
        raise MisfitError(f"{what} {size:,} bytes as JSON, {MAX_JSON:,} are allowed; drop some")
