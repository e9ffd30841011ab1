"""Fields that are not there and values that do not fit."""

from __future__ import annotations

from tests.bad_inputs.case import GOOD, BadInput, folder_of, lines, put

CASES: tuple[BadInput, ...] = (
    # ---- fields
    BadInput(
        "text field misspelt",
        put("a.csv", "headline,n\nx,1\n"),
        (
            "the text field 'headlin' is not in the source; did you mean 'headline'? Its "
            "fields are: headline, n"
        ),
        source={"text_field": "headlin"},
    ),
    BadInput(
        "id field absent",
        put("a.csv", "text,n\nx,1\n"),
        "the id field 'key' is not in the source; its fields are: text, n",
        source={"id_field": "key"},
    ),
    BadInput(
        "template's field absent",
        put("a.csv", "text,n\nx,1\n"),
        "the template's field 'title' is not in the source; its fields are: text, n",
        source={"template": "{title}"},
    ),
    BadInput(
        "template's brace",
        put("a.csv", "text,n\nx,1\n"),
        (
            "the template '{text' has a single '{'; write {field}, or {{ and }} for braces "
            "in the text"
        ),
        source={"template": "{text"},
    ),
    BadInput(
        "template without field",
        put("a.csv", "text,n\nx,1\n"),
        "the template 'text' names no field; write {field}",
        source={"template": "text"},
    ),
    BadInput(
        "text twice",
        put("a.csv", "text,n\nx,1\n"),
        "give either --text-field or --template, not both",
        source={"template": "{text}", "text_field": "text"},
    ),
    BadInput(
        "several texts",
        put("a.csv", "head,lead,n\nx,y,1\n"),
        (
            "several fields could be the text (head, lead); name it with --text-field, or "
            "make it of several with --template"
        ),
    ),
    BadInput(
        "no text",
        put("a.csv", "a,b\n1,2\n"),
        (
            "no field of the source holds text to embed (its fields are: a, b); name one "
            "with --text-field, or its vectors with --vector-field"
        ),
    ),
    BadInput(
        "field absent",
        lines(GOOD),
        "the field 'year' is not in the source; its fields are: text, n",
        source={"fields": ("year",)},
    ),
    BadInput(
        "type unknown",
        lines(GOOD),
        (
            "--field n:NUMBER: there is no type 'NUMBER'; it is one of VARCHAR, INT64, "
            "DOUBLE, BOOL and JSON"
        ),
        source={"fields": ("n:NUMBER",)},
    ),
    BadInput(
        "field twice", lines(GOOD), "--field names 'n' twice", source={"fields": ("n", "n:DOUBLE")}
    ),
    BadInput(
        "field without values",
        put("a.csv", "text,n\nx,\n"),
        (
            "the field 'n' is empty in the first 1 rows; say its type, for instance "
            "--field n:VARCHAR"
        ),
        source={"fields": ("n",)},
    ),
    BadInput(
        "name that Milvus refuses",
        put("a.csv", "text,pub-date\nx,1\n"),
        (
            "the field 'pub-date' cannot be a column of a Milvus collection: names are "
            "letters, digits and _, do not begin with a digit, and are no word of the "
            "filter language; rename it in the source, or leave it to the dynamic field"
        ),
        source={"fields": ("pub-date",)},
    ),
    BadInput(
        "our own field",
        put("a.csv", "text,cluster_id\nx,1\n"),
        (
            "the source has a field 'cluster_id', which vdbcluster writes itself; rename "
            "it, choose another --label-prefix, or leave it out with --rest drop"
        ),
    ),
    BadInput(
        "field $meta",
        lines({"text": "x", "$meta": 1}),
        (
            "the source has a field '$meta', which Milvus keeps for itself; rename it, or "
            "leave it out with --rest drop"
        ),
    ),
    BadInput(
        "key name taken",
        lines(GOOD),
        (
            "the key cannot be called 'n': the source has another field of that name; "
            "choose another --key-name, or make it the key with --id-field"
        ),
        ingest={"key_name": "n"},
    ),
    BadInput(
        "id of fractions",
        lines({"text": "x", "k": 1.5}),
        "the id field 'k' holds DOUBLE values; a key is a whole number or a text",
        source={"id_field": "k"},
    ),
    BadInput(
        "id and auto id",
        lines(GOOD),
        "give either --id-field or --auto-id, not both",
        source={"id_field": "n"},
        ingest={"auto_id": True},
    ),
    BadInput(
        "field duplicates",
        lines({"text": "x", "duplicates": 1}),
        (
            "the source has a field 'duplicates', which --duplicates count writes; rename "
            "it, or leave it out with --rest drop"
        ),
        ingest={"duplicates": "count"},
    ),
    # ---- values
    BadInput(
        "empty text",
        put("a.csv", "text,n\nx,1\n  ,2\n"),
        "the text (field 'text') is empty",
        "fault",
        2,
    ),
    BadInput(
        "empty template",
        lines({"a": "x"}, {"a": "", "b": None}),
        "the text is empty, as are all fields of its template",
        "fault",
        2,
        {"template": "{a}: {b}"},
    ),
    BadInput(
        "no number",
        put("a.csv", "text,n\nx,1\ny,two\n"),
        "the field 'n' holds 'two', which is no INT64; --field n:VARCHAR would take it",
        "fault",
        2,
        {"fields": ("n:INT64",)},
    ),
    BadInput(
        "fraction for INT64",
        lines(GOOD, {"text": "y", "n": 1.5}),
        "the field 'n' holds 1.5, which is no INT64; --field n:VARCHAR would take it",
        "fault",
        2,
        {"fields": ("n:INT64",)},
    ),
    BadInput(
        "beyond 64 bits",
        put("a.csv", f"text,n\nx,{2**63}\n"),
        (
            "the field 'n' holds '9223372036854775808', which is beyond 64 bits; --field "
            "n:VARCHAR would take it"
        ),
        "fault",
        1,
        {"fields": ("n:INT64",)},
    ),
    BadInput(
        "no truth",
        put("a.csv", "text,n\nx,yes\n"),
        "the field 'n' holds 'yes', which is no BOOL; --field n:VARCHAR would take it",
        "fault",
        1,
        {"fields": ("n:BOOL",)},
    ),
    BadInput(
        "no JSON",
        put("a.csv", "text,n\nx,{y\n"),
        "the field 'n' holds '{y', which is no JSON; --field n:VARCHAR would take it",
        "fault",
        1,
        {"fields": ("n:JSON",)},
    ),
    BadInput(
        "missing later",
        lines(GOOD, {"text": "y"}),
        (
            "the field 'n' is missing, but the column takes no empty values; --field "
            "'n:INT64?' makes one that does"
        ),
        "fault",
        2,
        {"fields": ("n",), "sample": 1},
    ),
    BadInput(
        "text too long",
        lines(GOOD, {"text": "é" * 40_000}),
        (
            "the text (field 'text') has 80,000 bytes, 65,535 are allowed; --long-fields "
            "truncate cuts it"
        ),
        "fault",
        2,
    ),
    BadInput(
        "rest too large",
        lines({**GOOD, "more": ["x" * 70_000]}),
        ("the fields that are no columns take 70,019 bytes as JSON, 65,536 are allowed; drop some"),
        "fault",
        1,
    ),
    BadInput(
        "empty key",
        put("a.csv", "k,text\na,x\n,y\n"),
        "the key (field 'k') is empty",
        "fault",
        2,
        {"id_field": "k"},
    ),
    BadInput(
        "key too long",
        lines({"k": "x" * 1025, "text": "x"}),
        "the key (field 'k') has 1,025 bytes, 1,024 are allowed",
        "fault",
        1,
        {"id_field": "k"},
    ),
    BadInput(
        "key of another type",
        lines({"k": 1, "text": "x"}, {"k": "b", "text": "y"}),
        ("the key (field 'k') holds 'b', which is no INT64; --field k:VARCHAR would take it"),
        "fault",
        2,
        {"id_field": "k", "sample": 1},
    ),
    BadInput(
        "same key, other content",
        put("a.csv", "k,text\na,x\nb,y\na,z\n"),
        "the key 'a' is that of row 1, whose content is another",
        "fault",
        3,
        {"id_field": "k"},
    ),
    # ---- folders
    BadInput(
        "image among texts",
        folder_of(a_txt=b"x", b_png=b"\x89PNG\r\n\x1a\n..."),
        "b.png seems to be an image, not text",
        "fault",
        2,
    ),
    BadInput(
        "latin-1 among texts",
        folder_of(a_txt=b"x", b_txt=b"caf\xe9\n"),
        "b.txt: line 1 holds bytes that are not utf-8; say the right --encoding",
        "fault",
        2,
    ),
    BadInput(
        "empty text among texts",
        folder_of(a_txt=b"x", b_txt=b""),
        "the text (field 'text') is empty",
        "fault",
        2,
    ),
)
