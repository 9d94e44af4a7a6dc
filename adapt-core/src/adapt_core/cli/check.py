"""``adapt check``: every problem of a configuration at once."""

from __future__ import annotations

import shlex
from pathlib import Path

import click

from adapt_core.cli.arguments import FILE, json_option
from adapt_core.cli.output import print_json
from adapt_core.errors import EXIT_USAGE


@click.command()
@click.argument("file", type=FILE)
@click.argument("overrides", nargs=-1, metavar="[KEY=VALUE]...")
@json_option
def check(file: str, overrides: tuple[str, ...], as_json: bool) -> int:
    """Check the configuration FILE, with KEY=VALUE overrides: training.lr=3e-4.

    All problems are reported at once. Exits with 2 where there are any. Nothing is loaded or trained.
    """
    from adapt_core.plan import build as plan
    from adapt_core.plugins.registry import Registry

    problems = plan.check(Path(file), overrides, Registry.load())
    if as_json:
        print_json({"ok": not problems, "problems": [problem.as_dict() for problem in problems]})
    elif problems:
        for problem in problems:
            click.echo(str(problem))
        click.echo(f"{len(problems)} problem{'s' if len(problems) > 1 else ''} in {file}", err=True)
    else:
        click.echo(f"{file}: no problems found")
        more = f"adapt data {shlex.join([file, *overrides])}"
        click.echo(f"To see the data as the model gets it: {more}", err=True)
    return EXIT_USAGE if problems else 0
