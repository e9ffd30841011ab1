"""Compilation of the inner loops.

In: a function over arrays. Out: the same function, compiled at its first call and kept on disk.
Promise: one specialisation per kernel (callers pass one set of dtypes); inf and NaN as in IEEE 754;
a directory that cannot be written to makes numba choose another, never fail.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar, cast

import numba

F = TypeVar("F", bound=Callable[..., Any])


def kernel(function: F) -> F:
    """Compile without the global lock, with division by zero giving infinity."""
    return cast("F", numba.njit(cache=True, nogil=True, error_model="numpy")(function))


def all_cached(kernels: Iterable[Callable[..., Any]]) -> bool:
    """Whether the disk cache holds all of these kernels, newer than their sources.

    Looks at file names and times only; nothing is loaded or compiled.
    """
    return all(_cached(function) for function in kernels)


def _cached(dispatcher: Any) -> bool:
    function = dispatcher.py_func
    source = Path(function.__code__.co_filename)
    pattern = f"{source.stem}.{function.__qualname__}-*.nbi"
    found = Path(dispatcher.stats.cache_path).glob(pattern)
    return any(index.stat().st_mtime >= source.stat().st_mtime for index in found)
