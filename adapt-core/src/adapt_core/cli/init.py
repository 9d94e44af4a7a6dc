"""``adapt init``: a starter file."""

from __future__ import annotations

import click

from adapt_core.cli.arguments import FILE, complete_names
from adapt_core.cli.output import write_new
from adapt_core.kinds import Kind


@click.command()
@click.argument("task", shell_complete=complete_names(Kind.TASK))
@click.option(
    "--method",
    default="lora",
    show_default=True,
    shell_complete=complete_names(Kind.METHOD),
    help="The method of fine-tuning; its recommended learning rate is filled in.",
)
@click.option("-o", "--output", type=FILE, help="Write to this new file instead of standard output.")
def init(task: str, method: str, output: str | None) -> None:
    """Write a commented starter configuration for a TASK.

    Fill in the paths of the model and the data, then check it with adapt check.
    """
    from adapt_core.cli.starter import starter
    from adapt_core.plugins.registry import Registry

    write_new(starter(Registry.load(), task, method), output)
