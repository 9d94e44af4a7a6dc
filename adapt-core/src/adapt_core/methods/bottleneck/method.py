"""Bottleneck adapters through PEFT."""

from __future__ import annotations

from typing import Any, ClassVar

from torch import nn

from adapt_core.bundles import Hints
from adapt_core.methods.bottleneck.blocks import Sublayer, transformer_blocks
from adapt_core.methods.bottleneck.options import BottleneckOptions
from adapt_core.methods.shared.own_tuner import OwnTunerMethod
from adapt_core.methods.shared.targets import named_exactly


class Bottleneck(OwnTunerMethod):
    """Two small linear layers with a non-linearity between, at the sublayers of every transformer block.

    What is wrapped is the sublayer's last linear layer, so the adapter comes before the sublayer's own dropout, the
    residual connection and a normalisation after it.
    """

    name: ClassVar[str] = "bottleneck"

    options: BottleneckOptions

    def config(self, module: nn.Module, hints: Hints) -> Any:
        """The ``BottleneckConfig`` for a model. Raises AdaptError when it has no transformer blocks as expected."""
        from adapt_core.peft import BottleneckConfig

        targets, inputs = self._places(module, hints)
        return BottleneckConfig(
            target_modules=targets,
            form=self.options.form,
            input_modules=inputs,
            reduction_factor=self.options.reduction_factor,
            non_linearity=self.options.non_linearity,
            scaling=self.options.scaling,
            dropout=self.options.dropout,
            modules_to_save=list(self.options.modules_to_save),
        )

    def _places(self, module: nn.Module, hints: Hints) -> tuple[Any, dict[str, str] | None]:
        """The target modules, and by each of them the module whose input is read in the parallel form."""
        if self.options.target_modules is not None:
            return self.resolved(module, hints, self.options.target_modules), None
        sublayers: list[Sublayer] = []
        for block in transformer_blocks(module, hints):
            sublayers += [block.feed_forward] if self.options.placement == "pfeiffer" else block.sublayers
        inputs = {each.output: each.input for each in sublayers} if self.options.form == "parallel" else None
        return named_exactly(module, [each.output for each in sublayers]), inputs
