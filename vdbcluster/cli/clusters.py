"""``vdbcluster clusters``: what the clusters are called, and what people do to them."""

from __future__ import annotations

from typing import Annotated

import typer

from vdbcluster.cli.observer import TerminalObserver
from vdbcluster.cli.options import with_settings
from vdbcluster.cli.render import print_json
from vdbcluster.cli.render_clusters import (
    card_json,
    entry_json,
    print_cards,
    print_cluster,
    print_clusters,
    print_merge,
)
from vdbcluster.config.settings import Settings
from vdbcluster.errors import VdbclusterError
from vdbcluster.model.catalogue import CatalogueEntry

AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Show more.")]
Cluster = Annotated[int, typer.Argument(metavar="ID", min=0, help="Stable id of a cluster.")]

clusters = typer.Typer(
    no_args_is_help=True,
    help="List, rename, describe, pin, hide and merge clusters; what is said here stays.",
)


def list_clusters(
    settings: Settings,
    everything: Annotated[
        bool, typer.Option("--all", "-a", help="Hidden, merged and retired ones too.")
    ] = False,
    as_json: AsJson = False,
    verbose: Verbose = False,  # noqa: ARG001
) -> None:
    """List the clusters of a collection, the largest first.

    Example: vdbcluster clusters list -c articles
    """
    from vdbcluster.wiring.edits import read_clusters

    held = read_clusters(settings)
    shown = [e for e in held.entries if everything or (e.live and not e.hidden)]
    shown.sort(key=lambda entry: (not entry.live, -entry.size, entry.id))
    if as_json:
        print_json({"clusters": [entry_json(entry) for entry in shown]})
    else:
        print_clusters(shown, len(held.entries) - len(shown))


def show(
    settings: Settings,
    clusters: Annotated[
        list[int] | None,
        typer.Argument(
            metavar="[ID]...", min=0, help="Stable ids; all live ones if none is given."
        ),
    ] = None,
    as_json: AsJson = False,
    verbose: Verbose = False,
) -> None:
    """Show the cards of clusters: what they are, what shows it, what became of them.

    What vdbcluster explain found is in the record of its run: name its directory with --runs-dir.
    Of clusters within a cluster (--recurse) the words are shown, with -v the whole cards.

    Example: vdbcluster clusters show 7 -c articles
    """
    from vdbcluster.pipeline.edits import entry_of
    from vdbcluster.wiring.edits import explanation, read_clusters

    held = read_clusters(settings)
    entries = [entry_of(held, i) for i in clusters] if clusters else list(held.live)
    found = explanation(settings, held)
    if as_json:
        cards = [card_json(entry, found) for entry in entries]
        print_json(cards[0] if clusters and len(cards) == 1 else {"clusters": cards})
    else:
        print_cards(entries, found, verbose=verbose)


def rename(
    cluster: Cluster,
    name: Annotated[str, typer.Argument(metavar="NAME", help="Its name; '' takes it away.")],
    settings: Settings,
    as_json: AsJson = False,
    verbose: Verbose = False,  # noqa: ARG001
) -> None:
    """Give a cluster a name, which later runs leave as it is.

    Example: vdbcluster clusters rename 7 "Late deliveries" -c articles
    """
    from vdbcluster.pipeline.edits import named
    from vdbcluster.wiring.edits import edit_cluster

    _print(edit_cluster(settings, cluster, named(name)), as_json)


def describe(
    cluster: Cluster,
    text: Annotated[str, typer.Argument(metavar="TEXT", help="What it is about; '' for nothing.")],
    settings: Settings,
    as_json: AsJson = False,
    verbose: Verbose = False,  # noqa: ARG001
) -> None:
    """Describe a cluster; later runs leave the text as it is.

    Example: vdbcluster clusters describe 7 "Parcels that came late or never" -c articles
    """
    from vdbcluster.pipeline.edits import described_as
    from vdbcluster.wiring.edits import edit_cluster

    _print(edit_cluster(settings, cluster, described_as(text)), as_json)


def pin(
    cluster: Cluster,
    settings: Settings,
    as_json: AsJson = False,
    verbose: Verbose = False,  # noqa: ARG001
) -> None:
    """Hold on to the id of a cluster.

    Where clusters part or join, an id goes to the heir that keeps the most rows in place, of those
    that share 30 % of their rows with it, both ways. A pinned id comes before all that are not
    pinned, and needs only a tenth of its own rows in one cluster: it is kept where it would end
    else, also by a cluster that most rows came to from elsewhere. It ends all the same where its
    rows are scattered more than that. Pinning does not hold rows in a cluster.

    Example: vdbcluster clusters pin 7 -c articles
    """
    _mark(settings, cluster, "pinned", True, as_json)


def unpin(
    cluster: Cluster,
    settings: Settings,
    as_json: AsJson = False,
    verbose: Verbose = False,  # noqa: ARG001
) -> None:
    """Treat the id of a cluster as any other again.

    Example: vdbcluster clusters unpin 7 -c articles
    """
    _mark(settings, cluster, "pinned", False, as_json)


def hide(
    cluster: Cluster,
    settings: Settings,
    as_json: AsJson = False,
    verbose: Verbose = False,  # noqa: ARG001
) -> None:
    """Mark a cluster as not to be shown; its rows keep their labels.

    Example: vdbcluster clusters hide 7 -c articles
    """
    _mark(settings, cluster, "hidden", True, as_json)


def unhide(
    cluster: Cluster,
    settings: Settings,
    as_json: AsJson = False,
    verbose: Verbose = False,  # noqa: ARG001
) -> None:
    """Let a hidden cluster be shown again.

    Example: vdbcluster clusters unhide 7 -c articles
    """
    _mark(settings, cluster, "hidden", False, as_json)


def merge(
    cluster: Cluster,
    into: Annotated[int, typer.Argument(metavar="INTO_ID", min=0, help="The one that is left.")],
    settings: Settings,
    as_json: AsJson = False,
    verbose: Verbose = False,  # noqa: ARG001
) -> None:
    """Merge cluster ID into INTO_ID: its rows get that id now, and again after every run.

    The catalogue keeps ID as merged. A later run that finds it again, by its exemplars or its
    centroid, gives that cluster the id INTO_ID too. It is recorded as a run, and vdbcluster
    rollback takes it back; clusters unmerge lets ID come back with the next run instead.

    Example: vdbcluster clusters merge 9 7 -c articles
    """
    from vdbcluster.wiring.edits import merge_job

    merged = merge_job(settings, TerminalObserver(), cluster, into)
    if as_json:
        print_json(
            {"run_id": merged.manifest.run_id, "rows": merged.rows, **entry_json(merged.entry)}
        )
    else:
        print_merge(merged, cluster)
    if wrong := merged.report.failed + merged.report.mismatched:
        raise VdbclusterError(f"{wrong:,} rows could not be labelled; run the same command again")


def unmerge(
    cluster: Cluster,
    settings: Settings,
    as_json: AsJson = False,
    verbose: Verbose = False,  # noqa: ARG001
) -> None:
    """Let a merged cluster come back under its own id with the next run that finds it.

    Until then its rows keep the id that they have. If the next run does not find it, it is retired.

    Example: vdbcluster clusters unmerge 9 -c articles
    """
    from vdbcluster.wiring.edits import unmerge_cluster

    _print(unmerge_cluster(settings, cluster), as_json)


def _mark(settings: Settings, cluster: int, what: str, value: bool, as_json: bool) -> None:
    from vdbcluster.pipeline.edits import hidden, pinned
    from vdbcluster.wiring.edits import edit_cluster

    edit = {"pinned": pinned, "hidden": hidden}[what](value)
    _print(edit_cluster(settings, cluster, edit), as_json)


def _print(entry: CatalogueEntry, as_json: bool) -> None:
    if as_json:
        print_json(entry_json(entry))
    else:
        print_cluster(entry)


_CATALOGUE = with_settings("milvus", write=("label_prefix", "catalogue_name"))
for _name, _command in (
    ("list", list_clusters),
    ("rename", rename),
    ("describe", describe),
    ("pin", pin),
    ("unpin", unpin),
    ("hide", hide),
    ("unhide", unhide),
    ("unmerge", unmerge),
):
    clusters.command(_name)(_CATALOGUE(_command))
clusters.command("show")(
    with_settings("milvus", write=("label_prefix", "catalogue_name"), run=("runs_dir",))(show)
)
clusters.command("merge")(with_settings("milvus", "write", "lock", "run")(merge))
