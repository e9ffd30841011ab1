"""``vdbcluster explain``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from vdbcluster.cli.console import output, plain_table, print_pairs, print_table
from vdbcluster.cli.observer import TerminalObserver
from vdbcluster.cli.printable import printable
from vdbcluster.cli.render import print_json
from vdbcluster.cli.render_cards import (
    commentary_pairs,
    copies_pairs,
    headline,
    in_order,
    unique_pairs,
)
from vdbcluster.config.settings import Settings

if TYPE_CHECKING:
    from vdbcluster.pipeline.commentary_forecast import Forecast
    from vdbcluster.pipeline.explain_record import Explained


def explain(
    settings: Settings,
    run_id: Annotated[
        str,
        typer.Argument(metavar="RUN", help="Run id, its beginning, or last."),
    ] = "last",
    yes: Annotated[
        bool, typer.Option("--yes", "-y", help="Ask a language model without asking you first.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Show more.")] = False,  # noqa: ARG001
) -> None:
    """Make a card of each cluster of a run: its words, the rows that show it, what sets it apart.

    Cards are kept in the record of the run, words also in the catalogue; vdbcluster clusters show
    prints a card. No label and no row is touched, and names that people gave stay. Japanese and
    Chinese texts are cut into words with the extras ja and zh; without them keywords are pieces of
    a few characters, and it says so.

    With --features, boosted trees tell which scalar fields set a cluster apart (extra features).
    With --commentary, a language model behind any OpenAI-compatible endpoint names and describes
    the clusters; what it would take is told first. An answer is kept, and costs nothing again.

    Example: vdbcluster explain last --text-field title
    """
    from vdbcluster.cli.commentary import agreed_to
    from vdbcluster.wiring.explaining import explain_job

    def agree(told: Forecast) -> bool:
        return agreed_to(told, settings.chat, yes=yes)

    found = explain_job(run_id, settings, TerminalObserver(), agree=agree)
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
            *copies_pairs(told),
            *commentary_pairs(told.get("commentary")),
            *unique_pairs(found.cards),
            ("kept in", kept),
        ],
    )
    console.print()
    judged = any(card.commentary and card.commentary.model for card in found.cards)
    headings = ("id", "rows", *(("interest",) if judged else ()), "what it is")
    table = plain_table(*headings, left=("id", "what it is"))
    for card in in_order(found.cards):
        interest = card.commentary.interestingness if card.commentary else None
        table.add_row(
            card.called,
            f"{card.size:,}",
            *(("-" if interest is None else str(interest),) if judged else ()),
            printable(headline(card)),
        )
    print_table(console, table)
