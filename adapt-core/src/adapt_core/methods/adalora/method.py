"""AdaLoRA through PEFT, with the budget of ranks updated in the training loop."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from adapt_core.bundles import Hints, Section
from adapt_core.errors import AdaptError
from adapt_core.methods.adalora.options import AdaloraOptions
from adapt_core.methods.adalora.phases import phases_of
from adapt_core.methods.shared.peft_adapter import FIRST, PeftAdapter, stored_transposed
from adapt_core.methods.shared.targets import resolve
from adapt_core.methods.shared.trained_state import read_trained, write_trained
from adapt_core.options import library_names

PEFT_NAMES = library_names(AdaloraOptions)
"""Options whose name in ``peft.AdaLoraConfig`` is another."""

STATE = "adalora_state.safetensors"
AVERAGES = ("ipt", "exp_avg_ipt", "exp_avg_unc")
"""What PEFT's allocator of ranks remembers between steps."""

RANKS = "rank_pattern"
"""Which ranks are left, by layer."""


class Adalora(PeftAdapter):
    """Low-rank updates whose ranks are taken from where they matter least."""

    name: ClassVar[str] = "adalora"

    options: AdaloraOptions

    def config(self, module: nn.Module, hints: Hints) -> Any:
        """The ``peft.AdaLoraConfig``; the steps of the phases are filled in by :meth:`before_training`."""
        from peft import AdaLoraConfig

        given = {PEFT_NAMES.get(name, name): value for name, value in self.options}
        given["target_modules"] = resolve(module, hints, given["target_modules"], types=self.layer_types)
        given["fan_in_fan_out"] = given["fan_in_fan_out"] or stored_transposed(module, given["target_modules"])
        return AdaLoraConfig(**given | {"tinit": 0, "tfinal": 0}, total_step=1)

    def apply(self, module: nn.Module, hints: Hints) -> nn.Module:
        """Adds the adapter; see :meth:`PeftAdapter.apply`."""
        adapted = super().apply(module, hints)
        self._penalise(adapted)
        return adapted

    def save(self, module: nn.Module, folder: Path) -> None:
        """Writes PEFT's format, at the ranks that are left."""
        model: Any = module
        model.peft_config[FIRST].orth_reg_weight = self.options.orth_reg_weight
        super().save(module, folder)

    def load(self, module: nn.Module, folder: Path, hints: Hints) -> nn.Module:
        """Puts a saved adapter on a base model, ready for inference."""
        with _ranks_known():
            loaded: Any = super().load(module, folder, hints)
        # PEFT 0.21 sets it for training only, and fails without it when a loss is computed.
        loaded.base_model.trainable_adapter_name = FIRST
        self._penalise(loaded)
        return loaded  # type: ignore[no-any-return]

    def add(self, module: nn.Module, folder: Path) -> str:
        """Loads a saved adapter beside those that are there; see :meth:`PeftAdapter.add`."""
        with _ranks_known():
            return super().add(module, folder)

    def _penalise(self, module: Any) -> None:
        """Has the penalty added to the loss in training alone: an evaluation is to measure the model.

        It takes two hooks. PEFT's tuner adds the penalty to every loss. PEFT's wrapper of a model without a task never
        calls the tuner, only the base, whose hooks the tuner does not call.
        """
        weight = self.options.orth_reg_weight
        module.base_model.register_forward_pre_hook(partial(_switch, weight))
        module.base_model.model.register_forward_hook(partial(_add_penalty, weight))

    def merge(self, module: nn.Module) -> nn.Module:
        """Folds the adapter into the base's weights; see :meth:`PeftAdapter.merge`."""
        merged = super().merge(module)
        for key, hook in list(merged._forward_hooks.items()):
            if getattr(hook, "func", None) is _add_penalty:
                del merged._forward_hooks[key]
        return merged

    # ---- training -------------------------------------------------------------------------------------------------

    def before_training(self, module: nn.Module, total_steps: int) -> None:
        """Sets the phases. Raises AdaptError when those that are given do not fit into the training."""
        phases = phases_of(self.options.tinit, self.options.tfinal, total_steps)
        model: Any = module
        config = model.peft_config[FIRST]
        config.tinit, config.tfinal = phases.first, phases.last
        model.base_model.rankallocator.set_total_step(total_steps)

    def after_step(self, module: nn.Module, step: int) -> None:
        """Updates importances and budget after ``step`` optimizer steps, gradients still being there."""
        model: Any = module
        for name, each in module.named_parameters():
            if ".lora_" in name and each.requires_grad and each.grad is None:  # a layer that this step passed over
                each.grad = torch.zeros_like(each)
        model.base_model.update_and_allocate(step)

    def save_state(self, module: nn.Module, folder: Path) -> None:
        """Writes what continues the training: the adapter at its full rank, importances and ranks."""
        model: Any = module
        allocator, pattern = model.base_model.rankallocator, model.peft_config[FIRST].rank_pattern or {}
        further = {f"{kind}.{name}": each for kind in AVERAGES for name, each in getattr(allocator, kind).items()}
        further |= {f"{RANKS}.{name}": torch.tensor(kept) for name, kept in pattern.items()}
        write_trained(module, folder / STATE, further=further)

    def load_state(self, module: nn.Module, folder: Path) -> None:
        """Reads what :meth:`save_state` wrote."""
        model: Any = module
        device = next(module.parameters()).device
        allocator, pattern = model.base_model.rankallocator, {}
        allocator.reset_ipt()
        for key, each in read_trained(module, folder / STATE).items():
            kind, _, name = key.partition(".")
            if kind == RANKS:
                pattern[name] = each.tolist()
            elif kind in AVERAGES:
                getattr(allocator, kind)[name] = each.to(device)
            else:
                raise AdaptError(f"{folder / STATE} is of another version of Adapt: it holds {key}", "Train again.")
        model.peft_config[FIRST].rank_pattern = pattern or None

    def sections(self, module: nn.Module) -> Sequence[Section]:
        """The phases of the run and the rank of every update, for the report."""
        model: Any = module
        config = model.peft_config[FIRST]
        falling = config.total_step - config.tinit - config.tfinal
        steps = {"all ranks are there": config.tinit, "ranks are taken away": falling, "ranks stay": config.tfinal}
        sections = [Section("Phases of the ranks", "table", ["phase", "steps"], [list(each) for each in steps.items()])]
        if pattern := config.rank_pattern:
            rows = [
                [name.removeprefix("model.").split(".lora_E")[0], sum(kept), len(kept)]
                for name, kept in sorted(pattern.items())
            ]
            sections.append(Section("Ranks", "table", ["layer", "rank", "of"], rows))
        return sections


@contextmanager
def _ranks_known() -> Iterator[None]:
    """Without PEFT's warning (0.21) that it ignores the ranks of a saved adapter, which it does not."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The following rank_pattern keys did not match", RuntimeWarning)
        yield


def _switch(weight: float, tuner: Any, _: Any) -> None:
    """Before the tuner's forward pass: PEFT's penalty counts in training alone."""
    tuner.peft_config[FIRST].orth_reg_weight = weight if tuner.training else 0.0


def _add_penalty(weight: float, base: nn.Module, _: Any, output: Any) -> None:
    """After the base's forward pass: adds to the loss what PEFT's tuner would, how far factors are from orthogonal.

    The mean, over all ``P`` and ``Q``, of the Frobenius norm of ``P' P - I`` or ``Q Q' - I`` (arXiv 2303.10512,
    equation 4, where it is squared; PEFT's is not).
    """
    loss = getattr(output, "loss", None)
    if not (base.training and isinstance(loss, Tensor)):
        return
    norms = [
        torch.linalg.matrix_norm(gram - torch.eye(len(gram)).to(gram))
        for layer in base.modules()
        if FIRST in getattr(layer, "lora_E", ())
        for gram in _grams(layer)
    ]
    if norms:
        output.loss = loss + weight * torch.stack(norms).mean()


def _grams(layer: Any) -> tuple[Tensor, Tensor]:
    """The products of an update's two factors with themselves, each of shape (r, r)."""
    q, p = layer.lora_A[FIRST], layer.lora_B[FIRST]
    return q @ q.T, p.T @ p
