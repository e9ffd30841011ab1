"""Parquet, Arrow, NumPy and the vectors that files bring."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from tests.bad_inputs.case import EYE, BadInput, cut, lines, npy, npz, parquet, put

CASES: tuple[BadInput, ...] = (
    # ---- Parquet, Arrow, NumPy
    BadInput(
        "parquet cut off",
        cut(parquet({"text": ["x"] * 99}), 0.6),
        "{path} is damaged, cut off or encrypted: *",
    ),
    BadInput(
        "arrow of nonsense",
        put("a.arrow", b"ARROW1\0\0nonsense"),
        "{path} is damaged, cut off or encrypted: *",
    ),
    BadInput(
        "text that is not UTF-8",
        parquet({"text": pa.array([b"a", b"\xff"], pa.binary())}),
        "the text (field 'text') holds bytes that are no UTF-8 text",
        "fault",
        2,
    ),
    BadInput(
        "bytes beside the text",
        parquet({"text": ["a"], "image": pa.array([b"\xff"])}),
        "the field 'image' holds bytes; leave it out with --rest drop",
        "fault",
        1,
    ),
    BadInput(
        "npy of objects",
        npy(np.array([{"a": 1}], dtype=object)),
        ("{path} holds Python objects (a pickle), which could run anything and are never loaded"),
    ),
    BadInput(
        "npy of one dimension",
        npy(np.arange(3.0)),
        "{path} has the shape (3,); vectors are a matrix with one row each, (n, d)",
    ),
    BadInput("npy of texts", npy(np.array([["a", "b"]])), "{path} holds <U1, not numbers"),
    BadInput(
        "npy without rows",
        npy(np.empty((0, 4))),
        "{path} has the shape (0, 4), so it holds no vector",
    ),
    BadInput("npy cut off", cut(npy(np.ones((50, 50))), 0.5), "{path} is damaged or cut off: *"),
    BadInput(
        "fewer rows beside",
        npy(EYE, side="text\nx\ny\n"),
        (
            "{path} holds 3 vectors, but {folder}/side.csv (CSV) 2 rows; they must be the "
            "same rows in the same order"
        ),
        source={"side_file": "side.csv"},
    ),
    BadInput(
        "no file beside",
        npy(EYE),
        "{folder}/absent.csv does not exist",
        source={"side_file": "absent.csv"},
    ),
    BadInput(
        "npz of objects",
        npz(v=EYE, o=np.array([{}, {}, {}], dtype=object)),
        (
            "the array 'o' of {path} holds Python objects (a pickle), which could run "
            "anything and are never loaded"
        ),
    ),
    BadInput(
        "npz without a matrix",
        npz(text=np.array(["x"])),
        "{path} holds no matrix of vectors; its arrays are: text",
    ),
    BadInput(
        "npz with two matrices",
        npz(a=EYE, b=EYE),
        "{path} holds several matrices (a, b); name one with --vector-field",
    ),
    BadInput(
        "npz of two lengths",
        npz(v=EYE, text=np.array(["x", "y"])),
        "{path}: 'v' holds 3 vectors, but 'text' 2 values",
    ),
    BadInput(
        "npz without that array",
        npz(v=EYE),
        "{path} holds no array 'w'; its arrays are: v",
        source={"vector_field": "w"},
    ),
    # ---- vectors
    BadInput(
        "vector field misspelt",
        lines({"text": "x", "emb": [1.0]}),
        (
            "the vector field 'embd' is not in the source; did you mean 'emb'? Its fields "
            "are: text, emb"
        ),
        source={"vector_field": "embd"},
    ),
    BadInput(
        "vector missing",
        lines({"text": "x", "v": [1]}, {"text": "y"}),
        "the vector is missing",
        "fault",
        2,
        {"vector_field": "v"},
    ),
    BadInput(
        "other dimension",
        lines({"text": "x", "v": [1, 2]}, {"text": "y", "v": [1]}),
        "the vector has the dimension 1, those before it have 2",
        "fault",
        2,
        {"vector_field": "v"},
    ),
    BadInput(
        "no numbers",
        lines({"text": "x", "v": ["1", "2"]}),
        "the vector is no list of numbers: ['1', '2']",
        "fault",
        1,
        {"vector_field": "v"},
    ),
    BadInput(
        "missing number",
        lines({"text": "x", "v": [1, None]}),
        "the vector holds a missing number: [1, None]",
        "fault",
        1,
        {"vector_field": "v"},
    ),
    BadInput(
        "NaN",
        put("a.jsonl", '{"text": "x", "v": [1, NaN]}'),
        "the vector holds NaN or a missing number",
        "fault",
        1,
        {"vector_field": "v"},
    ),
    BadInput(
        "beyond float32",
        lines({"text": "x", "v": [1e300]}),
        "the vector holds a number that is infinite as float32",
        "fault",
        1,
        {"vector_field": "v"},
    ),
    BadInput(
        "zero vector",
        npy(np.array([[1.0, 0], [0, 0]])),
        "the vector is all zero, so it has no direction",
        "fault",
        2,
    ),
    BadInput(
        "vector as printed",
        put("a.csv", 'text,v\nx,"[0.1 0.2]"\n'),
        "the vector cannot be read: '[0.1 0.2]'; write it as [0.1, 0.2, ...]",
        "fault",
        1,
        {"vector_field": "v"},
    ),
    BadInput(
        "texts for vectors",
        parquet({"text": ["x"], "v": [[["a"]]]}),
        ("the vector field 'v' holds list<element: list<element: string>>, not lists of numbers"),
        source={"vector_field": "v"},
    ),
    BadInput(
        "parquet list too short",
        parquet({"text": ["x", "y"], "v": [[1.0, 2.0], [1.0]]}),
        "the vector has the dimension 1, those before it have 2",
        "fault",
        2,
        {"vector_field": "v"},
    ),
    BadInput(
        "parquet list with null",
        parquet({"text": ["x", "y"], "v": [[1.0], [None]]}),
        "the vector holds NaN or a missing number",
        "fault",
        2,
        {"vector_field": "v"},
    ),
)
