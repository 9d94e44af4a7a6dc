"""What a method should know of a model, read off the model itself."""

from __future__ import annotations

from collections.abc import Iterable

from torch import nn

from adapt_core.bundles import Hints

PEFT_TASKS = {
    "ForSequenceClassification": "SEQ_CLS",
    "ForTokenClassification": "TOKEN_CLS",
    "ForQuestionAnswering": "QUESTION_ANS",
    "ForCausalLM": "CAUSAL_LM",
    "LMHeadModel": "CAUSAL_LM",
    "ForConditionalGeneration": "SEQ_2_SEQ_LM",
}
"""PEFT's task types by the ending of a transformers class."""


def hints_for(module: nn.Module, fresh_keys: Iterable[str] = (), train_head: bool | None = None) -> Hints:
    """Hints for a model.

    Args:
        module: the model, before any method.
        fresh_keys: names of parameters whose values were not in the checkpoint.
        train_head: what the configuration says of the head.
    """
    fresh = dict.fromkeys(key.rpartition(".")[0] for key in fresh_keys)
    head = dict.fromkeys(_head(module))
    # A fresh layer inside a head makes the whole of that head fresh: it has never been trained as one.
    inside = {name: next((top for top in head if f"{name}.".startswith(f"{top}.")), name) for name in fresh}
    name = type(module).__name__
    return Hints(
        head=tuple(head),
        fresh=tuple(dict.fromkeys(inside.values())),
        blocks=tuple(_blocks(module)),
        train_head=train_head,
        peft_task=next((task for ending, task in PEFT_TASKS.items() if name.endswith(ending)), None),
    )


def head_and_output(module: nn.Module) -> list[str]:
    """The names of a model's head and of its output layer: what is not quantized."""
    output = _output(module)
    return [*_head(module), *(name for name, child in module.named_modules() if child is output)]


def _output(module: nn.Module) -> nn.Module | None:
    find = getattr(module, "get_output_embeddings", None)
    return find() if find is not None else None


def _head(module: nn.Module) -> Iterable[str]:
    """The parts of a transformers model beside its base, without a language model's output layer."""
    base = getattr(module, "base_model_prefix", "")
    if not base or not hasattr(module, base):
        return
    output = _output(module)
    for name, child in module.named_children():
        if name != base and child is not output and any(True for _ in child.parameters()):
            yield name


def _blocks(module: nn.Module) -> Iterable[str]:
    """The entries of the longest list of modules of one class: the repeated blocks."""
    lists = [
        (name, child)
        for name, child in module.named_modules()
        if isinstance(child, nn.ModuleList | nn.Sequential) and len({type(entry) for entry in child}) == 1
    ]
    name, blocks = max(lists, key=lambda pair: len(pair[1]), default=("", ()))
    return (f"{name}.{index}" for index in range(len(blocks)))
