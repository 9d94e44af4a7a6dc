"""``adapt doctor``: what is installed, what this machine has, what is broken or missing, and what puts it right."""

from __future__ import annotations

import click

from adapt_core.cli.arguments import json_option
from adapt_core.cli.output import print_json, print_table


@click.command()
@json_option
def doctor(as_json: bool) -> None:
    """Show versions, devices, broken plugins, and what is missing with the command that installs it."""
    from adapt_core.cli.diagnosis import diagnose

    found = diagnose()
    if as_json:
        print_json(found.as_dict())
        return
    print_table(("what", "version"), list(found.versions.items()))
    click.echo()
    print_table(("device", "what it is"), [(device.name, device.description) for device in found.devices])
    click.echo(f"\nfree disk space here: {found.free_disk_bytes / 2**30:.1f} GiB\n")
    for fault in found.faults:
        click.echo(f"{fault.what}\n  to put it right: {fault.remedy}")
    for package in found.not_installed:
        click.echo(f"not installed: {package.distribution} ({package.offers})\n  to add it: {package.command}")
    if found.ok:
        click.echo("Nothing is broken.")
