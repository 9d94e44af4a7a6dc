"""``adapt run``: fine-tunes as a configuration says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from adapt_core.cli.arguments import json_option
from adapt_core.cli.output import libraries_print_to_stderr, metric_rows, print_json, print_table


@click.command()
@click.argument("file", type=click.Path())
@click.argument("overrides", nargs=-1, metavar="[KEY=VALUE]...")
@click.option("--resume", is_flag=True, help="Continue the unfinished run in the output folder.")
@click.option("--overwrite", is_flag=True, help="Replace the run in the output folder.")
@json_option
def run(file: str, overrides: tuple[str, ...], resume: bool, overwrite: bool, as_json: bool) -> None:
    """Fine-tune as the configuration FILE says, with KEY=VALUE overrides: training.lr=3e-4.

    FILE may be the folder of an earlier run: its configuration is used, and the same folder. Progress goes to
    standard error, the result to standard output.
    """
    from adapt_core import api

    folder = Path(api.plan_of(file, overrides).output_dir)
    with libraries_print_to_stderr():
        result = api.run(file, overrides, resume=resume, overwrite=overwrite)
    if not result:  # one of several processes, and not the main one
        return
    if as_json:
        print_json(result)
        return
    print_table(("metric", "value"), metric_rows(result["metrics"]))
    click.echo()
    print_table(("what", "where"), [(name, str(path)) for name, path in _places(folder, result).items()])


def _places(folder: Path, result: dict[str, Any]) -> dict[str, Path]:
    """Where what a person looks for next lies."""
    saved = {name: folder / result[key] for name, key in (("model", "artifact"), ("export", "export")) if result[key]}
    return {"run": folder, **saved, "report": folder / "report.html"}
