"""The few least values of each row of a matrix, in array code that runs on a CPU or a GPU.

In: ``xp``, numpy or cupy; a block ``(q, m) float32`` of ``xp``. Out: columns ``(q, w) int64``.
Promise: exact, ascending by (value, column). Two passes over the block; beside it, memory of about
its size again; of a row, a 256th and a few times ``FOLD * w`` numbers are sorted.

Groups of columns stand for the rest: the w least values of a row lie in the w groups with the least
minima, since each group passed over is beaten by w others. So the block is folded into minima, the
minima are folded again while that is worth it, and only the members of chosen groups are sorted.

What is sorted is one long array of packed numbers (row, value, column). On a GPU that is a radix
sort, while sorting along an axis compares pairs, and ``cupy.partition`` and ``argpartition`` sort
everything. ``torch.topk`` selects by radix without folding, but brings all of torch for one
function. (Reasons from their sources; ``scripts/bench_gpu --selection`` measures on a GPU.)
"""

from __future__ import annotations

from typing import Any

FOLD = 16
"""Columns in a group. Blocks are as wide as a multiple of ``FOLD * FOLD``, to be folded twice."""
_VALUE_BITS, _KEY_BITS = 32, 64


def most_columns(rows: int) -> int:
    """How wide a block of so many rows may be: row and column share the 32 bits beside a value."""
    return 1 << (_KEY_BITS - _VALUE_BITS - max(1, (rows - 1).bit_length()))


def least_columns(xp: Any, block: Any, width: int) -> Any:
    """Columns of the ``width`` least of ``block (q, m) float32``, ``(q, width) int64``.

    Ascending by (value, column). ``width`` is at most m. The block may hold +inf, but no NaN.
    """
    rows, columns = block.shape
    bits = (columns - 1).bit_length()
    if not _worth_folding(columns, width):
        keys = _pack(xp, block, xp.arange(columns)[None, :], bits)
        return _columns(xp, _least_keys(xp, keys, width, bits), bits)
    groups = columns // FOLD
    folded = block.reshape(rows, FOLD, groups)
    first = folded.argmin(axis=1) * groups + xp.arange(groups)
    heads = _pack(xp, folded.min(axis=1), first, bits)
    group = _columns(xp, _least_keys(xp, heads, width, bits), bits) % groups
    members = xp.take_along_axis(folded, group[:, None, :], axis=2)
    positions = (xp.arange(FOLD) * groups)[None, :, None] + group[:, None, :]
    keys = _pack(xp, members.reshape(rows, -1), positions.reshape(rows, -1), bits)
    return _columns(xp, _sorted(xp, keys, width), bits)


def _least_keys(xp: Any, keys: Any, width: int, bits: int) -> Any:
    """The ``width`` least of ``keys (q, m)``, ascending.

    The column in a key, modulo any number of groups tried here, is the place of its group: m
    divides the number of columns that keys were made from, and is divided by FOLD at each fold.
    """
    rows, count = keys.shape
    if not _worth_folding(count, width):
        return _sorted(xp, keys, width)
    groups = count // FOLD
    folded = keys.reshape(rows, FOLD, groups)
    group = _columns(xp, _least_keys(xp, folded.min(axis=1), width, bits), bits) % groups
    members = xp.take_along_axis(folded, group[:, None, :], axis=2)
    return _sorted(xp, members.reshape(rows, -1), width)


def _worth_folding(columns: int, width: int) -> bool:
    return columns % FOLD == 0 and columns > 2 * FOLD * width


def _pack(xp: Any, values: Any, columns: Any, bits: int) -> Any:
    """One number for (row, value, column), ascending as these do: ``(q, m) uint64``.

    The bits of a float ascend with it once those of a negative one are turned over.
    """
    raw = xp.ascontiguousarray(values).view(xp.uint32)
    sign = xp.uint32(1 << 31)
    ordered = xp.where(raw >= sign, ~raw, raw | sign).astype(xp.uint64)
    row = xp.arange(values.shape[0]).astype(xp.uint64)[:, None]
    high = row << xp.uint64(_VALUE_BITS + bits)
    return high | (ordered << xp.uint64(bits)) | columns.astype(xp.uint64)


def _sorted(xp: Any, keys: Any, width: int) -> Any:
    return xp.sort(keys.reshape(-1)).reshape(keys.shape)[:, :width]


def _columns(xp: Any, keys: Any, bits: int) -> Any:
    return (keys & xp.uint64((1 << bits) - 1)).astype(xp.int64)
