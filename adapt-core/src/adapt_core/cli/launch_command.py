"""``adapt launch-command``: what several machines need to start a run together."""

from __future__ import annotations

import click

SYSTEMS = ("torchrun", "slurm", "kubernetes", "skypilot")


@click.command("launch-command")
@click.argument("file", type=click.Path())
@click.argument("overrides", nargs=-1, metavar="[KEY=VALUE]...")
@click.option("--nodes", type=click.IntRange(min=1), help="Machines; by default launch.num_nodes.")
@click.option("--for", "system", type=click.Choice(SYSTEMS), default="torchrun", help="What starts the machines.")
def launch_command(file: str, overrides: tuple[str, ...], nodes: int | None, system: str) -> None:
    """Print how several machines start the run that the configuration FILE describes.

    That is one command of torchrun for each machine, a script for Slurm's sbatch, a manifest for kubectl, or a task for
    SkyPilot. All machines must see the same files, and the run's folder must be one that they share.
    """
    from adapt_core import api

    plan = api.plan_of(file, overrides)
    asked = nodes or getattr(plan.launcher.options, "num_nodes", 1)
    told = () if asked == getattr(plan.launcher.options, "num_nodes", None) else (f"launch.num_nodes={asked}",)
    command = ("adapt", "run", file, *overrides, *told)
    click.echo(plan.launcher.make().commands(system, command, asked, plan.output_dir), nl=False)
