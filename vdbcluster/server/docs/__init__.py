"""The API for people: one page made from its description.

In: the application. Out: ``/api/docs``. Promise: plain HTML without scripts, every value escaped.
"""

from __future__ import annotations

import re
from functools import cache
from importlib import resources
from typing import Any

from fastapi import APIRouter, FastAPI
from fastapi.responses import HTMLResponse
from jinja2 import Environment
from markupsafe import Markup, escape

ORDER = ("about", "clusters", "rows", "edits")


def docs_routes(app: FastAPI) -> APIRouter:
    """``/api/docs``."""
    routes = APIRouter(include_in_schema=False)

    @routes.get("/api/docs")
    def page() -> HTMLResponse:
        return HTMLResponse(docs_page(app.openapi()))

    return routes


def docs_page(described: dict[str, Any]) -> str:
    """The page of an OpenAPI description."""
    calls = [
        {"path": path, "method": method.upper(), **call}
        for path, methods in described["paths"].items()
        for method, call in methods.items()
    ]
    groups = [(tag, [call for call in calls if tag in call.get("tags", ())]) for tag in ORDER]
    models = described["components"]["schemas"]
    page: str = _template().render(
        info=described["info"], groups=groups, models=models, kind=kind, coded=coded
    )
    return page


def kind(schema: dict[str, Any]) -> str:
    """What a value is, in a few words."""
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2]
    if "anyOf" in schema:
        return " or ".join(dict.fromkeys(kind(one) for one in schema["anyOf"]))
    if "enum" in schema:
        return "one of " + ", ".join(repr(value) for value in schema["enum"])
    if schema.get("type") == "array":
        return f"list of {kind(schema.get('items', {}))}"
    bounds = [
        f"{word} {schema[name]:,}"
        for name, word in (
            ("minimum", "at least"),
            ("maximum", "at most"),
            ("maxLength", "characters at most"),
            ("maxItems", "at most"),
        )
        if name in schema
    ]
    return ", ".join([str(schema.get("type", "any")), *bounds])


def coded(text: str) -> Markup:
    """What stands between backticks as code; all of it escaped."""
    return Markup(re.sub("`+([^`]+)`+", r"<code>\1</code>", str(escape(text))))


@cache
def _template() -> Any:
    text = (resources.files(__name__) / "docs.jinja").read_text("utf-8")
    return Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True).from_string(text)
