"""``adapt eval``: evaluates what a finished run saved."""

from __future__ import annotations

import click

from adapt_core.cli.arguments import json_option
from adapt_core.cli.output import at_work, metric_rows, print_json, print_table


@click.command("eval")
@click.argument("run", type=click.Path(file_okay=False))
@click.option("--data", metavar="PATH", help="Other data with the same columns and labels; by default the run's own.")
@click.option("--split", metavar="NAME", help="The split to evaluate on; by default the one that the run used.")
@json_option
def evaluate(run: str, data: str | None, split: str | None, as_json: bool) -> None:
    """Evaluate the model that the finished run in the folder RUN saved. Nothing is written there."""
    from adapt_core import api

    with at_work():
        found = api.evaluate_run(run, data, split)
    if as_json:
        print_json(found)
    else:
        print_table(("metric", "value"), [*metric_rows(found["metrics"]), ("rows", str(found["rows"]))])
        for text in found["notices"]:
            click.echo(text, err=True)
