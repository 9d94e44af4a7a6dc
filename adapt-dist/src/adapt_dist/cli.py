"""The command ``adapt-dist``."""

from __future__ import annotations

import click


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def app() -> None:
    """Help with training on several GPUs and machines."""


@app.command()
@click.option("--gpus", default="1,2,4,8,16,32", show_default=True, help="How many, separated by commas.")
def sizes(gpus: str) -> None:
    """Print what training takes on each GPU, by model, method and launcher."""
    from adapt_dist.sizes import table

    numbers = [each.strip() for each in gpus.split(",")]
    if not all(each.isdigit() and int(each) for each in numbers):
        raise click.BadParameter(f"expected numbers above 0, separated by commas, got {gpus!r}", param_hint="--gpus")
    click.echo(table(tuple(map(int, numbers))))
