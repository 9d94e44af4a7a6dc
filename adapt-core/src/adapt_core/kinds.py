"""The kinds of plugin, and the frozen spec in which each kind describes itself.

Every class is named as a ``"module:Class"`` string, so that listing plugins imports nothing heavy.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal

from adapt_core.utils.field_types import called, fits, types_of


class Kind(StrEnum):
    """What a plugin can be. The value is the word that the command line uses."""

    TASK = "task"
    METHOD = "method"
    QUANTIZER = "quantizer"
    SAVER = "saver"
    LAUNCHER = "launcher"

    @property
    def section(self) -> str:
        """The section of the configuration that chooses a plugin of this kind."""
        return {Kind.QUANTIZER: "quantization", Kind.SAVER: "save", Kind.LAUNCHER: "launch"}.get(self, self.value)

    @property
    def hook(self) -> str:
        """The hook through which plugins of this kind are offered."""
        return f"adapt_{self.value}s"


Parallel = Literal["replicated", "sharded"]
"""How several processes train one model: each has the whole of it, or a part."""

ModelKind = Literal["encoder", "causal"]
"""The kinds of models that ask for learning rates of their own: what reads a whole input, such as BERT, T5 and ViT, and
causal language models."""

REFERENCES = ("target", "options", "dataset", "training", "model", "prediction", "check", "test_inputs")
"""Fields that name an object as ``"module:Class"``."""


def normalise(name: str) -> str:
    """Plugin names ignore case, and ``-`` and spaces are ``_``: ``LoRA`` is ``lora``."""
    return re.sub(r"[\s-]+", "_", name.strip()).lower()


def _is_reference(text: str) -> bool:
    """Whether a text has the form ``"module:Class"``."""
    parts = text.split(":")
    return len(parts) == 2 and all(name.isidentifier() for part in parts for name in part.split("."))


def _check_types(spec: Any, own: type) -> None:
    """Raises ValueError for a field of a wrong type, or a reference that is none."""
    for attribute, hint in types_of(own).items():  # further fields are the affair of whoever adds them
        value = getattr(spec, attribute)
        if not fits(value, hint):
            raise ValueError(f"{attribute} of {spec.name!r} must be {called(hint)}, not {value!r}")
        if attribute in ("learning_rate", "bits") and not value > 0:
            raise ValueError(f"{attribute} of {spec.name!r} must be above 0, not {value!r}")
        if attribute == "learning_rates" and not all(each > 0 for each in value.values()):
            raise ValueError(f"{attribute} of {spec.name!r} must be above 0, not {value!r}")
        if attribute in REFERENCES and value is not None and not _is_reference(value):
            raise ValueError(f"{attribute} of {spec.name!r} must be 'module:Class', not {value!r}")
    if normalise(spec.name) != spec.name or not spec.name:
        raise ValueError(f"plugin name {spec.name!r} must be lower case with words joined by '_'")


@dataclass(frozen=True, kw_only=True)
class EngineSpec:
    """What takes the training steps. No kind of plugin: the tasks that use it hand it on.

    Attributes:
        name: how methods and launchers name it; lower case, words joined by ``_``.
        target: ``"module:Class"`` of the implementation, resolved on use.
        training: ``"module:Class"`` of the option model of the ``training`` section, which extends the core's. The
            module must not import torch.
        based_on: the engine that it extends: what works with that one works with this one.
        parallel: how it can train in several processes: ``"replicated"`` (each has the whole model) and ``"sharded"``.
        why_not_parallel: why it does not in the other ways, and what to write instead.
        test_inputs: ``"module:function"`` that makes its inputs of a tiny model, for the contract suites of methods.
    """

    name: str
    target: str
    training: str = "adapt_core.config:TrainingOptions"
    based_on: EngineSpec | None = None
    parallel: tuple[Parallel, ...] = ()
    why_not_parallel: str | None = None
    test_inputs: str | None = None

    def __post_init__(self) -> None:
        _check_types(self, EngineSpec)

    @property
    def names(self) -> tuple[str, ...]:
        """Its name, and those of the engines that it is based on."""
        return (self.name, *(self.based_on.names if self.based_on else ()))

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True, kw_only=True)
class Library:
    """A library that a task takes models from.

    Attributes:
        name: how ``model.library`` names it.
        engine: what trains its models.
        model: ``"module:Class"`` of the option model of the ``model`` section, which extends the core's.
        requires: modules that must be there, where the task's distribution does without them.
        install: the command that installs them.
    """

    name: str
    engine: EngineSpec
    model: str = "adapt_core.config:ModelOptions"
    requires: tuple[str, ...] = ()
    install: str = ""

    def __post_init__(self) -> None:
        _check_types(self, Library)

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True, kw_only=True)
class PluginSpec:
    """What every plugin says of itself.

    Attributes:
        name: how a configuration names it; lower case, words joined by ``_``.
        summary: one line for people.
        target: ``"module:Class"`` of the implementation, resolved on use.
        options: ``"module:Class"`` of its option model, an :class:`adapt_core.options.Options`. The module
            must not import torch: it is loaded whenever a configuration is checked.
        aliases: other names under which a configuration may name it.
        switch: a flat boolean parameter that chooses this plugin when true (``FULL_FINE_TUNING``).
        requires: modules that must be there, where its distribution does without them.
        install: the command that installs them.
        check: ``"module:function"`` that takes the finished plan and returns what is wrong with it, as pairs of the
            nested key (``("launch", "nodes")``) and a message: for what only several sections together can tell. The
            module must not import torch. Of a configuration with other mistakes it gets a plan without what these leave
            open; where it reads that, it ends.
    """

    name: str
    summary: str
    target: str
    options: str = "adapt_core.options:NoOptions"
    aliases: tuple[str, ...] = ()
    switch: str | None = None
    requires: tuple[str, ...] = ()
    install: str = ""
    check: str | None = None

    def __post_init__(self) -> None:
        _check_types(self, next(each for each in type(self).__mro__ if each.__module__ == __name__))


@dataclass(frozen=True, kw_only=True)
class TaskSpec(PluginSpec):
    """A task: its data, head, metrics and predictions.

    Attributes:
        libraries: where its models come from, each with the engine that trains them; the first is the default of
            ``model.library``.
        dataset: ``"module:Class"`` of the option model of the ``dataset`` section.
        prediction: ``"module:Class"`` of the option model of a prediction (``adapt predict RUN -O name=value``).
        variant_of: the name of another task and a flat parameter: a configuration that names that task and gives the
            parameter means this one (``("text_classification", "subtask")``).
        model_kind: which learning rate of a method is recommended for its models.
        other_kinds: further kinds of models that it takes.
    """

    libraries: tuple[Library, ...]
    dataset: str = "adapt_core.config:DatasetOptions"
    prediction: str = "adapt_core.options:NoOptions"
    variant_of: tuple[str, ...] = ()
    model_kind: ModelKind = "encoder"
    other_kinds: tuple[ModelKind, ...] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.libraries:
            raise ValueError(f"libraries of {self.name!r} must name at least one")

    def library(self, name: str | None) -> Library | None:
        """The library of a name, the default for None; None where the task has no such library."""
        wanted = normalise(name) if name else self.libraries[0].name
        return next((each for each in self.libraries if each.name == wanted), None)


@dataclass(frozen=True, kw_only=True)
class MethodSpec(PluginSpec):
    """A way of fine-tuning.

    Attributes:
        head: what it does with the model's head: ``"beside"`` (an adapter, which the head is trained beside unless
            it is pretrained and that is switched off), ``"only"`` (the head and nothing else new) or ``"all"`` (every
            parameter).
        saves: ``"adapter"`` (a file of its own over an unchanged base) or ``"model"`` (a whole model).
        learning_rate: recommended peak learning rate, used by ``adapt init``.
        learning_rates: recommended ones for kinds of models that ask for another.
        engines: the names of the engines that it works with; None means every engine.
        parallel: in which ways of training in several processes it works.
        module_types: the types of layers that its option ``target_modules`` may name, by the class or one that it
            extends, with `` (grouped)`` behind it for convolutions in groups and `` (scaled)`` for embeddings that
            multiply by a number; empty means any.
        quantization: the widths in bits of quantized bases that it trains on.
        merges: whether it can be folded into the base's own weights.
        checkpointing: whether it trains as ever where activations are recomputed (``training.gradient_checkpointing``).
        identity: whether the outputs are the base model's until the first step.
        support: ``"tested"``: the contract suite runs it; ``"untested"``: it does not; ``"expert"``: it needs more than
            a configuration gives: one that chooses it is refused, and it is left out of the suite.
        common: whether messages name it to somebody who has named no method; the others are counted.
    """

    head: Literal["beside", "only", "all"]
    saves: Literal["adapter", "model"]
    learning_rate: float
    learning_rates: Mapping[ModelKind, float] = field(default_factory=dict, hash=False)
    engines: tuple[str, ...] | None = None
    parallel: tuple[Parallel, ...] = ("replicated",)
    module_types: tuple[str, ...] = ()
    quantization: tuple[int, ...] = ()
    merges: bool = True
    checkpointing: bool = True
    identity: bool = True
    support: Literal["tested", "untested", "expert"] = "tested"
    common: bool = True

    def learning_rate_for(self, kind: ModelKind) -> float:
        """The recommended peak learning rate for a kind of model."""
        return self.learning_rates.get(kind, self.learning_rate)


@dataclass(frozen=True, kw_only=True)
class QuantizerSpec(PluginSpec):
    """A way of loading a base model in fewer bits.

    Attributes:
        bits: bits per weight, matched with :attr:`MethodSpec.quantization`.
        libraries: the model libraries whose models it can quantize.
        parallel: in which ways of training in several processes its models can be; ``"sharded"`` asks for
            :meth:`~adapt_core.interfaces.Quantizer.before_sharding` and ``after_gathering``.
        why_not_parallel: why they cannot be in the other ways.
    """

    bits: int
    libraries: tuple[str, ...] = ("transformers",)
    parallel: tuple[Parallel, ...] = ("replicated",)
    why_not_parallel: str | None = None


@dataclass(frozen=True, kw_only=True)
class SaverSpec(PluginSpec):
    """A format of the export beside ``model/``.

    Attributes:
        libraries: the model libraries whose models it can write; None means any.
        pickle: whether loading the file runs pickle, which executes code.
        added_biases: whether it keeps biases that merging gives to layers which cannot have one in their architecture.
    """

    libraries: tuple[str, ...] | None = None
    pickle: bool = False
    added_biases: bool = True


@dataclass(frozen=True, kw_only=True)
class LauncherSpec(PluginSpec):
    """A way of setting up the processes of a run.

    Attributes:
        engines: the names of the engines that it works with; None means every engine.
        parallel: how it has several processes train; None where there is one.
    """

    engines: tuple[str, ...] | None = None
    parallel: Parallel | None = None


SPEC_TYPES: dict[Kind, type[PluginSpec]] = {
    Kind.TASK: TaskSpec,
    Kind.METHOD: MethodSpec,
    Kind.QUANTIZER: QuantizerSpec,
    Kind.SAVER: SaverSpec,
    Kind.LAUNCHER: LauncherSpec,
}
