"""What pages are made of, besides values: scripts, styles, templates, data that is safe in HTML.

In: names of our own files, values. Out: text. Promise: nothing is fetched, now or by the page; no
value can end the element that it stands in.

    json_element("map-data", {"title": "</script>"})
    policy(scripts=[plotly_js(), asset("map.js")])
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterable
from functools import cache
from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

_ESCAPED = {
    "<": "\\u003c",
    ">": "\\u003e",
    "&": "\\u0026",
    "\u2028": "\\u2028",
    "\u2029": "\\u2029",
}
_ESCAPES = str.maketrans(_ESCAPED)


def asset(name: str) -> str:
    """The text of one of our files in ``assets``."""
    return (files("vdbcluster.pages") / "assets" / name).read_text(encoding="utf-8")


@cache
def plotly_js() -> str:
    """plotly.js as the package plotly brings it, about 5 MB; once in a page is enough."""
    from plotly.offline import get_plotlyjs

    return str(get_plotlyjs())


@cache
def templates() -> Environment:
    """jinja2 over ``assets``; what it fills in is escaped."""
    return Environment(
        loader=PackageLoader("vdbcluster.pages", "assets"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def safe_json(value: Any) -> str:
    """JSON that may stand in any element of HTML; half surrogate pairs become ``?``."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return text.encode("utf-8", "replace").decode().translate(_ESCAPES)


def json_element(element_id: str, value: Any) -> Markup:
    """``value`` as an element that scripts read and nothing runs."""
    opening = Markup('<script type="application/json" id="{}">').format(element_id)
    return opening + Markup(safe_json(value)) + Markup("</script>")


def policy(scripts: Iterable[str], *, images: str = "data:") -> str:
    """A Content-Security-Policy: these scripts alone run, by their hash, and nothing is fetched.

    plotly.js sets styles as it draws, and makes functions of what it draws (regl), which wants
    ``unsafe-eval``: that lets scripts that run make others, not markup that came with a text.
    """
    hashes = " ".join(f"'sha256-{_digest(script)}'" for script in scripts)
    return (
        f"default-src 'none'; script-src {hashes} 'unsafe-eval'; style-src 'unsafe-inline'; "
        f"img-src {images} blob:; font-src 'none'; connect-src 'none'; base-uri 'none'; "
        "form-action 'none'"
    )


def _digest(script: str) -> str:
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
