"""What the default has to reach on the main sets, and whether it does.

In: ``Results``, the names of the main sets. Out: a ``Table`` with a verdict and the figures of each
target. What cannot be told, as cells are missing, is not called reached.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from scripts._bench.quality_methods import DEFAULT, PEERS
from scripts._bench.quality_store import Result, Results
from scripts._bench.quality_variants import ROBUST
from scripts._bench.table import Table

FACTOR = 1.5
SHARE_NEAR = 0.75
BEHIND = 0.03
MOST_NOISE = 0.10
MOST_LOSS = 0.02
EQUAL = 0.01
"""Methods whose mean AMI is no further below ours are of equal quality, or better."""
TOLD = "k-means, true k"
Found = Mapping[str, Result]


@dataclass(frozen=True)
class Verdict:
    """``reached`` is None where cells are missing."""

    target: str
    reached: bool | None
    told: str

    def line(self) -> tuple[str, str, str]:
        words = {True: "reached", False: "NOT reached", None: "not measured"}
        return self.target, words[self.reached], self.told


def near(r: Result) -> bool:
    """Whether the clusters are within ``FACTOR`` of the classes."""
    return bool(1 / FACTOR <= r["clusters"] / max(1, r["classes"]) <= FACTOR)


def verdicts(results: Results, main: Sequence[str]) -> Table:
    ours = results.all_good(main, DEFAULT)
    head = ("target, on the main sets", "verdict", "figures")
    if ours is None:
        line = Verdict("all", None, f"{DEFAULT} has not been measured on all of them").line()
        return Table("Targets of the default", head, (line,), wide=True)
    told = [
        _method(ours),
        _told_k(results, ours),
        _peers(results, ours),
        _each_set(results, ours),
        _noise(ours),
        _homogeneity(ours),
        _clusters(ours),
        _time(results, ours),
        *(_robust(results, ours, variant) for variant in ROBUST),
    ]
    return Table("Targets of the default", head, tuple(v.line() for v in told), wide=True)


def _mean(found: Found, key: str = "ami") -> float:
    return float(np.mean([r[key] for r in found.values()]))


def _method(ours: Found) -> Verdict:
    used = sorted(
        {f"{r['recipe']['method']}, smooth {r['recipe']['smooth']}" for r in ours.values()}
    )
    reached = all(r["recipe"]["method"] == "hdbscan" for r in ours.values())
    return Verdict("it is HDBSCAN on the neighbour graph", reached, "; ".join(used))


def _told_k(results: Results, ours: Found) -> Verdict:
    target = "mean AMI at least that of k-means told k"
    peer = results.all_good(ours, TOLD)
    if peer is None:
        return Verdict(target, None, f"{TOLD} is missing on some sets")
    ahead = _mean(ours) - _mean(peer)
    return Verdict(target, ahead >= 0, f"{_mean(ours):.3f} against {_mean(peer):.3f}: {ahead:+.3f}")


def _peers(results: Results, ours: Found) -> Verdict:
    target = "mean AMI above every peer at its defaults"
    whole = {name: results.all_good(ours, name) for name in _untold()}
    means = {name: _mean(found) for name, found in whole.items() if found is not None}
    told = [f"{name} {value:.3f}" for name, value in sorted(means.items(), key=lambda i: -i[1])]
    told += [f"{name} not on all sets" for name, found in whole.items() if found is None]
    reached = all(_mean(ours) > value for value in means.values())
    return Verdict(
        target, _if_tried(results, ours, reached), f"{_mean(ours):.3f}; {', '.join(told)}"
    )


def _if_tried(results: Results, ours: Found, reached: bool) -> bool | None:
    """Nothing is reached before all peers have been tried; one that takes too long is beaten."""
    tried = all(results.get(name, peer) is not None for name in ours for peer in _untold())
    return reached if tried or not reached else None


def _untold() -> list[str]:
    return [peer.name for peer in PEERS if not peer.told]


def _each_set(results: Results, ours: Found) -> Verdict:
    target = f"within {BEHIND} of the best peer at its defaults on each set"
    told, reached = [], True
    for name, r in ours.items():
        found = {p: results.good(name, p) for p in _untold()}
        scores = {p: float(peer["ami"]) for p, peer in found.items() if peer}
        if not scores:
            return Verdict(target, None, f"no peer on {name}")
        best = max(scores, key=lambda p: scores[p])
        ahead = r["ami"] - scores[best]
        reached = reached and ahead >= -BEHIND
        told.append(f"{name} {ahead:+.3f} ({best} {scores[best]:.3f})")
    return Verdict(target, _if_tried(results, ours, reached), ", ".join(told))


def _noise(ours: Found) -> Verdict:
    worst = max(ours, key=lambda name: ours[name]["noise"])
    told = f"mean {_mean(ours, 'noise'):.1%}, most {ours[worst]['noise']:.1%} ({worst})"
    raw = [(r["raw"] or r)["noise"] for r in ours.values()]
    told += f"; raw {np.mean(raw):.1%}"
    reached = _mean(ours, "noise") <= MOST_NOISE
    return Verdict(f"at most {MOST_NOISE:.0%} noise, on the mean", reached, told)


def _homogeneity(ours: Found) -> Verdict:
    """Over all rows, noise as one class: over clustered rows alone noise can only help."""
    raw = {name: r["raw"] or r for name, r in ours.items()}
    now, before = _mean(ours, "homogeneity"), _mean(raw, "homogeneity")
    lower = [n for n in ours if ours[n]["homogeneity"] < raw[n]["homogeneity"] - 1e-9]
    told = f"{now:.3f}, before {before:.3f}; lower on {', '.join(lower) or 'no set'}; over "
    told += f"clustered rows {_mean(ours, 'homogeneity_clustered'):.3f}, before "
    told += f"{_mean(raw, 'homogeneity_clustered'):.3f}"
    return Verdict("mean homogeneity of all rows no lower than before", now >= before, told)


def _clusters(ours: Found) -> Verdict:
    far = [f"{name} {r['clusters']} for {r['classes']}" for name, r in ours.items() if not near(r)]
    good = len(ours) - len(far)
    told = f"{good} of {len(ours)}" + (f"; not: {', '.join(far)}" if far else "")
    target = f"clusters within a factor of {FACTOR} of the classes for {SHARE_NEAR:.0%} of the sets"
    return Verdict(target, good >= SHARE_NEAR * len(ours), told)


def _time(results: Results, ours: Found) -> Verdict:
    target = "CPU time at most that of the fastest peer of equal quality"
    own = _seconds(ours)
    whole = {name: results.all_good(ours, name) for name in _untold()}
    done = {name: found for name, found in whole.items() if found is not None}
    if not done:
        return Verdict(target, None, "no peer on all sets")
    equal = {name: f for name, f in done.items() if _mean(f) >= _mean(ours) - EQUAL}
    if equal:
        fastest = min(equal, key=lambda name: _seconds(equal[name]))
        theirs = _seconds(equal[fastest])
        told = f"{own:.1f} s; {fastest} {theirs:.1f} s"
    else:
        best = max(done, key=lambda name: _mean(done[name]))
        theirs = own
        told = f"{own:.1f} s; no peer is of equal quality, the best is {best}: "
        told += f"{_seconds(done[best]):.1f} s, AMI {_mean(done[best]):.3f}"
    slower = _slower(results, ours)
    told += f"; slower than a peer of equal quality on {slower}" if slower else ""
    return Verdict(target, own <= theirs, told)


def _slower(results: Results, ours: Found) -> str:
    """The sets on which a peer that is as good there is faster."""
    told = []
    for name, r in ours.items():
        found = {p: results.good(name, p) for p in _untold()}
        equal = {p: o["cpu"] for p, o in found.items() if o and o["ami"] >= r["ami"] - EQUAL}
        fastest = min(equal, key=lambda p: equal[p], default=None)
        if fastest is not None and equal[fastest] < r["cpu"]:
            told.append(f"{name} ({r['cpu']:.1f} s, {fastest} {equal[fastest]:.1f} s)")
    return ", ".join(told)


def _seconds(found: Found) -> float:
    return float(sum(r["cpu"] for r in found.values()))


def _robust(results: Results, ours: Found, variant: str) -> Verdict:
    target = f"mean AMI loses at most {MOST_LOSS} with {variant}"
    changed = results.all_good(ours, DEFAULT, variant)
    if changed is None:
        return Verdict(target, None, "--robust measures it")
    losses = {name: ours[name]["ami"] - changed[name]["ami"] for name in ours}
    worst = max(losses, key=lambda name: losses[name])
    lost = float(np.mean(list(losses.values())))
    told = f"{lost:+.3f}, worst {losses[worst]:+.3f} ({worst})"
    return Verdict(target, lost <= MOST_LOSS, told)
