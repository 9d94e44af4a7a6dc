"""Embeddings that are saved with an adapter: those of a model whose tokens are not those of its checkpoint."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch import nn


def has_other_vocabulary(module: nn.Module) -> bool:
    """Whether a transformers model has other tokens than the checkpoint that it is from, and so embeddings of its own.

    PEFT's own rule, which it follows only where no embedding is adapted.
    """
    config: Any = getattr(module, "config", None)
    source = getattr(config, "_name_or_path", None)
    if not source or not hasattr(config, "vocab_size"):
        return False
    try:
        return bool(type(config).from_pretrained(source).vocab_size != config.vocab_size)
    except OSError:  # made by hand
        return False


def add_embeddings(module: nn.Module, folder: Path) -> None:
    """Adds the base's embeddings and output layer to a saved adapter, those that are neither in it nor trained whole.

    PEFT 0.21 leaves out the one end of them where only the other is adapted.

    Args:
        module: the ``PeftModel``.
        folder: where its adapter is saved.
    """
    from peft.tuners.tuners_utils import BaseTunerLayer
    from peft.utils import SAFETENSORS_WEIGHTS_NAME
    from peft.utils.other import AuxiliaryTrainingWrapper
    from safetensors.torch import load_file, save_file

    model: Any = module.get_base_model()  # type: ignore[operator]
    names = {id(layer): name for name, layer in module.named_modules()}
    file = folder / SAFETENSORS_WEIGHTS_NAME
    tensors = load_file(file)
    for end in (model.get_input_embeddings(), model.get_output_embeddings()):
        if end is not None and not isinstance(end, AuxiliaryTrainingWrapper):
            layer = end.get_base_layer() if isinstance(end, BaseTunerLayer) else end
            own = {f"{names[id(layer)]}.{leaf}": each for leaf, each in layer._parameters.items() if each is not None}
            tensors |= {name: each.detach().clone() for name, each in own.items() if name not in tensors}
    save_file(tensors, file, metadata={"format": "pt"})
