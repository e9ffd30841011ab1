"""Where it is kept what the clusters are."""

from __future__ import annotations

from typing import Protocol

from vdbcluster.model.catalogue import Catalogue


class ClusterCatalogue(Protocol):
    """The catalogue of the clusters of one collection; whoever reads it sees all of one run."""

    @property
    def name(self) -> str:
        """Under which it can be read: ``<collection>_clusters``."""
        ...

    def read(self) -> Catalogue | None:
        """What was last stored, and edited by people since; None if there is nothing.

        A catalogue of an earlier collection of the same name counts as nothing. Raises
        ``RefusedError`` if something else has the name.
        """
        ...

    def replace(self, catalogue: Catalogue) -> None:
        """Store ``catalogue`` in place of what there is, all at once for every reader.

        Texts are cut as by ``model.catalogue.fitted``. Interrupted anywhere, readers go on seeing
        the old one, and the next ``replace`` clears up. Raises ``CollectionChangedError`` if
        the collection is not the one that the catalogue belongs to, ``RefusedError`` if something
        else has the name, ``ValueError`` if the entries do not fit the collection.
        """
        ...

    def remove(self) -> None:
        """Take it away; nothing happens where there is none. ``RefusedError`` as above."""
        ...
