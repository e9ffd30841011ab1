"""``vdbcluster explain``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from vdbcluster.cli.console import output, plain_table, print_pairs, print_table
from vdbcluster.cli.observer import TerminalObserver
from vdbcluster.cli.printable import printable
from vdbcluster.cli.render import print_json
from vdbcluster.cli.render_cards import headline
from vdbcluster.config.settings import Settings

if TYPE_CHECKING:
    from vdbcluster.pipeline.explain import Explained


def explain(
    settings: Settings,
    run_id: Annotated[
        str,
        typer.Argument(metavar="RUN", help="Run id, its beginning, or last."),
    ] = "last",
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Show more.")] = False,  # noqa: ARG001
) -> None:
    """Make a card of each cluster of a run: its words, the rows that show it, what sets it apart.

    Cards are kept in the record of the run, words also in the catalogue; vdbcluster clusters show
    prints a card. No label and no row is touched, and names that people gave stay. Japanese and
    Chinese texts are cut into words with the extras ja and zh; without them keywords are pieces of
    a few characters, and it says so.

    Example: vdbcluster explain last --text-field title
    """
    from vdbcluster.wiring.explaining import explain_job

    found = explain_job(run_id, settings, TerminalObserver())
    if as_json:
        names = {"run_id": found.manifest.run_id, "collection": found.manifest.collection}
        cards = [card.to_json() for card in found.cards]
        print_json({**names, "explain": found.manifest.facts["explain"], "cards": cards})
    else:
        print_explained(found)


def print_explained(found: Explained) -> None:
    """Where the words are from and where they are kept, and a line for each cluster."""
    manifest, console = found.manifest, output()
    told = manifest.facts["explain"]
    kept = f"{told['catalogue']} and the record" if told["catalogue"] else "the record of the run"
    print_pairs(
        console,
        [
            ("run", f"{manifest.run_id} of {manifest.collection!r}"),
            ("texts", f"{told['text_field'] or 'no field'} of {told['rows']:,} rows"),
            ("terms", told["terms"] or "-"),
            ("kept in", kept),
        ],
    )
    console.print()
    table = plain_table("id", "rows", "keywords", left=("keywords",))
    for card in sorted(found.cards, key=lambda card: (-card.size, card.id)):
        table.add_row(str(card.id), f"{card.size:,}", printable(headline(found.cards, card.id)))
    print_table(console, table)
