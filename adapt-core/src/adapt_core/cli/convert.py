"""``adapt convert``: the flat form of a configuration as the nested one."""

from __future__ import annotations

from pathlib import Path

import click

from adapt_core.cli.arguments import FILE
from adapt_core.cli.output import write_new


@click.command()
@click.argument("file", type=FILE)
@click.option("-o", "--output", type=FILE, help="Write to this new file instead of standard output.")
def convert(file: str, output: str | None) -> None:
    """Rewrite the configuration FILE in the nested form, with a comment on every key."""
    from adapt_core.plan import convert as converter
    from adapt_core.plugins.registry import Registry

    write_new(converter.convert(Path(file), Registry.load()), output)
