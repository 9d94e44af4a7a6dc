"""``adapt plugins``: what is installed."""

from __future__ import annotations

import click

from adapt_core.cli.arguments import json_option, kind_argument
from adapt_core.cli.output import print_json, print_table
from adapt_core.kinds import Kind, PluginSpec

COLUMNS = ("kind", "name", "summary", "distribution", "version", "status")


@click.command()
@kind_argument(required=False)
@json_option
def plugins(kind: Kind | None, as_json: bool) -> None:
    """List the installed plugins, of one KIND or all: task, method, quantizer, saver, launcher.

    A plugin that cannot be used is listed as broken, with the reason, or as unavailable where a package that it needs
    is not installed. One that cannot even say what it offers is listed under the name of its entry point, without a
    kind, and under every KIND.

    A method is untested when no test of Adapt's has run it, and for experts when it needs more than a configuration
    gives.
    """
    rows = plugin_rows(kind)
    if as_json:
        print_json(rows)
        return
    if not any(row["status"] == "ok" for row in rows):
        click.echo(f"No {kind.value} is installed." if kind else "No plugin is installed.", err=True)
    if rows:
        print_table(COLUMNS, [[row[column] or "-" for column in COLUMNS] for row in rows])
    for row in rows:
        if row["error"]:
            click.echo(f"{row['status']}: {row['name']} of {row['distribution']} {row['version']}: {row['error']}")


def _status(spec: PluginSpec, error: str | None, missing: str | None) -> str:
    """``ok``, or for a method that the contract suite does not run, ``untested`` or ``expert``."""
    if error:
        return "unavailable" if error == missing else "broken"
    support = getattr(spec, "support", "tested")
    return "ok" if support == "tested" else str(support)


def plugin_rows(kind: Kind | None = None) -> list[dict[str, str | None]]:
    """Every plugin as ``adapt plugins --json`` prints it."""
    from adapt_core.plugins.registry import Registry

    registry = Registry.load()
    rows: list[dict[str, str | None]] = [
        {
            "kind": entry.kind.value,
            "name": entry.spec.name,
            "summary": entry.spec.summary,
            "distribution": entry.distribution,
            "version": entry.version,
            "status": _status(entry.spec, entry.error, registry.missing(entry.spec)),
            "error": entry.error,
        }
        for entry in registry.examined(kind)
    ]
    for broken in registry.broken:
        rows.append(
            {
                "kind": None,
                "name": broken.name,
                "summary": "",
                "distribution": broken.distribution,
                "version": broken.version,
                "status": "broken",
                "error": broken.reason,
            }
        )
    return rows
