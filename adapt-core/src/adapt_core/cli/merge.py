"""``adapt merge``: base and adapter as one ordinary model."""

from __future__ import annotations

import click

from adapt_core.cli.arguments import json_option
from adapt_core.cli.output import at_work, print_json, print_table


@click.command()
@click.argument("run", type=click.Path(file_okay=False))
@click.option(
    "-o", "--output", type=click.Path(file_okay=False), help="The folder to write; by default RUN with -merged."
)
@click.option("--data", metavar="PATH", help="Other data to compare outputs on; by default the run's own.")
@json_option
def merge(run: str, output: str | None, data: str | None, as_json: bool) -> None:
    """Merge the adapter that the finished run in the folder RUN saved into its base model.

    The result is an ordinary model of its library, in a folder of its own; it is loaded from there and its outputs are
    compared with the adapter's on rows of the run's data; a quantized base is dequantized first. The run itself is left
    as it is.
    """
    from adapt_core import api

    with at_work():
        found = api.merge_run(run, output, data)
    if as_json:
        print_json(found)
        return
    print_table(
        ("what", "value"),
        [
            ("merged model", found["output"]),
            ("largest difference of outputs", f"{found['difference']:.3g}"),
            ("largest output", f"{found['largest_output']:.3g}"),
            *(
                [("largest difference from the quantized model", f"{found['difference_from_quantized']:.3g}")]
                if "difference_from_quantized" in found
                else []
            ),
        ],
    )
