"""What MMDet and MMPose have in common: loading, saving and calling a model."""

from __future__ import annotations

import copy
from abc import abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, cast

import torch
from mmengine.config import Config, ConfigDict
from mmengine.model import revert_sync_batchnorm
from torch import Tensor, nn

from adapt_core.bundles import Hints, Model
from adapt_core.errors import AdaptError
from adapt_core.interfaces import Quantizer
from adapt_core.models.architecture import hints_for
from adapt_core.plan.run_plan import RunPlan
from adapt_vision.engines.mmengine.inputs import RunnerInputs
from adapt_vision.libraries.openmmlab.blocks import blocks_of
from adapt_vision.libraries.openmmlab.changes import changed, require_effect
from adapt_vision.libraries.openmmlab.configuration import (
    load_configuration,
    mappings,
    pipeline_of,
    resize,
    trainable,
    without_downloads,
    without_random_augments,
)
from adapt_vision.libraries.openmmlab.counting import is_sum, shared_counts
from adapt_vision.libraries.openmmlab.files import (
    WEIGHTS,
    classes_of,
    read_checkpoint,
    read_config,
    write_checkpoint,
)
from adapt_vision.libraries.openmmlab.heads import predictors, shared, size_heads, why_outside, without_memory
from adapt_vision.libraries.openmmlab.options import OpenMMLabModel
from adapt_vision.libraries.openmmlab.processor import Configured, enter_scope, in_floats, quiet, steps_after_reading
from adapt_vision.libraries.openmmlab.weights import weights_file

ENOUGH = 0.5
"""A checkpoint that has fewer of a model's parameters than this part is one of another model."""


class OpenMMLab:
    """The models of one library.

    Args:
        plan: of the run.
        image_size: edge in pixels that images are resized to; None for the model's own.
    """

    package: ClassVar[str]
    images: ClassVar[str] = "inputs"
    """What a batch calls its images."""

    def __init__(self, plan: RunPlan, image_size: int | None) -> None:
        self.plan = plan
        self.options = cast(OpenMMLabModel, plan.model)
        self.image_size = image_size
        with quiet():
            self._import()

    # ---- what a library does --------------------------------------------------------------------------------------

    @abstractmethod
    def _import(self) -> None:
        """Imports what registers the classes of the library."""

    @abstractmethod
    def build(self, model: ConfigDict) -> nn.Module:
        """A module of a model's configuration."""

    @abstractmethod
    def dataset(self, names: Sequence[str], steps: Sequence[ConfigDict]) -> dict[str, Any]:
        """The data set of the configuration that is saved, by which the library knows the classes."""

    @abstractmethod
    def meta(self, names: Sequence[str]) -> dict[str, Any]:
        """What a checkpoint says beside its weights."""

    def size(self, model: ConfigDict, number: int) -> None:
        """Has a configuration make heads for so many classes, in place."""
        size_heads(model, number)

    def why_not(self, model: ConfigDict) -> str | None:
        """Why a model of the index is none of the task's; None where it is."""
        return why_outside(model)

    def read_steps(self, steps: Sequence[ConfigDict]) -> Any:
        """What of the ``test_pipeline`` has an effect."""
        return steps_after_reading(steps), in_floats(steps)

    def head(self, model: ConfigDict, number: int) -> tuple[str, ...]:
        """The names of the layers that make up the head."""
        return predictors(self.build, self.size, model, number)

    # ---- the configuration ----------------------------------------------------------------------------------------

    @cached_property
    def _source(self) -> Config:
        """The configuration that the ``model`` section names."""
        enter_scope(self.package)
        config = load_configuration(self.package, self.options)
        self._require_own(config)
        config.test_pipeline = pipeline_of(config)  # MMPose's have it under another name
        if not isinstance(self.options.cfg_options, dict):
            return config
        made = changed(config, self.options.cfg_options)
        self._require_own(made)
        require_effect(self.options.cfg_options, config, lambda each: self._made(each, [""]), self._read)
        return made

    def _require_own(self, config: Config) -> None:
        if reason := self.why_not(config.model):
            raise AdaptError(
                f"{self.options.source} is a {config.model.type}, which {reason}: it is none of the task's models",
                "Name another configuration.",
            )

    def _read(self, made: Config) -> Any:
        """What of a configuration is read: the model, steps between reading an image and its tensors, and a number."""
        model = copy.deepcopy(made.model)
        for each in mappings(model):
            if "init_cfg" in each and each["init_cfg"] is None:  # what a file of weights has become
                del each["init_cfg"]
        return model, self.read_steps(made.test_pipeline), _base_batch_size(made)

    def _config(self, names: Sequence[str]) -> Config:
        """The configuration with heads for these classes, and nothing that this run does not read."""
        return self._made(self._source, names)

    def _made(self, source: Config, names: Sequence[str]) -> Config:
        model = copy.deepcopy(source.model)
        steps = copy.deepcopy(list(source.test_pipeline))
        made = Config({"model": model, "default_scope": self.package})
        if number := _base_batch_size(source):
            made.auto_scale_lr = {"base_batch_size": number}
        for change in (without_downloads, trainable, without_random_augments):
            change(made.model)
        self.size(made.model, len(names))
        if self.image_size is not None:
            resize(steps, made, self.image_size)
        for step in steps:
            step.pop("backend_args", None)
        made.test_pipeline = steps
        made.test_dataloader = {"dataset": self.dataset(names, steps)}
        made.train_dataloader = {"dataset": self.dataset(names, steps)}  # where MMPose looks for the keypoints
        return made

    def label_names(self) -> list[str]:
        """The classes that the checkpoint says its head knows."""
        return classes_of(self._weights[1]) if self._weights is not None else []

    def require_names(self, model: Model, names: Sequence[str], remedy: str) -> None:
        """Holds the names of a base model's head, where it keeps one, against the data's.

        Raises:
            AdaptError: they differ, and the head is not trained.
        """
        trained = self.plan.training.do_train and self.plan.train_head is not False
        own = [] if trained or model.hints.fresh else self.label_names()
        if own and own != list(names):
            raise AdaptError(
                f"The model's head knows {len(own)} classes, {', '.join(own[:5])}, …, the data has "
                f"{', '.join(names[:5])}, …, and the head is not trained: its answers would mean nothing",
                remedy,
            )

    # ---- loading and saving ---------------------------------------------------------------------------------------

    def load_processor(self, path: Path | None = None) -> Configured:
        """What is saved beside the model: its configuration."""
        enter_scope(self.package)
        return Configured.from_pretrained(path) if path is not None else Configured(self._config([""]))

    def load_model(self, names: Sequence[str], path: Path | None, quantizer: Quantizer | None) -> Model:
        """The model with heads for the classes, in float32.

        Args:
            names: of the classes.
            path: a folder that :meth:`save_model` wrote; None for the base model.
            quantizer: refused: the library loads no quantized models.

        Raises:
            AdaptError: it cannot be loaded, or its head cannot be trained as the method asks.
        """
        if quantizer is not None:
            raise AdaptError(f"{self.package} loads no quantized models", "Remove quantization.")
        with quiet():
            return self._loaded(names, path)

    def _loaded(self, names: Sequence[str], path: Path | None) -> Model:
        enter_scope(self.package)
        config = read_config(path) if path is not None else self._config(names)
        module = revert_sync_batchnorm(self.build(copy.deepcopy(config.model)))
        head = self.head(config.model, len(names))
        hints = replace(hints_for(module, (), self.plan.train_head), head=head)
        if path is not None:
            state, _ = read_checkpoint(path / WEIGHTS)
            self._load(module, state, path / WEIGHTS)
            return Model(module, Configured(config), hints)
        module.init_weights()
        notices: tuple[str, ...] = ()
        if self._weights is None:
            notices = (f"{self.options.source} starts from random weights: model.pretrained (load_model) is false.",)
            hints = replace(hints, fresh=head)
        else:
            without = self._load(module, self._weights[0], Path(self.options.source))
            hints = replace(hints, fresh=_modules_of(without, head))
        self._require_apart(module, hints)
        return Model(module.float(), Configured(config), hints, notices)

    def save_model(self, model: Model, folder: Path, names: Sequence[str]) -> None:
        """Writes ``config.py`` and ``model.pth``, which the library loads.

        Raises:
            AdaptError: the module has parameters that the architecture lacks.
        """
        with without_memory():
            plain = revert_sync_batchnorm(self.build(copy.deepcopy(model.processor.config.model)))
        state = model.module.state_dict()
        if added := sorted(set(state) - set(plain.state_dict())):
            raise AdaptError(
                f"Merging gave {type(model.module).__name__} {len(added)} parameters that its architecture lacks, "
                f"{added[0]} among them: {self.package} would not load them",
                "Export with save.name=state_dict or safetensors (SAVE_METHOD), or use the adapter beside its base.",
            )
        model.processor.save_pretrained(folder)
        write_checkpoint(state, self.meta(names), folder)

    @cached_property
    def _weights(self) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
        """The weights to start from, and what their file says of its data; None for random ones."""
        if not self.options.pretrained:
            return None
        return read_checkpoint(self._weights_file())

    def _weights_file(self) -> Path:
        return weights_file(self.package, self.options)

    def _load(self, module: nn.Module, state: Mapping[str, Tensor], file: Path) -> list[str]:
        """Loads what fits; returns the names of the parameters that found nothing of their shape.

        Raises:
            AdaptError: the weights are those of another model.
        """
        own = module.state_dict()
        fitting = {name: each for name, each in state.items() if name in own and own[name].shape == each.shape}
        if len(fitting) < ENOUGH * len(own):
            raise AdaptError(
                f"{file} has {len(fitting)} of the {len(own)} parameters of {self._described()}: it is another model's",
                "Name the configuration that belongs to the checkpoint.",
            )
        module.load_state_dict(fitting, strict=False)
        return [name for name, _ in module.named_parameters() if name not in fitting]

    def _described(self) -> str:
        return self.options.name or self.options.config or "the configuration beside it"

    def _require_apart(self, module: nn.Module, hints: Hints) -> None:
        """Refuses a head that stands at several places, of which an adapter would train a copy at each."""
        trains = self.plan.train_head is not False or hints.fresh
        if self.plan.method.spec.saves == "adapter" and trains and (twice := shared(module, hints.head)):
            raise AdaptError(
                f"{type(module).__name__} has its head at several places in one ({', '.join(twice[:3])}), and the "
                f"method {self.plan.method.spec.name} would train a copy at each, which do not stay equal",
                "Choose full or last_layer, or another model.",
            )

    # ---- training -------------------------------------------------------------------------------------------------

    def queries(self) -> None:
        """Its detectors have no bound that their configurations name alike."""

    def inputs(self, **given: Any) -> RunnerInputs:
        """What the engine takes, with what the configuration says of training."""
        return RunnerInputs(
            **given,
            scope=self.package,
            arguments=self.arguments,
            base_batch_size=_base_batch_size(self._source),
            summed=any(map(is_sum, mappings(self._source.model))),
            shared=shared_counts,
            blocks=blocks_of,
        )

    def arguments(self, module: Any, batch: Mapping[str, Any]) -> dict[str, Any]:
        """A batch as the arguments of a call of the module, for methods that look at what its layers read."""
        given = {"inputs": list(batch[self.images]), "data_samples": batch["data_samples"]}
        return {**plain(module).data_preprocessor(given, False), "mode": "tensor"}

    def items(self, batch: Mapping[str, Any]) -> int:
        """What the losses are means of: images."""
        return len(batch[self.images])


def _base_batch_size(config: Config) -> int | None:
    """The rows of a step that its learning rate was tuned for."""
    number: int | None = (config.get("auto_scale_lr") or {}).get("base_batch_size")
    return number


def plain(module: Any) -> Any:
    """The library's own module in what a method has made of it."""
    return module.get_base_model() if hasattr(module, "get_base_model") else module


def flattened(outputs: Any) -> Tensor:
    """All tensors of nested outputs in one, float32 of shape (numbers,)."""
    return torch.cat([each.reshape(-1).float().cpu() for each in _tensors(outputs)])


def _tensors(outputs: Any) -> Iterable[Tensor]:
    if isinstance(outputs, Tensor):
        yield outputs
    elif isinstance(outputs, Mapping):
        for each in outputs.values():
            yield from _tensors(each)
    elif isinstance(outputs, list | tuple):
        for each in outputs:
            yield from _tensors(each)
    elif hasattr(outputs, "values"):  # InstanceData
        yield from _tensors(outputs.values())


def _modules_of(names: Sequence[str], head: Sequence[str]) -> tuple[str, ...]:
    """The modules of parameters that are newly initialised; all of the head, where one is in it."""
    found = dict.fromkeys(name.rpartition(".")[0] for name in names)
    in_head = [each for each in found if each in head]
    return tuple(dict.fromkeys([*(head if in_head else ()), *found]))
