"""The hooks that a plugin may implement: one a kind, each returning frozen specs.

A whole plugin::

    from adapt_core.hookspecs import hookimpl
    from adapt_core.kinds import MethodSpec

    @hookimpl
    def adapt_methods():
        yield MethodSpec(
            name="my_method",
            summary="Trains what I like.",
            target="my_package.method:MyMethod",
            options="my_package.options:MyOptions",
            head="beside",
            saves="adapter",
            learning_rate=1e-3,
        )

and in its ``pyproject.toml``::

    [project.entry-points.adapt]
    my_package = "my_package.plugin"
"""

from __future__ import annotations

from collections.abc import Iterable

import pluggy

from adapt_core.kinds import LauncherSpec, MethodSpec, QuantizerSpec, SaverSpec, TaskSpec

GROUP = "adapt"
"""The entry-point group, and the name of the pluggy project."""

hookspec = pluggy.HookspecMarker(GROUP)
hookimpl = pluggy.HookimplMarker(GROUP)


@hookspec
def adapt_tasks() -> Iterable[TaskSpec]:  # type: ignore[empty-body]
    """Tasks: what a model is trained to do, with its data, head, metrics and predictions."""


@hookspec
def adapt_methods() -> Iterable[MethodSpec]:  # type: ignore[empty-body]
    """Methods: which parameters are trained, chosen from the model's own or added to it."""


@hookspec
def adapt_quantizers() -> Iterable[QuantizerSpec]:  # type: ignore[empty-body]
    """Quantizers: how a base model is loaded in fewer bits."""


@hookspec
def adapt_savers() -> Iterable[SaverSpec]:  # type: ignore[empty-body]
    """Savers: the format of the export beside the run's ``model/``."""


@hookspec
def adapt_launchers() -> Iterable[LauncherSpec]:  # type: ignore[empty-body]
    """Launchers: how the processes of a run are set up."""
