"""Names for the array types that the stages exchange."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

Float32Array = NDArray[np.float32]
Float64Array = NDArray[np.float64]
Int8Array = NDArray[np.int8]
Int32Array = NDArray[np.int32]
Int64Array = NDArray[np.int64]
BoolArray = NDArray[np.bool_]

Allocate = Callable[[tuple[int, ...], DTypeLike], NDArray[Any]]
"""Gives room for an array, its content unspecified: ``np.empty``, or one that lies in a file."""

Keys = NDArray[Any]
"""Primary keys, ``(n,)``: ``int64`` for INT64 keys, ``object`` holding ``str`` for VARCHAR keys."""
