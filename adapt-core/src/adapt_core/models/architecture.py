"""What a method should know of a model, read off the model itself."""

from __future__ import annotations

from collections.abc import Collection, Iterable

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
"""PEFT's task types by the ending of a transformers class that reads tokens."""

WHOLE = ".modules_to_save."
"""What stands in the names of parameters whose module PEFT trains whole."""


def name_in_model(name: str) -> str:
    """A layer's or a parameter's name in the model itself, without what DDP and PEFT put before it."""
    return name.removeprefix("module.").removeprefix("base_model.model.")


def hints_for(
    module: nn.Module, fresh_keys: Iterable[str] = (), train_head: bool | None = None, parts: Collection[str] = ()
) -> Hints:
    """Hints for a model.

    Args:
        module: the model, before any method.
        fresh_keys: names of parameters whose values were not in the checkpoint.
        train_head: what the configuration says of the head.
        parts: what modules inside the base that belong to the head too are called: the last part of their names.
    """
    keys = list(fresh_keys)
    fresh = dict.fromkeys(key.rpartition(".")[0] for key in keys if "." in key)
    head = dict.fromkeys([*_head(module), *_called(module, parts)])
    # A fresh layer inside a head makes the whole of that head fresh: it has never been trained as one.
    inside = {name: next((top for top in head if f"{name}.".startswith(f"{top}.")), name) for name in fresh}
    return Hints(
        head=tuple(head),
        fresh=tuple(dict.fromkeys(inside.values())),
        loose=tuple(key for key in keys if "." not in key and key in module._parameters),
        blocks=tuple(_blocks(module, head)),
        train_head=train_head,
        peft_task=_peft_task(module),
    )


def _peft_task(module: nn.Module) -> str | None:
    """PEFT's task type; None for a model that reads no tokens: PEFT's classes for tasks pass on ``input_ids``."""
    if getattr(module, "main_input_name", "input_ids") != "input_ids":
        return None
    name = type(module).__name__
    task = next((task for ending, task in PEFT_TASKS.items() if name.endswith(ending)), None)
    if task == "SEQ_2_SEQ_LM" and not _has_decoder(module):
        return "CAUSAL_LM"  # it reads images as well, and generates on
    return task


def head_and_output(module: nn.Module, parts: Collection[str] = ()) -> list[str]:
    """The names of a model's head, with ``parts`` as in :func:`hints_for`, and of its output layer: never quantized."""
    output = _output(module)
    return [
        *_head(module),
        *_called(module, parts),
        *(name for name, child in module.named_modules() if child is output),
    ]


def _output(module: nn.Module) -> nn.Module | None:
    find = getattr(module, "get_output_embeddings", None)
    return find() if find is not None else None


def _head(module: nn.Module) -> Iterable[str]:
    """The parts of a transformers model beside its base, without a language model's output layer; timm's classifier."""
    if hasattr(module, "get_classifier"):
        yield from _classifiers(module)
        return
    base = getattr(module, "base_model_prefix", "")
    if not base or not hasattr(module, base):
        return
    output = _output(module)
    for name, child in module.named_children():
        if name != base and child is not output and any(True for _ in child.parameters()):
            yield from _entries(name, child)


def _called(module: nn.Module, parts: Collection[str]) -> Iterable[str]:
    """The modules of these names."""
    for name, child in module.named_modules():
        if name.rpartition(".")[2] in parts:
            yield from _entries(name, child)


def _entries(name: str, module: nn.Module) -> Iterable[str]:
    """The name of a module; of a list those of its entries, since a list is not called and PEFT cannot wrap it."""
    if isinstance(module, nn.ModuleList):
        yield from (f"{name}.{index}" for index in range(len(module)))
    else:
        yield name


def _classifiers(module: nn.Module) -> Iterable[str]:
    """The classifier of a model of timm, or the several of one that was distilled or has branches."""
    found = module.get_classifier()  # type: ignore[operator]
    parts = [*found] if isinstance(found, tuple | list | nn.ModuleList) else [found]
    names = [name for name, child in module.named_modules() if any(child is part for part in parts)]
    told = (getattr(module, "pretrained_cfg", None) or {}).get("classifier") or ()
    # VOLO gives its classifier alone, and reads an auxiliary one with it, which its settings name.
    names += [told] if isinstance(told, str) else told
    for name, child in module.named_modules():
        inside = any(name.startswith(f"{other}.") for other in names)
        if name in names and not inside and any(True for _ in child.parameters()):
            yield name


def _blocks(module: nn.Module, head: Collection[str]) -> Iterable[str]:
    """The repeated blocks, in order: the entries of the longest list of modules of one class outside the head.

    A model of several stages has several lists of that class: the entries of all count. In a model of an encoder and a
    decoder only the decoder counts, which is what the head reads.
    """
    within = module.get_decoder() if _has_decoder(module) else module  # type: ignore[operator]
    inside = {id(each) for each in within.modules()}
    lists = [
        (name, child, type(child[0]))
        for name, child in module.named_modules()
        if isinstance(child, nn.ModuleList | nn.Sequential)
        and len({type(entry) for entry in child}) == 1
        and id(child) in inside
        and not f"{name}.".startswith(tuple(f"{top}." for top in head))
    ]
    if not lists:
        return []
    _, _, kind = max(lists, key=lambda each: len(each[1]))
    return [f"{name}.{index}" for name, child, each in lists if each is kind for index in range(len(child))]


def _has_decoder(module: nn.Module) -> bool:
    """Whether it is a transformers model of an encoder and a decoder."""
    return bool(getattr(getattr(module, "config", None), "is_encoder_decoder", False)) and hasattr(
        module, "get_decoder"
    )
