"""Arguments that several commands take, with their shell completion."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from adapt_core.kinds import Kind, normalise

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

Completion = Callable[[click.Context, click.Parameter, str], "list[CompletionItem]"]

FILE = click.Path(dir_okay=False)


def kind_argument(required: bool) -> Callable[[Any], Any]:
    """An argument ``kind`` that is a :class:`Kind`, or None where it may be left out."""
    return click.argument(
        "kind",
        type=click.Choice([kind.value for kind in Kind], case_sensitive=False),
        required=required,
        callback=lambda _ctx, _param, value: value and Kind(value),
        metavar="KIND" if required else "[KIND]",
    )


def complete_names(kind: Kind | None = None) -> Completion:
    """Completes names of plugins of a kind, by default the kind that the command line gives before them."""

    def complete(ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        from click.shell_completion import CompletionItem

        from adapt_core.plugins.registry import Registry

        return [
            CompletionItem(entry.spec.name, help=entry.spec.summary)
            for entry in Registry.load().entries(kind or ctx.params.get("kind"))
            if entry.spec.name.startswith(normalise(incomplete))
        ]

    return complete


json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
