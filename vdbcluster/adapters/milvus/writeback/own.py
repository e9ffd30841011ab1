"""Collections that are ours, and what marks them.

In: a ``CollectionProfile``. Out: what the collection is, if it is one of ours. Promise: goes by
what we put into the schema, and by a name that nobody else would choose: descriptions and
properties of a collection do not survive on Lite.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from dataclasses import dataclass

from vdbcluster.model.collection import CollectionProfile

LABELS_OF = "vdbcluster_labels_of_"
"""How the placeholder vector of a side collection begins."""
SCRATCH = "vdbcluster_probe"
SCRATCH_NAME = re.compile(rf"{SCRATCH}_(\d+)_[0-9a-f]{{8}}")
"""Name of a scratch collection; the group is the second in which it was made."""
_GENERATION = re.compile(r"(.+)_vdbcluster_([0-9a-f]{16})_(\w*)_([0-9a-f]{6})")


@dataclass(frozen=True, slots=True)
class Generation:
    """What the name of a collection says that holds one state of a catalogue of clusters.

    ``catalogue``: the alias that it is made for; ``owner``: digest of the identity of the
    collection whose clusters these are; ``run_id``: of the run that wrote it; ``nonce``: six
    digits, so that two of one run differ.
    """

    catalogue: str
    owner: str
    run_id: str
    nonce: str

    @property
    def name(self) -> str:
        """Letters, digits and underscores alone, as servers want it."""
        run = re.sub("[^0-9A-Za-z]", _escaped, self.run_id)
        return f"{self.catalogue}_vdbcluster_{self.owner}_{run}_{self.nonce}"

    def is_of(self, identity: str) -> bool:
        """Whether it belongs to the collection of this identity."""
        return self.owner == _digest(identity)


def new_generation(catalogue: str, identity: str, run_id: str) -> Generation:
    """A generation whose name nobody has."""
    return Generation(catalogue, _digest(identity), run_id, secrets.token_hex(3))


def generation_of(name: str) -> Generation | None:
    """What the name of a collection says, if it is that of a generation of a catalogue."""
    found = _GENERATION.fullmatch(name)
    if found is None:
        return None
    catalogue, owner, run, nonce = found.groups()
    return Generation(catalogue, owner, re.sub("(?:_[0-9a-f]{2})+", _plain, run), nonce)


def labels_of(identity: str) -> str:
    """The placeholder's name in the side collection of the collection of this identity."""
    return f"{LABELS_OF}{_digest(identity)}"


def own_purpose(found: CollectionProfile) -> str:
    """What a collection of ours is for; empty if it is the user's."""
    if any(vector.name.startswith(LABELS_OF) for vector in found.vectors):
        return "holds labels that vdbcluster wrote for the rows of another collection"
    if SCRATCH_NAME.fullmatch(found.name):
        return "is a scratch collection in which vdbcluster tries what the server can do"
    if generation_of(found.name):
        return "holds the catalogue of the clusters of another collection"
    return ""


def _digest(identity: str) -> str:
    return hashlib.sha256(identity.encode()).hexdigest()[:16]


def _escaped(found: re.Match[str]) -> str:
    return "".join(f"_{byte:02x}" for byte in found.group().encode())


def _plain(found: re.Match[str]) -> str:
    return bytes.fromhex(found.group().replace("_", "")).decode("utf-8", "replace")
