"""The shape of records, told from the first rows of a source and what the user has said.

In: a sample of ``SourceRow``, ``ShapeOptions``. Out: ``RecordShape``.
Promise: the same sample and options give the same shape; whatever the source leaves open (which
field is the text, what a column's type is) is either plain from the sample or asked for in one
``UsageError`` that lists the fields there are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from vdbcluster.errors import UsageError
from vdbcluster.model.collection import USUAL_TEXT_FIELDS
from vdbcluster.model.labels import LabelFields
from vdbcluster.model.records import (
    HASH_KEY_BYTES,
    MAX_KEY,
    FieldSpec,
    FieldType,
    RecordShape,
    SourceRow,
)
from vdbcluster.records.names import (
    check_known,
    check_legal,
    free_name,
    listed,
)
from vdbcluster.records.options import COUNT_FIELD, ShapeOptions
from vdbcluster.records.template import Template, field_template
from vdbcluster.records.values import common_type, is_bent, is_missing, type_of

KEY_NAMES = ("id", "pk", "row_id")
TEXT_NAMES = ("text", "content", "row_text")
VECTOR_NAMES = ("vector", "embedding", "row_vector")

_TYPE_WORDS: dict[str, FieldType] = {
    "VARCHAR": "VARCHAR",
    "STRING": "VARCHAR",
    "STR": "VARCHAR",
    "TEXT": "VARCHAR",
    "INT64": "INT64",
    "INT": "INT64",
    "INTEGER": "INT64",
    "DOUBLE": "DOUBLE",
    "FLOAT": "DOUBLE",
    "BOOL": "BOOL",
    "BOOLEAN": "BOOL",
    "JSON": "JSON",
}


@dataclass(frozen=True, slots=True)
class Column:
    """What the sample says about one field of the source; ``type`` None: no row has it.

    ``exact``: no value is a number that would be written in another way ('1.10', '1E5').
    """

    name: str
    type: FieldType | None
    missing: bool
    exact: bool = True


def columns_of(sample: Sequence[SourceRow], *, typed: bool) -> dict[str, Column]:
    """All fields of a sample, in the order in which they come."""
    types: dict[str, FieldType | None] = {}
    present: dict[str, int] = {}
    bent: set[str] = set()
    for row in sample:
        for name, value in row.values.items():
            types[name] = common_type(types.get(name), type_of(value, typed=typed))
            present[name] = present.get(name, 0) + (not is_missing(value))
            if not typed and is_bent(value):
                bent.add(name)
    return {
        name: Column(name, types[name], present[name] < len(sample), name not in bent)
        for name in types
    }


def infer_shape(sample: Sequence[SourceRow], options: ShapeOptions) -> RecordShape:
    """What every row becomes.

    Without ``text_field`` and ``template`` the text is the field with a usual name, else the only
    one that holds text. Types are those that take all values of the sample. Raises ``UsageError``
    for fields that the source lacks, names that Milvus refuses or that we write ourselves, and
    where the text or a type cannot be told. A field that is the key, too, says the key's type.
    """
    columns = columns_of(sample, typed=options.typed)
    if not columns:
        raise UsageError("the source has no readable row to tell its fields from")
    said = tuple(_declared(field, columns, len(sample)) for field in options.fields)
    _check_once([spec.name for spec in said], options)
    specs = tuple(spec for spec in said if spec.name != options.id_field)
    template = _template(columns, {spec.name for spec in specs}, options)
    used = {options.id_field, Template(template).single} - {"", None}
    kept = [spec.name for spec in specs]
    rest = [name for name in columns if name not in used and name not in kept]
    if options.rest == "dynamic":
        kept += rest
    if options.duplicates == "count":
        specs = (*specs, FieldSpec(COUNT_FIELD, "INT64"))
    _check_ours(kept, options)
    key, text, vector = _names(template, {*kept, *(spec.name for spec in specs)}, options)
    return RecordShape(
        key=_key(key, columns, said, options),
        text=FieldSpec(text, "VARCHAR") if template else None,
        id_field=options.id_field,
        template=template,
        fields=specs,
        loose=_loose(rest, columns, options),
        rest=options.rest,
        vector_name=vector,
        auto_id=options.auto_id,
    )


def _declared(field: str, columns: Mapping[str, Column], sampled: int) -> FieldSpec:
    """``name[:type][?]`` as a column."""
    name, said, nullable = _parsed(field, columns)
    check_known(name, columns, "the field")
    check_legal(name, "the field")
    column = columns[name]
    kind = said or column.type
    if kind is None:
        raise UsageError(
            f"the field {name!r} is empty in the first {sampled:,} rows; "
            f"say its type, for instance --field {name}:VARCHAR"
        )
    return FieldSpec(name, kind, nullable=nullable or column.missing)


def _parsed(field: str, columns: Mapping[str, Column]) -> tuple[str, FieldType | None, bool]:
    if field in columns:
        return field, None, False
    plain = field.removesuffix("?")
    nullable = plain != field
    name, colon, word = plain.rpartition(":")
    if not colon or plain in columns:
        return plain, None, nullable
    kind = _TYPE_WORDS.get(word.strip().upper())
    if kind is None:
        raise UsageError(
            f"--field {field}: there is no type {word!r}; it is one of "
            "VARCHAR, INT64, DOUBLE, BOOL and JSON"
        )
    return name, kind, nullable


def _check_once(names: Sequence[str], options: ShapeOptions) -> None:
    for name in names:
        if names.count(name) > 1:
            raise UsageError(f"--field names {name!r} twice")
        if name == options.text_field:
            raise UsageError(f"the field {name!r} is the text already; leave out --field {name}")


def _template(columns: Mapping[str, Column], declared: set[str], options: ShapeOptions) -> str:
    if options.text_field and options.template:
        raise UsageError("give either --text-field or --template, not both")
    for name in Template(options.template).names:
        check_known(name, columns, "the template's field")
    if options.template:
        return options.template
    if options.text_field:
        check_known(options.text_field, columns, "the text field")
        return field_template(options.text_field)
    found = _text_by_name(columns, declared, options)
    return field_template(found) if found else ""


def _text_by_name(
    columns: Mapping[str, Column], declared: set[str], options: ShapeOptions
) -> str | None:
    texts = [
        column.name
        for column in columns.values()
        if column.type == "VARCHAR"
        and column.name not in declared
        and column.name != options.id_field
    ]
    folded = {name.strip().casefold(): name for name in reversed(texts)}
    for usual in USUAL_TEXT_FIELDS:
        if usual in folded:
            return folded[usual]
    if len(texts) == 1:
        return texts[0]
    if options.vectors:
        return None
    if not texts:
        raise UsageError(
            f"no field of the source holds text to embed (its fields are: {listed(columns)}); "
            "name one with --text-field, or its vectors with --vector-field"
        )
    raise UsageError(
        f"several fields could be the text ({listed(texts)}); name it with --text-field, "
        "or make it of several with --template"
    )


def _check_ours(kept: Sequence[str], options: ShapeOptions) -> None:
    """Fields of the source must not be taken for what we write or the server keeps for itself."""
    ours = LabelFields(options.label_prefix).every
    for name in kept:
        if name in ours:
            raise UsageError(
                f"the source has a field {name!r}, which vdbcluster writes itself; rename it, "
                "choose another --label-prefix, or leave it out with --rest drop"
            )
        if name == "$meta":
            raise UsageError(
                "the source has a field '$meta', which Milvus keeps for itself; rename it, "
                "or leave it out with --rest drop"
            )
        if name == COUNT_FIELD and options.duplicates == "count":
            raise UsageError(
                f"the source has a field {name!r}, which --duplicates count writes; rename it, "
                "or leave it out with --rest drop"
            )


def _names(template: str, kept: set[str], options: ShapeOptions) -> tuple[str, str, str]:
    """What key, text and vector are called in the collection, each of them free."""
    taken = kept | set(LabelFields(options.label_prefix).every)
    if options.key_name:
        check_legal(options.key_name, "the key name")
        if options.key_name in taken:
            raise UsageError(
                f"the key cannot be called {options.key_name!r}: the source has another field of "
                "that name; choose another --key-name, or make it the key with --id-field"
            )
    single = Template(template).single
    key = options.key_name or free_name((options.id_field, *KEY_NAMES), taken)
    taken.add(key)
    text = free_name((single or "", *TEXT_NAMES), taken)
    if template:
        taken.add(text)
    return key, text, free_name((options.vector_field, *VECTOR_NAMES), taken)


def _key(
    name: str, columns: Mapping[str, Column], said: Sequence[FieldSpec], options: ShapeOptions
) -> FieldSpec:
    if options.auto_id:
        if options.id_field:
            raise UsageError("give either --id-field or --auto-id, not both")
        return FieldSpec(name, "INT64")
    if not options.id_field:
        return FieldSpec(name, "VARCHAR", HASH_KEY_BYTES)
    check_known(options.id_field, columns, "the id field")
    types = {spec.name: spec.type for spec in said}
    kind = types.get(options.id_field, columns[options.id_field].type)
    if kind == "INT64":
        return FieldSpec(name, "INT64")
    if kind == "VARCHAR":
        return FieldSpec(name, "VARCHAR", MAX_KEY)
    holds = f"holds {kind} values" if kind else "is empty"
    raise UsageError(
        f"the id field {options.id_field!r} {holds}; a key is a whole number or a text"
    )


def _loose(
    rest: Sequence[str], columns: Mapping[str, Column], options: ShapeOptions
) -> tuple[FieldSpec, ...]:
    """Numbers that a source of plain text holds in fields which are not declared.

    Nobody is shown these types, so only columns that come out again as they went in are numbers.
    """
    if options.typed or options.rest == "drop":
        return ()
    found = [columns[name] for name in rest]
    return tuple(
        FieldSpec(column.name, column.type, nullable=True)
        for column in found
        if column.type not in (None, "VARCHAR") and column.exact
    )
