"""The settings of a run that was recorded: what was done then is what is done now.

In: a manifest, the settings of now. Out: ``Settings`` of the run, on the server of now.
Promise: who to ask, by which token and how patiently is said now (or by the record, where the
address was left out), and so is how fast to write; everything that decides what is written is as it
was recorded.
"""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError

from vdbcluster.config.milvus import CONNECTION, MilvusSettings
from vdbcluster.config.settings import Settings, load_settings
from vdbcluster.errors import UsageError
from vdbcluster.model.manifest import RunManifest

AS_RECORDED = ("neighbors", "cluster", "write", "duplicates")


def recorded_settings(manifest: RunManifest, now: Settings) -> Settings:
    """See the module. Raises ``UsageError`` if the record holds settings that are none any more."""
    milvus: dict[str, Any] = dict(manifest.settings.get("milvus", {}))
    milvus |= {name: getattr(now.milvus, name) for name in CONNECTION}
    if "uri" not in now.milvus.model_fields_set:
        milvus["uri"] = manifest.selection["server"]
    milvus |= {
        "collection": manifest.collection,
        "vector_field": manifest.selection["vector_field"],
    }
    sections = {name: manifest.settings[name] for name in AS_RECORDED if name in manifest.settings}
    written = bool(manifest.settings.get("map", {}).get("write", False))
    try:
        known = MilvusSettings(**milvus)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise UsageError(
            f"the settings recorded by run {manifest.run_id} are not those of this version "
            f"(milvus.{first['loc'][0]}: {first['msg']}); run again"
        ) from error
    recorded = load_settings(sections)
    update = {name: getattr(recorded, name) for name in sections} | {"milvus": known}
    if "rate" in now.write.model_fields_set:
        write = recorded.write.model_copy(update={"rate": now.write.rate})
        update["write"] = write
    of_map = now.map.model_copy(update={"write": written})  # the rest is about a picture of now
    return now.model_copy(update=update | {"map": of_map})
