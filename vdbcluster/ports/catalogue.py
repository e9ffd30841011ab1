"""Where it is kept what the clusters are."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from typing import Protocol

from vdbcluster.errors import UsageError
from vdbcluster.model.catalogue import Catalogue, CatalogueEntry

Change = Callable[[Catalogue], Iterable[CatalogueEntry]]
"""From the catalogue as it is: the entries that are to be in place of those of their ids.

Applied to what it has made it changes nothing more: an edit that meets a run is made twice.
"""


def no_catalogue(collection: str) -> UsageError:
    """What ``edit`` raises where nothing is stored."""
    return UsageError(f"{collection!r} has no catalogue of clusters yet; vdbcluster run makes it")


class Ready(Protocol):
    """A catalogue that is stored, and that nobody sees yet."""

    def show(self) -> None:
        """Put it in the place of what there is, all at once for every reader."""
        ...


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

    def reserved(self, run_id: str) -> AbstractContextManager[ClusterCatalogue | None]:
        """Make room for the catalogue of a run; None where that would gain nothing.

        Servers take seconds for it. ``prepare`` of what the context gives will fill it; unless it
        has, the room goes with the context. Nobody sees it before. What a run has left that was
        killed meanwhile goes, too.
        """
        ...

    def prepare(self, catalogue: Catalogue, *, since: Catalogue | None = None) -> Ready:
        """The first step of ``replace``, which may be taken while labels are written.

        Nobody sees a difference before the second; what is never shown, the next ``replace`` clears
        up. Raises as ``replace`` does.
        """
        ...

    def replace(self, catalogue: Catalogue, *, since: Catalogue | None = None) -> None:
        """Store ``catalogue`` in place of what there is, all at once for every reader.

        ``since``: what was read when it was made; edits by people from then on stay (see
        ``model.edits``), also those made while this works. Without it nothing stays.
        Texts are cut as by ``model.catalogue.fitted``. Interrupted anywhere, readers go on seeing
        the old one, and the next ``replace`` clears up. Raises ``CollectionChangedError`` if
        the collection is not the one that the catalogue belongs to, ``RefusedError`` if something
        else has the name, ``ValueError`` if the entries do not fit the collection.
        """
        ...

    def edit(self, change: Change) -> Catalogue:
        """Store what ``change`` makes of a few entries, all other entries untouched.

        What ``change`` raises is passed on, and nothing is stored then. Returns the catalogue as it
        is afterwards. Raises ``UsageError`` if there is none, ``RefusedError`` as above.
        """
        ...

    def remove(self) -> None:
        """Take it away; nothing happens where there is none. ``RefusedError`` as above."""
        ...
