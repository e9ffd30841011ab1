"""A ``Ready`` catalogue of which nothing is stored before it is shown.

In: a catalogue to replace, by what. Out: ``Ready``. Promise: ``show`` is ``replace``. For stores
that gain nothing by being prepared beside other work.
"""

from __future__ import annotations

from dataclasses import dataclass

from vdbcluster.model.catalogue import Catalogue
from vdbcluster.ports.catalogue import ClusterCatalogue


@dataclass(frozen=True)
class Later:
    """See the module."""

    held: ClusterCatalogue
    catalogue: Catalogue
    since: Catalogue | None

    def show(self) -> None:
        """See ``ports.catalogue``."""
        self.held.replace(self.catalogue, since=self.since)
