"""A GPU's array module played by numpy, as strict as CuPy is.

In: what ``graph.blocked`` asks of ``xp``. Out: the same numbers as numpy.
Promise: an array of the device and one of the host do not mix, in no operator, function or index;
only ``asarray`` and ``asnumpy`` bring one to the other side, by copy. What is asked for beyond
``FUNCTIONS`` is missing; ``test_gpu_device`` holds these against CuPy itself where it is installed.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np

FUNCTIONS = (
    "arange",
    "ascontiguousarray",
    "concatenate",
    "eye",
    "full",
    "maximum",
    "sort",
    "take_along_axis",
    "where",
    "zeros",
)
TYPES = ("float32", "int64", "uint32", "uint64")
METHODS = ("all", "argmin", "astype", "max", "min", "reshape", "sum", "view")
_OPERATORS = ("add", "and", "eq", "ge", "lshift", "matmul", "mod", "mul", "or", "sub", "truediv")


class DeviceArray:
    """An array that only its own kind and plain numbers may touch."""

    def __init__(self, held: Any) -> None:
        self.held = np.asarray(held)

    shape = property(lambda self: self.held.shape)
    size = property(lambda self: self.held.size)
    T = property(lambda self: DeviceArray(self.held.T))

    def __len__(self) -> int:
        return len(self.held)

    def __array__(self, *_: Any, **__: Any) -> Any:
        raise TypeError("an array of the device was taken for one of the host")

    def __bool__(self) -> bool:
        return bool(self.held)

    def __float__(self) -> float:
        return float(self.held)

    def __invert__(self) -> DeviceArray:
        return DeviceArray(~self.held)

    def __getitem__(self, at: Any) -> DeviceArray:
        return DeviceArray(self.held[_held(at)])

    def __setitem__(self, at: Any, values: Any) -> None:
        self.held[_held(at)] = _held(values)

    def __iadd__(self, other: Any) -> DeviceArray:
        self.held += _held(other)
        return self

    def __getattr__(self, name: str) -> Callable[..., DeviceArray]:
        if name not in METHODS:
            raise AttributeError(name)
        return lambda *args, **named: DeviceArray(getattr(self.held, name)(*_held(args), **named))


def _forward(name: str) -> Callable[[DeviceArray, Any], DeviceArray]:
    return lambda self, other: DeviceArray(getattr(operator, name)(self.held, _held(other)))


for _name in _OPERATORS:
    setattr(DeviceArray, f"__{_name}__", _forward({"and": "and_", "or": "or_"}.get(_name, _name)))


def _held(value: Any) -> Any:
    if isinstance(value, DeviceArray):
        return value.held
    if isinstance(value, (tuple, list)):
        return type(value)(_held(part) for part in value)
    if isinstance(value, np.ndarray):
        raise TypeError("an array of the host was taken for one of the device")
    return value


class StandIn:
    """The module; ``product`` may replace how matrices are multiplied."""

    inf = np.inf

    def __getattr__(self, name: str) -> Any:
        if name in TYPES:
            return getattr(np, name)
        if name not in FUNCTIONS:
            raise AttributeError(name)
        return lambda *args, **named: DeviceArray(getattr(np, name)(*_held(args), **named))

    def asarray(self, host: Any) -> DeviceArray:
        return DeviceArray(np.array(host))

    def asnumpy(self, array: DeviceArray) -> Any:
        return array.held.copy()


class CompileError(Exception):
    """CuPy's own is no ``RuntimeError`` either."""


class FakeCupy(StandIn):
    """What ``find_gpu`` asks of CuPy beside arrays; ``error`` is what looking for a device gives.

    monkeypatch.setitem(sys.modules, "cupy", FakeCupy())
    """

    def __init__(self, error: Exception | None = None, free: int = 64 << 20) -> None:
        self._error = error
        self._free = free
        self.cuda = SimpleNamespace(
            Device=self._device,
            runtime=SimpleNamespace(getDeviceProperties=lambda _: {"name": b"Card 7"}),
            compiler=SimpleNamespace(CompileException=CompileError),
        )

    def _device(self) -> Any:
        if self._error:
            raise self._error
        return SimpleNamespace(id=0, mem_info=(self._free, 2 * self._free))
