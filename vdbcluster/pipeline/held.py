"""What is known of the clusters before a run says anything.

In: outlets. Out: the catalogue that is stored, and what the manifest says of it.
Promise: a server that will not say what it holds gets no catalogue, but the labels.
"""

from __future__ import annotations

from typing import Any

from vdbcluster.errors import BackendError, BackendUnavailableError, CollectionChangedError
from vdbcluster.model.catalogue import Catalogue
from vdbcluster.pipeline.adapters import Outlets
from vdbcluster.ports import Observer


def catalogue_before(
    outlets: Outlets, observer: Observer
) -> tuple[Catalogue | None, dict[str, Any]]:
    """None where there is none yet; no facts where none is kept.

    Raises ``BackendUnavailableError``, ``CollectionChangedError``; other failures are a warning,
    and the facts hold no ``name`` then.
    """
    if outlets.catalogue is None:
        return None, {}
    try:
        catalogue = outlets.catalogue()
        return catalogue.read(), {"name": catalogue.name, "written": False}
    except (BackendUnavailableError, CollectionChangedError):
        raise
    except BackendError as error:
        observer.warn(f"no catalogue of the clusters is kept: {error}")
        return None, {"error": str(error), "written": False}
