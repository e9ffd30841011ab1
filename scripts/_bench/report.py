"""Tables, growth and targets from what was measured.

In: ``{backend: {n: {case: result}}}``. Out: text.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

STAGES = ("other", "read", "neighbors", "audit", "cluster", "plan", "write")
HEADS = ("other", "read", "neigh.", "audit", "cluster", "plan", "write")
Result = Mapping[str, Any]
Sizes = Mapping[int, Mapping[str, Result]]

LEGEND = """\
other: what no stage counts: interpreter, imports, connecting, probing for the way of writing, the
table of clusters, exit. total: wall seconds of one `vdbcluster run`, from start to exit; CPU: of
its process alone. MB: its peak resident memory; bare: that of a process which only opens and loads
the collection (Lite lives inside the process). outside: share of the total that is not the
neighbour pass. floor: seconds of the bare neighbour search (b). dense: seconds of the dense recipe
(a)."""


def table(sizes: Sizes) -> str:
    """One row for each size."""
    head = f"{'rows':>8} " + "".join(f"{name:>8}" for name in HEADS)
    head += f"{'total':>9}{'CPU':>8}{'MB':>7}{'bare':>7}{'outside':>9}"
    head += f"{'floor':>8}{'p/b':>6}{'dense':>9}{'a/p':>7}"
    lines = [head, *(_line(n, cases) for n, cases in sorted(sizes.items()))]
    notes = [
        f"{n:,} {case}: {result['note']}"
        for n, cases in sorted(sizes.items())
        for case, result in cases.items()
        if "note" in result
    ]
    return "\n".join([*lines, *notes])


def _line(n: int, cases: Mapping[str, Result]) -> str:
    product, floor, dense = (cases.get(c, {}) for c in ("product", "floor", "dense"))
    seconds, total = product.get("seconds", {}), product.get("total")
    text = f"{n:>8} " + "".join(_cell(seconds.get(s), 8, 2) for s in STAGES)
    text += _cell(total, 9, 2) + _cell(product.get("cpu"), 8, 1) + _cell(product.get("peak_mb"), 7)
    text += _cell(cases.get("bare", {}).get("peak_mb"), 7)
    outside = share_outside(product)
    text += _cell(outside and 100 * outside, 8, 1) + ("%" if outside else " ")
    text += _cell(floor.get("seconds"), 8, 2) + _cell(ratio(total, floor.get("seconds")), 6, 2)
    dense_total = dense.get("total")
    mark = ">" if "note" in dense else ""
    text += f"{mark + f'{dense_total:.1f}':>9}" if dense_total else f"{'-':>9}"
    faster = ratio(dense_total, total)
    return text + (f"{mark + f'{faster:.1f}':>7}" if faster else f"{'-':>7}")


def _cell(value: float | None, width: int, digits: int = 0) -> str:
    return f"{'-':>{width}}" if value is None else f"{value:>{width}.{digits}f}"


def ratio(above: float | None, below: float | None) -> float | None:
    """None where either is missing."""
    return above / below if above and below else None


def share_outside(product: Result) -> float | None:
    """Share of the whole that is not the neighbour pass."""
    total, neighbors = product.get("total"), product.get("seconds", {}).get("neighbors")
    return None if total is None or neighbors is None else 1 - neighbors / total


def growth(sizes: Sizes) -> str:
    """Exponents of n, fitted by least squares of log seconds over log n."""
    parts: dict[str, Callable[[Result], float]] = {
        "total": lambda p: p["total"],
        "neighbours": lambda p: p["seconds"]["neighbors"],
        "everything else": lambda p: p["total"] - p["seconds"]["neighbors"],
        "cluster": lambda p: p["seconds"]["cluster"],
    }
    measured = {n: c["product"] for n, c in sizes.items() if "note" not in c.get("product", "note")}
    told = []
    for name, of in parts.items():
        exponent = fitted({n: of(product) for n, product in measured.items()})
        if exponent is not None:
            told.append(f"{name} {exponent:.2f}")
    return f"growth exponent: {', '.join(told)}" if told else ""


def fitted(seconds: Mapping[int, float]) -> float | None:
    """Slope of log seconds over log n; None for fewer than two sizes."""
    if len(seconds) < 2:
        return None
    x, y = [math.log(n) for n in seconds], [math.log(max(s, 1e-3)) for s in seconds.values()]
    mx, my = sum(x) / len(x), sum(y) / len(y)
    above = sum((a - mx) * (b - my) for a, b in zip(x, y, strict=True))
    return above / sum((a - mx) ** 2 for a in x)


def targets(results: Mapping[str, Sizes]) -> list[str]:
    """What was aimed at, and what was reached, for each backend that was measured."""
    lines = []
    for backend, sizes in results.items():
        at = {n: cases.get("product", {}) for n, cases in sizes.items()}
        outside = share_outside(at.get(50_000, {})) if backend == "server" else None
        if outside is not None:
            lines.append(_target(backend, "outside at 50k <= 25 %", outside <= 0.25, outside, "%"))
        peak = at.get(100_000, {}).get("peak_mb")
        if peak and backend != "lite":
            lines.append(_target(backend, "peak MB at 100k < 1000", peak < 1000, peak))
        faster = ratio(
            sizes.get(5000, {}).get("dense", {}).get("total"), at.get(5000, {}).get("total")
        )
        if faster is not None:
            lines.append(_target(backend, "dense / product at 5k >= 20", faster >= 20, faster))
    return lines


def _target(backend: str, what: str, reached: bool, value: float, unit: str = "") -> str:
    shown = f"{value:.1%}" if unit else f"{value:.1f}"
    return f"{backend}: {what}: {shown}, {'reached' if reached else 'MISSED'}"
