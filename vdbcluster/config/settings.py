"""All settings, validated once and frozen.

In: command-line values, environment (``VDBCLUSTER__MILVUS__URI``), ``vdbcluster.toml``; the first
that names a setting wins, in this order. Out: ``Settings``. Promise: a wrong value is told in one
line with its name; the token never appears in ``repr``, JSON or a run.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from tomllib import TOMLDecodeError
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError, model_validator
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
    TomlConfigSettingsSource,
)

from vdbcluster.config.assign import AssignSettings
from vdbcluster.config.base import Auto, Count, Rate, Section, Share, Size, setting
from vdbcluster.config.chat import ChatSettings
from vdbcluster.config.commentary import CommentarySettings
from vdbcluster.config.dense import DenseSettings
from vdbcluster.config.duplicates import DuplicateSettings
from vdbcluster.config.explain import ExplainSettings
from vdbcluster.config.features import FeatureSettings
from vdbcluster.config.gate import GateSettings
from vdbcluster.config.ingest import EmbedSettings, IngestSettings, SourceSettings
from vdbcluster.config.lock import LockSettings
from vdbcluster.config.map import MapSettings
from vdbcluster.config.milvus import MilvusSettings
from vdbcluster.config.picture import PictureSettings
from vdbcluster.config.report import ReportSettings
from vdbcluster.config.scale import ScaleSettings
from vdbcluster.config.serve import ServeSettings
from vdbcluster.config.telemetry import TelemetrySettings
from vdbcluster.config.worker import WorkerSettings
from vdbcluster.errors import UsageError
from vdbcluster.model.params import DENSITY, Join, Method, SelectionMethod

CONFIG_FILE = "vdbcluster.toml"
ENV_PREFIX = "VDBCLUSTER__"
FEW_NEIGHBORS = 30
SECRET: dict[str, set[str]] = {
    "milvus": {"token", "uri"},
    "scale": {"scheduler", "work_dir"},
    "embed": {"api_key", "base_url"},
    "chat": {"api_key", "base_url"},
    "serve": {"access_token"},
    "telemetry": {"webhook", "pushgateway"},
}
"""What no record may hold: secrets, and addresses that may have a password in them."""
MAX_NEIGHBORS = 16_000  # a server answers at most 16,384 hits, self and strangers included


class NeighborSettings(Section):
    """Neighbours: who finds them and how far apart they are said to be."""

    engine: Literal["auto", "milvus", "local", "gpu"] = setting(
        "auto",
        "Who searches: milvus (ANN search on the server), local (faiss on the streamed vectors), "
        "gpu (every pair of them, exact; of millions a graph, if cuVS is installed; not tried on a "
        "GPU yet), auto (milvus where it has an ANN index, else gpu for many rows where there is "
        "one, else local).",
        "--neighbors",
    )
    n_neighbors: Annotated[int, Field(ge=1, le=MAX_NEIGHBORS)] | Auto = setting(
        "auto", "Neighbours per row; auto: the root of the number of rows, 15 to 50."
    )
    metric: Literal["auto", "euclidean", "chord", "angular", "hamming", "jaccard"] = setting(
        "auto", "Distance; auto follows the index: L2 euclidean, COSINE and IP chord."
    )
    effort: Literal["low", "medium", "high"] = setting(
        "medium", "Search effort of approximate search: recall against time."
    )
    concurrency: int = setting(2, "Searches under way at once, or threads.", ge=1, le=64)
    batch: int = setting(500, "Vectors per search call.", "--search-batch", ge=1, le=16_384)
    center: Literal["auto", "none", "mean", "language"] = setting(
        "auto",
        "Subtract from the vectors their mean, or that of their text's language (local search "
        "only); auto: the mean, if vectors point one way and the method is auto.",
    )
    smooth: Literal["auto", "none", "shared-neighbors", "spectral"] = setting(
        "auto",
        "Distance on the edges: as searched, 1 - share of neighbours in common, or between slow "
        "random walks on the graph; auto: spectral for method auto and layers, else none.",
    )
    audit: int = setting(200, "Rows whose neighbours are checked by exact search.", ge=0)
    memory_mb: int = setting(
        512,
        "Memory for vectors, and for a local index; beyond it they lie in temporary files.",
        ge=16,
    )


class ClusterSettings(Section):
    """Clustering: the method, and the parameters of HDBSCAN under their usual names."""

    method: Literal[Auto, Method] = setting(
        "auto",
        "auto (hdbscan on the graph smoothed by its slow walks, noise given to its neighbours), "
        "hdbscan, leaf (its smallest clusters), layers (coarse to fine), umap+hdbscan, kmeans "
        "(everything sorted), leiden (communities).",
    )
    engine: Literal["default", "compatible", "dense"] = setting(
        "default",
        "default (does not depend on row order), compatible (bit-equal to hdbscan 0.8.43 on the "
        "infinity-padded matrix), dense (that matrix itself, n x n).",
    )
    min_cluster_size: Size | Auto = setting(
        "auto", "Smallest group that counts as a cluster; auto: a quarter of the root of the rows."
    )
    min_samples: Count | Auto = setting(
        "auto", "Core distance is that to this many-th neighbour; auto: at most 10."
    )
    cluster_selection_method: SelectionMethod = setting(
        "eom", "eom (excess of mass: few, stable) or leaf (many, small)."
    )
    cluster_selection_epsilon: float = setting(
        0.0, "Do not split clusters below this distance.", ge=0
    )
    max_cluster_size: int = setting(0, "Largest cluster that eom selects; 0 is no limit.", ge=0)
    allow_single_cluster: bool = setting(False, "All rows may be one cluster.")
    join: Join | None = setting(
        None,
        "Parts that the graph leaves apart are joined at the largest finite edge (max, default), "
        "at infinity (inf, default of compatible and dense) or by real distances (bridge).",
    )
    max_noise: Share | Auto = setting(
        "auto",
        "Share of rows that may stay noise: the others are given to the clusters of their "
        "neighbours; 1 gives none. Auto: see --method.",
    )
    min_confidence: Share | Auto = setting(
        "auto", "Least share of its neighbours' vote that gives a noise row to a cluster."
    )
    merge: Share | Auto = setting(
        "auto", "How readily clusters that share many edges are merged; 0 merges none."
    )
    n_clusters: Size | Auto = setting(
        "auto", "Number of clusters of kmeans; auto: that of the slow walks on the graph."
    )
    n_layers: int = setting(
        4,
        "Layers of method layers, at 1, 2, 4 ... times min_cluster_size, at most.",
        ge=1,
        le=16,
    )
    recurse: int = setting(
        0,
        "Levels to go into large clusters: each is clustered again by itself, and what is found is "
        "written as cluster_path, such as 3/1/2; 0 goes into none.",
        ge=0,
        le=16,
    )
    recurse_min_size: int = setting(500, "Smallest cluster that --recurse goes into.", ge=20)
    recurse_by: Literal["auto", "graph", "umap"] = setting(
        "auto",
        "How --recurse sees the members of a cluster: by the slow walks on their own neighbour "
        "graph, or by a layout of them by UMAP; auto: graph, but umap for method umap+hdbscan.",
    )
    resamples: int = setting(
        5, "Samples of the graph that give each cluster its stability; 0 is none.", ge=0, le=100
    )
    hold: Share = setting(
        0.0,
        "By what share of its neighbours another cluster must be ahead before a labelled row "
        "leaves its own (0.05 for a schedule); 0 writes every row as found.",
    )
    certify: bool = setting(
        False, "Search again until every merge is proven equal to HDBSCAN on the vectors."
    )


class WriteSettings(Section):
    """Writing: how labels are written back, and what the user has agreed to."""

    way: Literal[
        "auto", "add-field", "partial-upsert", "lite-merge", "guarded-upsert", "side-collection"
    ] = setting("auto", "How labels are written; auto takes the safest that works.", "--write-way")
    label_prefix: str = setting(
        "cluster_", "Prefix of the fields written.", pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,39}$"
    )
    allow_full_upsert: bool = setting(
        False, "On servers before 2.6, rewrite whole rows (re-read just before) if need be."
    )
    adopt: bool = setting(False, "Overwrite fields of our names that hold somebody else's data.")
    accept_mismatch: bool = setting(
        False, "Write even if the rows read do not agree with the server's count."
    )
    catalogue: bool = setting(
        True, "Keep what the clusters are in a collection of its own, <collection>_clusters."
    )
    catalogue_name: str = setting("", "Another name for that collection.")
    batch: int | None = setting(
        None,
        "Rows per write call; default 1000, or 8192 into a side collection.",
        "--write-batch",
        ge=1,
        le=16_384,
    )
    rate: Rate | Literal["none", "auto"] = setting(
        "none",
        "Rows written a second, at most: a number, none (as fast as they are taken), or auto (so "
        "that searches of others stay about as quick as they were before the writing).",
        "--write-rate",
    )


class RunSettings(Section):
    """Run: where it is kept, and the seed of everything that draws lots."""

    runs_dir: Path = setting(Path("vdbcluster-runs"), "Directory that keeps a record of each run.")
    seed: int = setting(0, "Seed of everything that draws lots.", ge=0)
    text_field: str = setting("", "Field shown as text of a row; default: found by name.")
    keep_graph: bool = setting(
        True,
        "Keep the neighbours in the record of the newest run, 8 bytes each, and as much again of "
        "what smoothing made of them; without them the next run, and explain, search again.",
    )


class Settings(BaseSettings):
    """Everything a run needs to know."""

    model_config = SettingsConfigDict(
        env_prefix=ENV_PREFIX,
        env_nested_delimiter="__",
        frozen=True,
        extra="forbid",
        nested_model_default_partial_update=True,
    )

    milvus: MilvusSettings = MilvusSettings()
    neighbors: NeighborSettings = NeighborSettings()
    cluster: ClusterSettings = ClusterSettings()
    scale: ScaleSettings = ScaleSettings()
    write: WriteSettings = WriteSettings()
    lock: LockSettings = LockSettings()
    gate: GateSettings = GateSettings()
    assign: AssignSettings = AssignSettings()
    explain: ExplainSettings = ExplainSettings()
    chat: ChatSettings = ChatSettings()
    commentary: CommentarySettings = CommentarySettings()
    duplicates: DuplicateSettings = DuplicateSettings()
    dense: DenseSettings = DenseSettings()
    map: MapSettings = MapSettings()
    picture: PictureSettings = PictureSettings()
    report: ReportSettings = ReportSettings()
    features: FeatureSettings = FeatureSettings()
    run: RunSettings = RunSettings()
    source: SourceSettings = SourceSettings()
    embed: EmbedSettings = EmbedSettings()
    ingest: IngestSettings = IngestSettings()
    serve: ServeSettings = ServeSettings()
    telemetry: TelemetrySettings = TelemetrySettings()
    worker: WorkerSettings = WorkerSettings()

    @model_validator(mode="after")
    def _agree(self) -> Settings:
        k, m = self.neighbors.n_neighbors, self.cluster.min_samples
        if k != "auto" and m != "auto" and k < m:
            raise ValueError(
                f"n_neighbors is {k}, below min_samples {m}; the core distance needs at least that "
                "many neighbours"
            )
        if self.neighbors.center in ("mean", "language") and self.neighbors.engine == "milvus":
            raise ValueError(
                "center moves the vectors, which Milvus has not indexed; "
                "use it with neighbors engine local or auto"
            )
        if self.cluster.certify and self.neighbors.smooth not in ("auto", "none"):
            raise ValueError("certify compares with HDBSCAN on the vectors; smooth must be none")
        if self.exact and self.cluster.method not in ("auto", *DENSITY):
            asked = "certify" if self.cluster.certify else f"engine {self.cluster.engine}"
            raise ValueError(
                f"{asked} is about HDBSCAN; method must be hdbscan or leaf, "
                f"not {self.cluster.method}"
            )
        if self.cluster.recurse and self.cluster.method == "layers":
            raise ValueError(
                "recurse and method layers both say what cluster_path is; leave one of them out"
            )
        return self

    @property
    def exact(self) -> bool:
        """Whether HDBSCAN itself is asked for, to the bit or with a proof."""
        return self.cluster.certify or self.cluster.engine != "default"

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        toml = TomlConfigSettingsSource(
            settings_cls, toml_file=settings_cls.model_config.get("toml_file")
        )
        return init_settings, env_settings, toml


def load_settings(given: Mapping[str, Mapping[str, Any]], config: Path | None = None) -> Settings:
    """Merge command line, environment and file into ``Settings``.

    ``given`` maps section to the values that the user typed; values that are None count as not
    said. Raises ``UsageError`` with one line for the first setting that is wrong.
    """
    if config is not None and not config.is_file():
        raise UsageError(f"the configuration file {config} does not exist; check --config")
    check_environment(os.environ)
    said = {
        section: {name: value for name, value in values.items() if value is not None}
        for section, values in given.items()
    }
    file_aware = type(
        "Settings",
        (Settings,),
        {
            "model_config": SettingsConfigDict(toml_file=config or CONFIG_FILE),
            "__module__": __name__,
        },
    )
    try:
        settings: Settings = file_aware(**said)
    except ValidationError as error:
        raise UsageError(_one_line(error)) from error
    except (TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{config or CONFIG_FILE} is no valid TOML: {error}") from error
    except SettingsError as error:
        raise UsageError(
            f"{error}; lists are written as JSON in the environment, for instance '[\"news\"]'"
        ) from error
    return settings


def check_environment(names: Iterable[str]) -> None:
    """Refuse variables that look like settings and are none; they would be ignored otherwise.

    Raises ``UsageError``. Under our prefix every name must be a setting; elsewhere, one that
    differs from a setting in nothing but the number of underscores is taken for it.
    """
    known = set(_variables())
    meant = {_squeezed(name): name for name in known}
    for name in sorted(names):
        upper = name.upper()
        if upper in known:
            continue
        if likely := meant.get(_squeezed(upper)):
            raise UsageError(f"the environment variable {name} is no setting; write {likely}")
        if upper.startswith(ENV_PREFIX):
            raise UsageError(
                f"the environment variable {name} is no setting; they are called like "
                f"{ENV_PREFIX}MILVUS__URI, see vdbcluster run --help"
            )


def _variables() -> Iterator[str]:
    """All that the environment may say: a setting each, or a whole section as JSON."""
    for section, field in Settings.model_fields.items():
        yield f"{ENV_PREFIX}{section}".upper()
        for name in type(field.default).model_fields:
            yield f"{ENV_PREFIX}{section}__{name}".upper()


def _squeezed(name: str) -> str:
    return re.sub("_+", "_", name)


def _one_line(error: ValidationError) -> str:
    first = error.errors(include_url=False)[0]
    where = ".".join(str(part) for part in first["loc"][:2])  # the rest names types of a union
    message = str(first["msg"]).removeprefix("Value error, ")
    if not where:
        return message
    if first["type"] == "extra_forbidden":
        return f"there is no setting {where}; see vdbcluster run --help"
    secret = "." not in where or re.search("token|key|uri|url|webhook|gateway", where)
    value = "" if secret else f" (it is {first.get('input')!r})"
    return f"the setting {where} is wrong: {message}{value}"
