"""``adapt schema``: the JSON Schema with which an editor completes and checks configurations."""

from __future__ import annotations

import json

import click

from adapt_core.cli.arguments import FILE
from adapt_core.cli.output import write_new


@click.command()
@click.option("-o", "--output", type=FILE, help="Write to this new file instead of standard output.")
def schema(output: str | None) -> None:
    """Print the JSON Schema of a configuration, with the options of every installed plugin.

    An editor with a YAML language server uses it when a file starts with the comment
    "# yaml-language-server: $schema=PATH".
    """
    from adapt_core.plan.schema import json_schema
    from adapt_core.plugins.registry import Registry

    write_new(json.dumps(json_schema(Registry.load()), indent=2, ensure_ascii=False) + "\n", output)
