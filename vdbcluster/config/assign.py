"""Settings of ``assign``: when a row that came later joins a cluster, and when rows are a new one.

The other thresholds of ``model.assign.AssignParams`` hold nothing to choose: they are quantiles.
"""

from __future__ import annotations

from vdbcluster.config.base import Section, Share, setting


class AssignSettings(Section):
    """Assign: labels for rows that came after the last run."""

    min_support: Share = setting(
        0.3, "Least share of a row's neighbours that must be in a cluster for it to join."
    )
    emerge: bool = setting(True, "Look for clusters that form among rows that no cluster takes.")
    min_emergence_stability: Share = setting(
        0.6, "How well a forming cluster must be found again in samples of its rows."
    )
