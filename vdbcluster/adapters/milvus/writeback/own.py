"""Collections that are ours, and what marks them.

In: a ``CollectionProfile``. Out: what the collection is, if it is one of ours. Promise: goes by
what we put into the schema, and by a name that nobody else would choose: descriptions and
properties of a collection do not survive on Lite.
"""

from __future__ import annotations

import hashlib
import re

from vdbcluster.model.collection import CollectionProfile

LABELS_OF = "vdbcluster_labels_of_"
"""How the placeholder vector of a side collection begins."""
SCRATCH = "vdbcluster_probe"
SCRATCH_NAME = re.compile(rf"{SCRATCH}_(\d+)_[0-9a-f]{{8}}")
"""Name of a scratch collection; the group is the second in which it was made."""


def labels_of(identity: str) -> str:
    """The placeholder's name in the side collection of the collection of this identity."""
    return f"{LABELS_OF}{hashlib.sha256(identity.encode()).hexdigest()[:16]}"


def own_purpose(found: CollectionProfile) -> str:
    """What a collection of ours is for; empty if it is the user's."""
    if any(vector.name.startswith(LABELS_OF) for vector in found.vectors):
        return "holds labels that vdbcluster wrote for the rows of another collection"
    if SCRATCH_NAME.fullmatch(found.name):
        return "is a scratch collection in which vdbcluster tries what the server can do"
    return ""
