"""What measures a model while it is evaluated."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from adapt_core.bundles import Evaluated
from adapt_core.interfaces.world import World


class Meter(Protocol):
    """Takes in a model's outputs batch by batch, and says in the end what they amount to. Made anew each evaluation.

    It keeps sums and counts, or what is small a row, so that memory stays flat and batching changes nothing.
    """

    def update(self, batch: Mapping[str, Any], outputs: Mapping[str, Any]) -> None:
        """Takes in one batch.

        Args:
            batch: as the task's collation made it, on the model's device.
            outputs: what the step gave for it, the loss among them.
        """

    def result(self, world: World) -> Evaluated:
        """The metrics over all rows of all processes, alike in each; called once, by every process.

        What goes into the report stands in :attr:`Evaluated.outputs`, in the task's own form.
        """
