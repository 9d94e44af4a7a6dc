"""AdaMSS, with its adaptive allocation of subspaces (ASA) called from the training loop."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar

from torch import nn

from adapt_core.bundles import Section
from adapt_core.errors import AdaptError
from adapt_core.methods.peft_tuners.tuner import PeftTuner
from adapt_core.methods.shared.peft_adapter import FIRST
from adapt_core.methods.shared.trained_state import read_trained, write_trained
from adapt_core.models.architecture import name_in_model
from adapt_core.options import Options

STATE = "adamss_state.safetensors"
AVERAGES = ("exp_avg_ipt_A", "exp_avg_ipt_B", "exp_avg_unc_A", "exp_avg_unc_B")
"""What PEFT's layers remember of a subspace's importance: a list a layer, None where nothing has been seen yet."""

MASKED = "masked"


class Adamss(PeftTuner):
    """Updates in subspaces of a weight's decomposition."""

    name: ClassVar[str] = "adamss"


class Allocation(Adamss):
    """AdaMSS whose least important subspaces are frozen, over all layers, while it trains."""

    options: Any

    def __init__(self, options: Options) -> None:
        super().__init__(options)
        self._masked: set[str] = set()

    def before_training(self, module: nn.Module, total_steps: int) -> None:
        """Freezes what a checkpoint had frozen.

        Raises:
            AdaptError: the schedule does not fit into the training, or would freeze nothing.
        """
        options = self.options
        if options.final_warmup > total_steps:
            raise AdaptError(
                f"method.final_warmup ({options.final_warmup}) is after the last of the {total_steps} steps of "
                "training: the subspaces would not come down to asa_target_subspaces",
                "Lower it, and init_warmup and mask_interval with it, or train longer.",
            )
        there = sum(len(layer.adamss_A[FIRST]) for _, layer in _layers(module))
        if options.asa_target_subspaces >= there:
            raise AdaptError(
                f"method.asa_target_subspaces ({options.asa_target_subspaces}) is not below the number of subspaces, "
                f"{there} in all layers together: none would be frozen",
                "Lower it, raise num_subspaces, or leave out use_asa.",
            )
        # Not in load_state: the optimizer is made after that, and its state knows what is frozen here, too.
        for name in self._masked:
            module.get_parameter(name).requires_grad_(False)

    def after_step(self, module: nn.Module, step: int) -> None:
        """Updates importances and freezes subspaces after ``step`` optimizer steps, gradients still being there."""
        model: Any = module
        model.base_model.update_and_allocate(step)

    def save_state(self, module: nn.Module, folder: Path) -> None:
        """Writes what continues the training: all that is or was trained, importances, and what is frozen."""
        own = dict(_parameters(module))
        averages = {
            f"{kind}.{name}.{index}": each
            for name, layer in _layers(module)
            for kind in AVERAGES
            for index, each in enumerate(getattr(layer, kind)[FIRST])
            if each is not None
        }
        masked = {f"{MASKED}.{name}": each.new_zeros(0) for name, each in own.items() if not each.requires_grad}
        write_trained(module, folder / STATE, frozen=own, further=averages | masked)

    def load_state(self, module: nn.Module, folder: Path) -> None:
        """Reads what :meth:`save_state` wrote; what was frozen is so from :meth:`before_training` on."""
        layers = dict(_layers(module))
        for layer in layers.values():
            layer.reset_importance(FIRST)
        self._masked = set()
        for key, each in read_trained(module, folder / STATE).items():
            kind, _, name = key.partition(".")
            if kind == MASKED:
                self._masked.add(name)
            else:
                layer, _, index = name.rpartition(".")
                device = layers[layer].adamss_A[FIRST][int(index)].device
                getattr(layers[layer], kind)[FIRST][int(index)] = each.to(device)

    def sections(self, module: nn.Module) -> Sequence[Section]:
        """The number of subspaces that each layer trains to the end, for the report."""
        rows = [
            [name_in_model(name), sum(each.requires_grad for each in parts), len(parts)]
            for name, layer in _layers(module)
            for parts in [layer.adamss_A[FIRST]]
        ]
        return [Section("Active subspaces", "table", ["layer", "active", "of"], rows)]


def adamss(options: Any) -> Adamss:
    """AdaMSS; only what allocates subspaces has phases: without them the engine's own checkpoints do."""
    return Allocation(options) if options.use_asa else Adamss(options)


def _layers(module: nn.Module) -> Iterator[tuple[str, Any]]:
    from peft.tuners.adamss.layer import AdamssLayer

    return ((name, each) for name, each in module.named_modules() if isinstance(each, AdamssLayer))


def _parameters(module: nn.Module) -> Iterator[tuple[str, nn.Parameter]]:
    """Those of the subspaces, frozen or not."""
    for name, layer in _layers(module):
        for kind in ("adamss_A", "adamss_B"):
            for index, each in enumerate(getattr(layer, kind)[FIRST]):
                yield f"{name}.{kind}.{FIRST}.{index}", each
