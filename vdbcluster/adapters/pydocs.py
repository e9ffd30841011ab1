"""The docstring summaries of Python's own standard library: real texts that every machine has.

In: the interpreter that runs. Out: a ``RecordSource`` of about 3,500 rows with the fields ``id``
(qualified name, ascending), ``text`` and ``module`` (top-level package).
Promise: nothing is imported or executed, source files are only parsed; the same interpreter gives
the same rows in the same order; every key and every text is there once.
"""

from __future__ import annotations

import ast
import hashlib
import inspect
import sys
import sysconfig
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from platform import python_version

from vdbcluster.errors import UsageError
from vdbcluster.model.records import SourceBatch, SourceRow

MIN_WORDS = 7
"""Shorter summaries ("Close the file.") hardly say what a function is about."""

MAX_CHARACTERS = 600
"""Longer paragraphs are tables and manuals rather than summaries."""

# Not a library that a programmer calls: an editor, a converter, an installer, examples, texts.
_SKIPPED_MODULES = frozenset(
    {"antigravity", "distutils", "ensurepip", "idlelib", "lib2to3", "pydoc_data", "test"}
    | {"this", "turtledemo"}
)
_SKIPPED_FOLDERS = frozenset({"test", "tests", "site-packages"})

_Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


@dataclass(frozen=True, slots=True)
class Doc:
    """The summary of one definition; ``key`` is its qualified name."""

    key: str
    text: str
    module: str


class StandardLibraryDocs:
    """``RecordSource`` of the docstrings of this interpreter."""

    description = f"the docstrings of Python {python_version()}"
    typed = True

    def __init__(self, docs: Sequence[Doc] | None = None) -> None:
        self._docs = tuple(standard_library_docs() if docs is None else docs)

    @property
    def total(self) -> int:
        return len(self._docs)

    def fingerprint(self) -> str:
        return hashlib.sha256(repr(self._docs).encode()).hexdigest()

    def batches(self) -> Iterator[SourceBatch]:
        yield SourceBatch(
            tuple(
                SourceRow(number, {"id": doc.key, "text": doc.text, "module": doc.module})
                for number, doc in enumerate(self._docs, 1)
            )
        )


def standard_library_docs(root: Path | None = None) -> list[Doc]:
    """Summaries of the public modules, classes, functions and methods of the standard library.

    ``root`` is the folder of the sources (default: that of this
    interpreter). Of several definitions with one text the first by name is kept, so that copies
    are not taken for a cluster. Raises ``UsageError`` where no sources are installed.
    """
    folder = root or Path(sysconfig.get_path("stdlib"))
    by_key = {row.key: row for row in _all_docs(folder)}
    by_text: dict[str, Doc] = {}
    for key in sorted(by_key):
        by_text.setdefault(by_key[key].text.casefold(), by_key[key])
    if not by_text:
        raise UsageError(f"there are no sources of Python's standard library in {folder}")
    return list(by_text.values())


def summary(docstring: str) -> str:
    """The first paragraph of a docstring on one line; empty if it is an example or no sentence."""
    paragraph = inspect.cleandoc(docstring).split("\n\n", 1)[0]
    text = " ".join(paragraph.split())
    fits = len(text) <= MAX_CHARACTERS and len(text.split()) >= MIN_WORDS
    return text if fits and not text.startswith(">>>") else ""


def _all_docs(folder: Path) -> Iterator[Doc]:
    for name in sorted(sys.stdlib_module_names):
        module = _public_name(name)
        if module.startswith("_") or module in _SKIPPED_MODULES:
            continue
        for path, dotted in _sources(folder, name, module):
            yield from _docs_of_file(path, dotted, module)


def _public_name(name: str) -> str:
    """``_pydatetime`` holds what ``datetime`` shows; which of the two depends on the version."""
    twin = name.removeprefix("_py")
    return twin if twin in sys.stdlib_module_names else name


def _sources(folder: Path, name: str, module: str) -> Iterator[tuple[Path, str]]:
    """Source files of a top-level module with the dotted names that they are imported by."""
    single = folder / f"{name}.py"
    if single.is_file():
        yield single, module
    for path in sorted((folder / name).rglob("*.py")):
        parts = path.relative_to(folder / name).with_suffix("").parts
        dotted = [part for part in parts if part != "__init__"]
        if not any(part.startswith("_") or part in _SKIPPED_FOLDERS for part in dotted):
            yield path, ".".join([module, *dotted])


def _docs_of_file(path: Path, dotted: str, module: str) -> Iterator[Doc]:
    tree = ast.parse(path.read_bytes(), filename=str(path))
    yield from _doc(tree, dotted, module)
    for key, node in _definitions(tree.body, dotted):
        yield from _doc(node, key, module)


def _definitions(body: Iterable[ast.stmt], prefix: str) -> Iterator[tuple[str, _Definition]]:
    """Public definitions of a module, also under ``if`` and ``try``, and those within classes."""
    for node in body:
        if isinstance(node, _Definition) and not node.name.startswith("_"):
            key = f"{prefix}.{node.name}"
            yield key, node
            if isinstance(node, ast.ClassDef):
                yield from _definitions(node.body, key)
        elif isinstance(node, ast.If | ast.Try):
            handlers = node.handlers if isinstance(node, ast.Try) else []
            for block in (node.body, *(handler.body for handler in handlers), node.orelse):
                yield from _definitions(block, prefix)


def _doc(node: ast.Module | _Definition, key: str, module: str) -> Iterator[Doc]:
    text = summary(ast.get_docstring(node, clean=False) or "")
    if text:
        yield Doc(key, text, module)
