"""A third party's launcher: two processes on this machine, which talk over gloo."""

from adapt_core.hookspecs import hookimpl
from adapt_core.kinds import LauncherSpec


@hookimpl
def adapt_launchers():
    yield LauncherSpec(
        name="twins",
        summary="Two processes on this machine.",
        target="twins_launcher:Twins",
        parallel="replicated",
    )
