"""All tables of the quality bench.

In: ``Results``, the sets to be shown, the mark of the present code. Out: a list of ``Table``.
Means are over the main sets shown, and only of methods that have a result on all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np

from scripts._bench.quality_data import LabelledSet
from scripts._bench.quality_methods import DEFAULT, GROUPS, METHODS
from scripts._bench.quality_store import Result, Results
from scripts._bench.quality_targets import FACTOR, near, verdicts
from scripts._bench.quality_variants import REORDERED, RESIZED
from scripts._bench.table import Table

ABSENT = "-"
MEANS = (
    f"AMI, ARI, homog.: over all rows, noise a class of its own; clustered: homogeneity over "
    f"clustered rows alone; raw: before noise was given to clusters, where that is done; "
    f"k x{FACTOR}: sets whose clusters are within that factor of the classes; CPU s, wall s: sum "
    "over the sets, the neighbour pass included; MB: greatest peak beyond what was held before."
)
Figure = Callable[[Result], str]


def tables(results: Results, shown: Sequence[LabelledSet], code: str) -> list[Table]:
    """See the module; a table of which nothing is measured is left out."""
    known = {name for (name, _, _), _ in results}
    main = [s.name for s in shown if s.main] if known else []
    extra = [s.name for s in shown if not s.main and s.name in known]
    methods = [name for name in METHODS if name in results.methods()]
    found = []
    if main:
        found += [
            _means(results, main, methods),
            by_set("AMI by set", results, main, methods, ami, mean=True),
            by_set("Noise by set (raw)", results, main, methods, noise),
            by_set("Clusters by set", results, main, methods, clusters, truth=True),
            by_set("CPU seconds by set", results, main, methods, cpu),
            verdicts(results, main),
            *_robust(results, main),
            *_against(results, main),
        ]
    if extra:
        found += [
            *_default_on(results, extra),
            by_set("AMI, other sets", results, extra, methods, ami),
            by_set("Clusters, other sets", results, extra, methods, clusters, truth=True),
        ]
    return [*found, *_remarks(results, code)]


def _means(results: Results, main: Sequence[str], methods: Iterable[str]) -> Table:
    head = ("", "AMI", "ARI", "homog.", "clustered", "noise", "raw AMI", "raw homog.")
    head += ("raw clustered", "raw noise", f"k x{FACTOR}", "CPU s", "wall s", "MB")
    lines = []
    for method in methods:
        found = results.all_good(main, method)
        if found is None:
            done = sum(results.good(name, method) is not None for name in main)
            lines.append((method, f"{done}/{len(main)} sets", *[ABSENT] * (len(head) - 2)))
        else:
            lines.append((method, *_mean_line(list(found.values()))))
    return Table(f"Mean over {', '.join(main)}", head, tuple(lines), (MEANS,))


KEYS = ("ami", "ari", "homogeneity", "homogeneity_clustered", "noise")
RAW_KEYS = ("ami", "homogeneity", "homogeneity_clustered", "noise")


def _mean_line(found: Sequence[Result]) -> list[str]:
    raw = [r["raw"] for r in found if gave(r)]
    before = [r["raw"] if gave(r) else r for r in found]
    return [
        *(_shown(key, _mean(r[key] for r in found)) for key in KEYS),
        *(_shown(key, _mean(r[key] for r in before)) if raw else ABSENT for key in RAW_KEYS),
        f"{sum(map(near, found))}/{len(found)}",
        f"{sum(r['cpu'] for r in found):.1f}",
        f"{sum(r['wall'] for r in found):.1f}",
        f"{max(r['memory'] for r in found):.0f}",
    ]


def gave(r: Result) -> bool:
    """Whether noise was given to clusters."""
    return bool(r.get("raw")) and r["raw"]["noise"] > r["noise"]


def _shown(key: str, value: float) -> str:
    return f"{value:.1%}" if key == "noise" else f"{value:.3f}"


def _mean(values: Iterable[float]) -> float:
    return float(np.mean(list(values)))


def ami(r: Result) -> str:
    return f"{r['ami']:.3f}" if "ami" in r else ABSENT


def noise(r: Result) -> str:
    return f"{r['noise']:.0%}" + (f" ({r['raw']['noise']:.0%})" if gave(r) else "")


def clusters(r: Result) -> str:
    return str(r["clusters"])


def cpu(r: Result) -> str:
    return f"{r['cpu']:.2f}"


def by_set(
    title: str,
    results: Results,
    names: Sequence[str],
    methods: Iterable[str],
    figure: Figure,
    *,
    truth: bool = False,
    mean: bool = False,
) -> Table:
    """A line for each method, a column for each set; ``truth``: the classes on top."""
    lines = [("truth", *(_classes(results, name) for name in names))] if truth else []
    for method in methods:
        cells = [_cell(results.get(name, method), figure) for name in names]
        if mean:
            found = results.all_good(names, method)
            cells.append(f"{_mean(r['ami'] for r in found.values()):.3f}" if found else ABSENT)
        lines.append((method, *cells))
    return Table(title, ("", *names, *(["mean"] if mean else [])), tuple(lines))


def _cell(found: Result | None, figure: Figure) -> str:
    if found is None:
        return ABSENT
    note = found.get("note")
    return (note if note.startswith(">") else "failed") if note else figure(found)


def _classes(results: Results, name: str) -> str:
    known = {r["classes"] for (found, _, _), r in results if found == name and "classes" in r}
    return str(max(known)) if known and max(known) else ABSENT


def _robust(results: Results, main: Sequence[str]) -> list[Table]:
    names = {*RESIZED, *REORDERED}
    variants = [variant for variant in results.variants() if variant in names]
    if not variants:
        return []
    lines = []
    for variant in variants:
        losses = loss(results, main, variant)
        cells = [ABSENT if value is None else f"{value:+.3f}" for value in losses.values()]
        known = [value for value in losses.values() if value is not None]
        whole = len(known) == len(main)
        summary = (f"{_mean(known):+.3f}", f"{max(known):+.3f}") if whole else (ABSENT, ABSENT)
        lines.append((variant, *cells, *summary))
    title = "Robustness of the default: AMI that is lost (negative: gained)"
    return [Table(title, ("", *main, "mean", "worst"), tuple(lines))]


def loss(results: Results, main: Sequence[str], variant: str) -> Mapping[str, float | None]:
    """AMI of the default less that of its variant."""
    told: dict[str, float | None] = {}
    for name in main:
        plain, changed = (results.good(name, DEFAULT, v) for v in ("", variant))
        told[name] = plain["ami"] - changed["ami"] if plain and changed else None
    return told


def _against(results: Results, main: Sequence[str]) -> list[Table]:
    variants = [variant for variant in results.variants() if "=" in variant]
    settings = dict.fromkeys(variant.split("=")[0] for variant in variants)
    return [_against_one(results, main, name, variants) for name in settings]


def _against_one(results: Results, main: Sequence[str], name: str, variants: list[str]) -> Table:
    mine = [variant for variant in variants if variant.split("=")[0] == name]
    head = (name, "AMI", "homog.", "clustered", "noise", "raw AMI", "raw noise")
    head += (f"k x{FACTOR}", "CPU s", *main)
    lines = []
    for variant in ["", *sorted(mine, key=_value)]:
        shown = variant.split("=")[1] if variant else DEFAULT
        cells = [_cell(results.get(s, DEFAULT, variant), _ami_and_clusters) for s in main]
        found = results.all_good(main, DEFAULT, variant)
        nothing = [ABSENT] * (len(head) - 1 - len(main))
        means = _against_means(list(found.values())) if found else nothing
        lines.append((shown, *means, *cells))
    return Table(f"The default against {name}: AMI / clusters by set", head, tuple(lines))


def _value(variant: str) -> tuple[float, str]:
    value = variant.split("=")[1]
    return (float(value), "") if value.replace(".", "", 1).isdigit() else (0.0, value)


def _against_means(found: Sequence[Result]) -> list[str]:
    before = [r["raw"] if gave(r) else r for r in found]
    return [
        *(_shown(key, _mean(r[key] for r in found)) for key in KEYS if key != "ari"),
        *(_shown(key, _mean(r[key] for r in before)) for key in ("ami", "noise")),
        f"{sum(map(near, found))}/{len(found)}",
        f"{sum(r['cpu'] for r in found):.1f}",
    ]


def _ami_and_clusters(r: Result) -> str:
    return f"{ami(r)} / {clusters(r)}"


def _default_on(results: Results, names: Sequence[str]) -> list[Table]:
    head = ("", "rows", "classes", "clusters", "largest", "noise (raw)", "AMI", "raw AMI", "CPU s")
    lines = []
    for name in names:
        r = results.good(name, DEFAULT)
        if r is not None:
            raw = ami(r["raw"]) if gave(r) else ABSENT
            figures = (f"{r['largest']:.0%}", noise(r), ami(r), raw, cpu(r))
            sizes = (str(r["rows"]), str(r["classes"] or ABSENT), clusters(r))
            lines.append((name, *sizes, *figures))
    return [Table("The default on other sets", head, tuple(lines))] if lines else []


def _remarks(results: Results, code: str) -> list[Table]:
    """What failed, and what was measured with other code than the present one."""
    told: list[tuple[str, str]] = []
    stale: dict[str, int] = {}
    for (name, method, variant), r in results:
        if str(r.get("note", "")).startswith("failed"):
            told.append((f"{name}, {method} {variant}".rstrip(), r["note"]))
        if method in GROUPS["ours"] and r.get("code", code) != code:
            stale[method] = stale.get(method, 0) + 1
    for method, number in stale.items():
        told.append((method, f"{number} cells of other code than this; --again ours"))
    return [Table("Remarks", ("", "what"), tuple(told), wide=True)] if told else []
