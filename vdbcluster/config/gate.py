"""Settings of the gate: how much a run may change before somebody has to agree."""

from __future__ import annotations

from vdbcluster.config.base import Section, Share, setting


class GateSettings(Section):
    """Gate: a run beyond these limits is refused, unless --yes."""

    max_moved: Share = setting(
        0.5, "Largest share of the labelled rows that may move to another cluster, or to noise."
    )
    max_died: Share = setting(0.5, "Largest share of the clusters that may end.")
    max_noise_share: Share = setting(1.0, "Largest share of the rows that may be noise.")
    min_recall: Share = setting(
        0.7, "Least recall of the neighbour search, by the audit (upper end of its interval)."
    )
    min_stability: Share = setting(0.0, "Least mean stability of the clusters.")
