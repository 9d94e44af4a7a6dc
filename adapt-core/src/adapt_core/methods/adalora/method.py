"""AdaLoRA through PEFT, with the budget of ranks updated in the training loop."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from adapt_core.bundles import Hints, Section
from adapt_core.errors import AdaptError
from adapt_core.methods.adalora.options import AdaloraOptions
from adapt_core.methods.peft_adapter import PeftAdapter, stored_transposed
from adapt_core.methods.targets import resolve
from adapt_core.options import library_names

ADAPTER = "default"
PEFT_NAMES = library_names(AdaloraOptions)
"""Options whose name in ``peft.AdaLoraConfig`` is another."""

STATE = "adalora_state.safetensors"
AVERAGES = ("ipt", "exp_avg_ipt", "exp_avg_unc")
"""What PEFT's allocator of ranks remembers between steps."""


class Adalora(PeftAdapter):
    """Low-rank updates whose ranks are taken from where they matter least."""

    name: ClassVar[str] = "adalora"

    def __init__(self, options: AdaloraOptions) -> None:
        self.options = options

    def config(self, module: nn.Module, hints: Hints) -> Any:
        """The ``peft.AdaLoraConfig``; the number of steps is filled in by :meth:`before_training`."""
        from peft import AdaLoraConfig

        given = {PEFT_NAMES.get(name, name): value for name, value in self.options}
        given["target_modules"] = resolve(module, hints, given["target_modules"], types=self.layer_types)
        given["fan_in_fan_out"] = given["fan_in_fan_out"] or stored_transposed(module, given["target_modules"])
        return AdaLoraConfig(**given, total_step=self.options.tinit + self.options.tfinal + 2)

    def apply(self, module: nn.Module, hints: Hints) -> nn.Module:
        """Adds the adapter; see :meth:`PeftAdapter.apply`."""
        adapted: Any = super().apply(module, hints)
        # PEFT adds the penalty to every loss; an evaluation is to measure the model.
        adapted.base_model.register_forward_pre_hook(partial(_penalise, self.options.orth_reg_weight))
        return adapted  # type: ignore[no-any-return]

    def save(self, module: nn.Module, folder: Path) -> None:
        """Writes PEFT's format, at the ranks that are left."""
        model: Any = module
        model.peft_config[ADAPTER].orth_reg_weight = self.options.orth_reg_weight
        super().save(module, folder)

    def load(self, module: nn.Module, folder: Path, hints: Hints) -> nn.Module:
        """Puts a saved adapter on a base model, ready for inference."""
        loaded: Any = super().load(module, folder, hints)
        # PEFT 0.21 sets it for training only, and fails without it when a loss is computed.
        loaded.base_model.trainable_adapter_name = ADAPTER
        loaded.base_model.register_forward_pre_hook(partial(_penalise, self.options.orth_reg_weight))
        return loaded  # type: ignore[no-any-return]

    # ---- training -------------------------------------------------------------------------------------------------

    def before_training(self, module: nn.Module, total_steps: int) -> None:
        """Sets the length of the schedule. Raises AdaptError when the phases do not fit into the training."""
        options = self.options
        if options.tinit + options.tfinal >= total_steps:
            raise AdaptError(
                f"method.tinit ({options.tinit}) and method.tfinal ({options.tfinal}) leave none of the {total_steps} "
                "steps of training for taking ranks away",
                "Lower them, or train longer.",
            )
        model: Any = module
        model.base_model.rankallocator.set_total_step(total_steps)

    def after_step(self, module: nn.Module, step: int) -> None:
        """Updates importances and budget after ``step`` optimizer steps, gradients still being there."""
        model: Any = module
        model.base_model.update_and_allocate(step)

    def save_state(self, module: nn.Module, folder: Path) -> None:
        """Writes what continues the training: the adapter at its full rank, importances and ranks."""
        model: Any = module
        tensors = {f"parameter.{name}": each.data for name, each in module.named_parameters() if each.requires_grad}
        tensors |= {f"buffer.{name}": each for name, each in _buffers(module).items()}
        for kind in AVERAGES:
            tensors |= {f"{kind}.{name}": each for name, each in getattr(_allocator(model), kind).items()}
        ranks = json.dumps(model.peft_config[ADAPTER].rank_pattern)
        whole = {name: each.detach().cpu().clone().contiguous() for name, each in tensors.items()}
        save_file(whole, folder / STATE, metadata={"rank_pattern": ranks})

    def load_state(self, module: nn.Module, folder: Path) -> None:
        """Reads what :meth:`save_state` wrote."""
        model: Any = module
        parameters, buffers = dict(module.named_parameters()), _buffers(module)
        device = next(module.parameters()).device
        allocator = _allocator(model)
        allocator.reset_ipt()
        with safe_open(folder / STATE, framework="pt") as file:
            for key in file.keys():  # noqa: SIM118  # no mapping
                kind, _, name = key.partition(".")
                if kind == "parameter":
                    parameters[name].data.copy_(file.get_tensor(key))
                elif kind == "buffer":
                    buffers[name].copy_(file.get_tensor(key))
                else:
                    getattr(allocator, kind)[name] = file.get_tensor(key).to(device)
            model.peft_config[ADAPTER].rank_pattern = json.loads(file.metadata()["rank_pattern"])

    def sections(self, module: nn.Module) -> Sequence[Section]:
        """The rank of every update, for the report."""
        model: Any = module
        pattern = model.peft_config[ADAPTER].rank_pattern or {}
        rows = [
            [name.removeprefix("model.").split(".lora_E")[0], sum(kept), len(kept)]
            for name, kept in sorted(pattern.items())
        ]
        return [Section("Ranks", "table", ["layer", "rank", "of"], rows)] if rows else []


def _buffers(module: nn.Module) -> dict[str, Tensor]:
    """Those of the modules that are trained whole, such as the statistics of batch normalisation."""
    return {name: each for name, each in module.named_buffers() if ".modules_to_save." in name}


def _penalise(weight: float, tuner: Any, _: Any) -> None:
    """Before a forward pass: the penalty counts in training alone."""
    tuner.peft_config[ADAPTER].orth_reg_weight = weight if tuner.training else 0.0


def _allocator(model: Any) -> Any:
    return model.base_model.rankallocator
