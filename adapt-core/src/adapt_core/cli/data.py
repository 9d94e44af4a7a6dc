"""``adapt data``: what a model will see."""

from __future__ import annotations

from pathlib import Path

import click

from adapt_core.cli.arguments import FILE, json_option
from adapt_core.cli.output import at_work, print_json, require_new


@click.command()
@click.argument("file", type=FILE)
@click.argument("overrides", nargs=-1, metavar="[KEY=VALUE]...")
@click.option(
    "--examples", type=click.IntRange(min=0), default=3, show_default=True, help="Rows to show of each split."
)
@click.option("--html", type=FILE, help="Write all of it as a page to this new file.")
@json_option
def data(file: str, overrides: tuple[str, ...], examples: int, html: str | None, as_json: bool) -> None:
    """Show what a model will see of the data that the configuration FILE names.

    Of texts, lengths and what is cut; of images, sizes, formats and how many objects they have; of both, labels,
    duplicates, rows that splits share, and examples as the model sees them. It needs the model's tokenizer or image
    processor, not its weights.
    """
    if html:
        require_new(html)
    from adapt_core import api
    from adapt_core.report import inspection

    with at_work():
        splits = api.inspect_data(file, overrides, examples=examples)
    if html:
        from adapt_core.report.page import write_sections

        write_sections(Path(html), Path(file).name, inspection.sections(splits))
        click.echo(f"wrote {html}", err=True)
    if as_json:
        print_json(inspection.facts(splits))
    elif not html:
        from rich.console import Console

        from adapt_core.terminal.tables import print_sections

        print_sections(inspection.sections(splits), Console(highlight=False), "which --html FILE draws")
