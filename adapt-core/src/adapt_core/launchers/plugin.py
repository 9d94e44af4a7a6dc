"""The core's launcher."""

from __future__ import annotations

from collections.abc import Iterable

from adapt_core.hookspecs import hookimpl
from adapt_core.kinds import LauncherSpec


@hookimpl
def adapt_launchers() -> Iterable[LauncherSpec]:
    """One process, the one that runs the command."""
    yield LauncherSpec(
        name="local",
        summary="Runs in the process of the command, on its one device.",
        target="adapt_core.launchers.local:Local",
    )
