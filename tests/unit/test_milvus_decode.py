"""Both ways of decoding a page give the same arrays, for every vector type, with and without null.

The responses are built by hand from the protocol's messages and turned into rows by pymilvus, so
that a change of its private attribute shows here.
"""

from __future__ import annotations

import numpy as np
import pytest
from pymilvus import DataType
from pymilvus.client.types import HybridExtraList
from pymilvus.grpc_gen import schema_pb2

from vdbcluster.adapters.milvus.decode import (
    bytes_per_vector,
    keys_array,
    keys_of,
    to_bytes,
    to_floats,
    told,
    vectors_of,
)
from vdbcluster.model.collection import KeyField, VectorField

DIM = 16
KEY = KeyField("key", "INT64", auto_id=False)
TYPES = ("FLOAT_VECTOR", "FLOAT16_VECTOR", "BFLOAT16_VECTOR", "INT8_VECTOR", "BINARY_VECTOR")


def field_of(kind: str, nullable: bool = False) -> VectorField:
    return VectorField("vec", kind, DIM, "L2", "FLAT", nullable=nullable)


def representable(kind: str, rows: int = 7) -> np.ndarray:
    """Vectors that the type can hold without loss, none of them zero."""
    generator = np.random.default_rng(2)
    if kind == "BINARY_VECTOR":
        vectors = generator.integers(0, 2, size=(rows, DIM))
    elif kind == "INT8_VECTOR":
        vectors = generator.integers(-128, 128, size=(rows, DIM))
    elif kind == "BFLOAT16_VECTOR":
        bits = generator.normal(size=(rows, DIM)).astype(np.float32).view(np.uint32)
        vectors = (bits & 0xFFFF0000).view(np.float32)
    elif kind == "FLOAT16_VECTOR":
        vectors = generator.normal(size=(rows, DIM)).astype(np.float16)
    else:
        vectors = generator.normal(size=(rows, DIM))
    vectors = vectors.astype(np.float32)
    vectors[:, 0] = 1
    return vectors


def response(
    kind: str, vectors: np.ndarray, valid: list[bool] | None = None, dense: bool = False
) -> HybridExtraList:
    """Rows as a query returns them; nulls closed up, or in place as zeros where ``dense``."""
    rows = len(vectors)
    field = schema_pb2.FieldData(field_name="vec", type=DataType[kind].value)
    if valid is not None:
        field.valid_data.extend(valid)
        if not dense:
            vectors = vectors[np.array(valid)]
    field.vectors.dim = DIM
    if kind == "FLOAT_VECTOR":
        field.vectors.float_vector.data.extend(vectors.ravel().tolist())
    else:
        raw = b"".join(to_bytes(vectors, field_of(kind)))
        setattr(field.vectors, kind.lower(), raw)
    keys = [{"key": 100 + i} for i in range(rows)]
    return HybridExtraList([field], keys, strict_float32=True)


def public(rows: HybridExtraList) -> list[dict[str, object]]:
    return [rows[i] for i in range(len(rows))]


@pytest.mark.parametrize("kind", TYPES)
def test_bytes_and_floats_are_inverse(kind: str) -> None:
    vectors = representable(kind)

    raw = to_bytes(vectors, field_of(kind))

    assert {len(one) for one in raw} == {bytes_per_vector(field_of(kind))}
    np.testing.assert_array_equal(to_floats(b"".join(raw), field_of(kind)), vectors)


@pytest.mark.parametrize("kind", TYPES)
def test_raw_and_public_way_agree(kind: str) -> None:
    vectors = representable(kind)

    raw, present = vectors_of(response(kind, vectors), field_of(kind))
    plain, _ = vectors_of(public(response(kind, vectors)), field_of(kind))

    assert raw.dtype == plain.dtype == np.float32
    np.testing.assert_array_equal(raw, vectors)
    np.testing.assert_array_equal(plain, vectors)
    assert present.all()


@pytest.mark.parametrize("kind", TYPES)
def test_null_vectors_are_marked(kind: str) -> None:
    vectors = representable(kind)
    valid = [True, False, True, True, False, False, True]
    field = field_of(kind, nullable=True)

    for rows in (response(kind, vectors, valid), public(response(kind, vectors, valid))):
        found, present = vectors_of(rows, field)
        assert present.tolist() == valid
        np.testing.assert_array_equal(found[present], vectors[present])


def test_null_vectors_that_keep_their_place() -> None:
    vectors = representable("FLOAT_VECTOR")
    valid = [True, False] + [True] * 5

    rows = response("FLOAT_VECTOR", vectors, valid, dense=True)
    found, present = vectors_of(rows, field_of("FLOAT_VECTOR", nullable=True))

    assert present.tolist() == valid
    np.testing.assert_array_equal(found[present], vectors[present])


def test_zeros_of_lite_are_null_only_in_a_nullable_field() -> None:
    vectors = representable("FLOAT_VECTOR")
    vectors[3] = 0
    rows = response("FLOAT_VECTOR", vectors)

    assert vectors_of(rows, field_of("FLOAT_VECTOR", nullable=True))[1].sum() == 6
    assert vectors_of(rows, field_of("FLOAT_VECTOR"))[1].all()


def test_keys_leave_vectors_undecoded() -> None:
    rows = response("FLOAT_VECTOR", representable("FLOAT_VECTOR"))

    assert keys_of(rows, KEY).tolist() == list(range(100, 107))
    assert "vec" not in list.__getitem__(rows, 0)


def test_keys_have_their_dtype() -> None:
    assert keys_array([-(2**63), 2**63 - 1], KEY).dtype == np.int64
    strings = keys_array(["a", "bc"], KeyField("key", "VARCHAR", auto_id=False))
    assert strings.dtype == object
    assert strings.tolist() == ["a", "bc"]
    assert keys_array([], KEY).shape == (0,)


def test_rows_are_told_with_all_that_they_hold() -> None:
    plain = [{"key": 1, "size": 2}, {"key": 3, "size": None}]
    kept = response("FLOAT_VECTOR", representable("FLOAT_VECTOR", 2))

    assert told(HybridExtraList([], [dict(row) for row in plain])) == plain
    assert told(plain) == plain  # another version's rows, or those of a plain list
    assert all(set(row) == {"key", "vec"} for row in told(kept))
