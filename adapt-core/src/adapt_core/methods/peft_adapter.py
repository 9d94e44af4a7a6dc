"""What the methods share that PEFT provides: wrapping, saving, loading and merging."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

from torch import nn

from adapt_core.errors import AdaptError
from adapt_core.interfaces import Hints
from adapt_core.names import nearest


class PeftAdapter(ABC):
    """A method whose adapter is PEFT's. Subclasses give the ``PeftConfig``."""

    @abstractmethod
    def config(self, module: nn.Module, hints: Hints) -> Any:
        """The ``PeftConfig`` of the method for a model; task type and saved modules are filled in by :meth:`apply`."""

    def apply(self, module: nn.Module, hints: Hints) -> nn.Module:
        """Freezes the model, adds the adapter, and leaves the head trainable where it must or should be.

        A fresh head is always trained; a pretrained one unless ``hints.train_head`` is False.

        Raises:
            AdaptError: the target modules match nothing, or the head is fresh and was to be frozen.
        """
        from peft import get_peft_model

        try:
            config = self.config(module, hints)
        except ValueError as error:
            raise AdaptError(f"method: {error}") from error
        _require_modules(module, config.modules_to_save or ())
        train_head = hints.train_head is not False
        if not train_head and (frozen := set(hints.head) & set(hints.fresh)):
            raise AdaptError(
                f"method.train_head (LAST_LAYER_TUNING) is false, but {', '.join(sorted(frozen))} is newly "
                "initialised: frozen, it would give random answers for ever",
                "Remove the key, or start from a model that already has this head.",
            )
        trained = dict.fromkeys([*(config.modules_to_save or ()), *hints.fresh, *(hints.head if train_head else ())])
        config.modules_to_save = list(trained) or None
        # PEFT's classes for a task train a head by themselves: without the task type they leave it alone.
        config.task_type = hints.peft_task if train_head else None
        try:
            return get_peft_model(module, config)  # type: ignore[no-any-return]
        except ValueError as error:
            if "arget modules" in str(error) and not getattr(config, "exclude_modules", None):
                raise AdaptError(*_no_target(module, config.target_modules)) from error
            raise AdaptError(f"method: {error}") from error

    def targets(self, module: nn.Module, hints: Hints, asked: Any) -> Any:
        """The target modules for PEFT: what was asked for, by default every linear layer outside the head."""
        if asked is not None:
            return asked
        excluded = tuple(f"{name}." for name in (*hints.head, *hints.fresh))
        names = [
            name
            for name, layer in _linear_layers(module)
            if not f"{name}.".startswith(excluded or ("\0",)) and layer is not _output_embeddings(module)
        ]
        if not names:
            raise AdaptError(
                f"{type(module).__name__} has no linear layer outside its head", "Name layers in method.target_modules."
            )
        short = sorted({name.rsplit(".", 1)[-1] for name in names})
        matched = [name for name, _ in module.named_modules() if name.rsplit(".", 1)[-1] in short]
        return short if matched == names else names

    def save(self, module: nn.Module, folder: Path) -> None:
        """Writes PEFT's format: ``adapter_config.json`` and ``adapter_model.safetensors``."""
        module.save_pretrained(folder)  # type: ignore[operator]

    def load(self, module: nn.Module, folder: Path, hints: Hints) -> nn.Module:
        """Puts a saved adapter on a base model, ready for inference."""
        from peft import PeftModel

        return PeftModel.from_pretrained(module, folder)

    def merge(self, module: nn.Module) -> nn.Module:
        """Folds the adapter into the base's weights, in place, and returns the base."""
        return module.merge_and_unload()  # type: ignore[no-any-return,operator]


def _require_modules(module: nn.Module, names: Collection[str]) -> None:
    """Raises AdaptError for a module to be trained that the model does not have; PEFT would train nothing."""
    for name in names:
        if not any(f".{each}".endswith(f".{name}") for each, _ in module.named_modules()):
            known = {each.rsplit(".", 1)[-1] for each, _ in module.named_modules() if each}
            raise AdaptError(
                f"method.modules_to_save: {name!r} is no module of {type(module).__name__}" + nearest(name, known),
                "Name a module as the model's code does.",
            )


def _no_target(module: nn.Module, asked: Any) -> tuple[str, str]:
    """Message and hint for target modules that match nothing: the nearest names that there are."""
    names = [asked] if isinstance(asked, str) else list(asked)
    last = {name.rsplit(".", 1)[-1] for name, layer in module.named_modules() if name and not list(layer.children())}
    return (
        f"method.target_modules: {', '.join(map(repr, names))} matches no layer of {type(module).__name__}"
        + nearest(str(names[0]), last),
        f"Layers there are: {', '.join(sorted(last))}.",
    )


def _linear_layers(module: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """Linear layers by dotted name, quantized ones and transformers' transposed ``Conv1D`` included."""
    from transformers.pytorch_utils import Conv1D

    for name, layer in module.named_modules():
        if isinstance(layer, nn.Linear | Conv1D):
            yield name, layer


def _output_embeddings(module: nn.Module) -> nn.Module | None:
    """A language model's output layer, which is left as it is."""
    find = getattr(module, "get_output_embeddings", None)
    return find() if find is not None else None
