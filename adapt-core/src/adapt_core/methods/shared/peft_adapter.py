"""What the methods share that PEFT provides: wrapping, saving, loading and merging."""

from __future__ import annotations

import warnings
from abc import abstractmethod
from collections.abc import Collection
from pathlib import Path
from typing import Any, ClassVar

from torch import OutOfMemoryError, nn

from adapt_core.bundles import Hints
from adapt_core.errors import AdaptError
from adapt_core.interfaces import Method
from adapt_core.methods.shared.embeddings import add_embeddings, has_other_vocabulary
from adapt_core.methods.shared.layer_types import LAYER_TYPES
from adapt_core.methods.shared.modules_to_save import require_modules, whole_modules
from adapt_core.methods.shared.pattern_checks import require_effect, require_read_as_meant, targeted
from adapt_core.methods.shared.second_adapter import REMEDY, require_apart, saved_config, unchanged_on_error
from adapt_core.methods.shared.targets import means, require_layer_types, selected
from adapt_core.models.architecture import WHOLE
from adapt_core.models.batch_norm import hold_statistics, release_statistics
from adapt_core.models.layers import is_linear
from adapt_core.models.ties import untying

FIRST = "default"
"""PEFT's name of the adapter that a model begins with."""


ROWS = ("trainable_token_indices", "token_indices")
"""PEFT's names of the option that says which rows of an embedding are trained."""


FORGETFUL = ("QUESTION_ANS",)
"""Task types whose class in PEFT 0.21 does not hand on all inputs: the model never sees ``token_type_ids``, which say
what is the question. Without a task type it does, and the head is trained all the same."""


class PeftAdapter(Method):
    """A method whose adapter is PEFT's. Subclasses give the ``PeftConfig``."""

    name: ClassVar[str] = "this method"
    """What a configuration calls it."""

    needs_task: ClassVar[bool] = False
    """Whether PEFT puts it only into a model whose task it is told."""

    own_embeddings: bool = False
    """Whether the model that it was applied to has other tokens, and so other embeddings, than its checkpoint."""

    @property
    def layer_types(self) -> tuple[str, ...]:
        """The types of layers that it can be told to adapt, by class name; empty means any."""
        return LAYER_TYPES.get(self.name, ())

    @property
    def called(self) -> str:
        """What an error about its layers calls it: its name, and the option that narrows their types."""
        return self.name

    @abstractmethod
    def config(self, module: nn.Module, hints: Hints) -> Any:
        """The ``PeftConfig`` of the method for a model; task type and saved modules are filled in by :meth:`apply`."""

    def apply(self, module: nn.Module, hints: Hints) -> nn.Module:
        """Freezes the model, adds the adapter, and leaves the head trainable where it must or should be.

        A fresh head is always trained; a pretrained one unless ``hints.train_head`` is False.

        Raises:
            AdaptError: the target modules match nothing or are of a type that it does not adapt, PEFT refuses the
                options for this model or leaves it as it is, the head is fresh and was to be frozen, or a parameter
                of the model itself is fresh.
        """
        from peft import get_peft_model

        _require_bare(module)
        self.own_embeddings = has_other_vocabulary(module)
        train_head = hints.train_head is not False
        if not train_head and (frozen := set(hints.head) & set(hints.fresh)):
            raise AdaptError(
                f"method.train_head (LAST_LAYER_TUNING) is false, but {', '.join(sorted(frozen))} is newly "
                "initialised: frozen, it would give random answers for ever",
                "Remove the key, or start from a model that already has this head.",
            )
        if hints.loose:
            raise AdaptError(
                f"method: {self.name} cannot train {', '.join(hints.loose)}, which the checkpoint has no value for: it "
                f"is a parameter of {type(module).__name__} itself, and adapters are saved with whole modules only",
                "Choose full or last_layer, or start from a checkpoint that has it.",
            )
        try:
            config = self.config(module, hints)
            asked = list(getattr(config, "modules_to_save", None) or ())
            own = (*hints.fresh, *(hints.head if train_head else ()))
            whole = whole_modules(module, asked, own)
            _require_rows(module, config, whole)
            config.modules_to_save = whole or None
            require_effect(module, config, self.name)
            require_read_as_meant(module, config)
            names = targeted(module, config)
            self.require_layers(module, names)
            # PEFT's classes for a task train a head by themselves: without the task type they leave it alone.
            wanted = train_head and hints.peft_task not in FORGETFUL
            config.task_type = hints.peft_task if wanted or self.needs_task else None
            with warnings.catch_warnings():
                # That merging such a layer gives other outputs, which it does not here: see merge.
                warnings.filterwarnings("ignore", "Model has `tie_word_embeddings=True` and a tied layer", UserWarning)
                with unchanged_on_error(module):
                    self.prepare(module, names)
                    adapted: nn.Module = get_peft_model(module, config)
        except OutOfMemoryError:
            raise
        except (ValueError, TypeError, IndexError, RuntimeError) as error:  # how PEFT and torch refuse
            raise AdaptError(
                f"method: {self.name} cannot be put on {type(module).__name__} with these options: {error}"
            ) from error
        trained = (name for name, each in adapted.named_parameters() if each.requires_grad and each.numel())
        if all(WHOLE in name for name in trained):
            raise AdaptError(
                f"method: {self.name} found nothing to train in {type(module).__name__}: PEFT adapts none of the "
                "layers that it was told to",
                "Name other layers in method.target_modules, or choose another method.",
            )
        hold_statistics(adapted, trained=True)  # also where bias: all trains the shift
        return adapted

    def save(self, module: nn.Module, folder: Path) -> None:
        """Writes PEFT's format: ``adapter_config.json`` and ``adapter_model.safetensors``.

        The base's embeddings are left out, which PEFT would save with an adapter of theirs, unless they are the model's
        own.
        """
        module.save_pretrained(folder, save_embedding_layers=self.own_embeddings)  # type: ignore[operator]
        if self.own_embeddings:
            add_embeddings(module, folder)

    def load(self, module: nn.Module, folder: Path, hints: Hints) -> nn.Module:
        """Puts a saved adapter on a base model, ready for inference."""
        from peft import PeftModel

        return PeftModel.from_pretrained(module, folder, config=saved_config(module, folder))

    def add(self, module: nn.Module, folder: Path) -> str:
        """Loads a saved adapter beside those that are there.

        Raises:
            AdaptError: it is of another kind, or shares with one that is there what both have changed, or PEFT refuses
                it; the module is as it was then.
        """
        from peft import PeftModel

        model: Any = module
        config = saved_config(module, folder)
        if config.peft_type != (own := model.peft_config[FIRST].peft_type):
            raise AdaptError(
                f"{folder} holds an adapter of PEFT's type {config.peft_type.value}, and the loaded one is of type "
                f"{own.value}: PEFT puts only one type on a base",
                REMEDY,
            )
        require_apart(model, config, folder)
        name = f"beside_{len(model.peft_config)}"
        try:
            with unchanged_on_error(module):
                # Not the method of the task's class, which has every adapter train a head.
                PeftModel.add_adapter(model, name, config)
                model.load_adapter(folder, name)
                model.set_adapter(model.active_adapter, inference_mode=True)  # what PEFT has wrapped is the new one's
        except OutOfMemoryError:
            raise
        except (AttributeError, LookupError, RuntimeError, TypeError, ValueError) as error:  # how PEFT and torch refuse
            shapes = isinstance(error, RuntimeError)  # torch's
            raise AdaptError(
                f"{folder} does not fit beside the loaded adapter"
                + (f", whose head may have other labels: {error}" if shapes else f": {type(error).__name__}: {error}"),
                REMEDY,
            ) from error
        module.eval().requires_grad_(False)  # prompts would be trainable
        return name

    def use(self, module: nn.Module, name: str | None) -> None:
        """Has the module compute with one adapter; None for the first."""
        model: Any = module
        if model.active_adapter != (wanted := name or FIRST):
            model.set_adapter(wanted, inference_mode=True)

    def require_layers(self, module: nn.Module, names: Collection[str]) -> None:
        """Raises AdaptError for a targeted layer that the method cannot adapt."""
        require_layer_types(module, names, self.layer_types, self.called)

    def prepare(self, module: nn.Module, names: Collection[str]) -> None:
        """Changes what must be otherwise before PEFT adapts the layers of these names; nothing here."""

    def merge(self, module: nn.Module) -> nn.Module:
        """Folds the adapter into the base's weights, in place, and returns the base.

        Layers that share a weight with an adapted one keep theirs, and the model is untied then.

        Raises:
            AdaptError: the adapter is none that weights can take up.
        """
        release_statistics(module)
        _unwrap_saved_modules(module)
        try:
            with untying(module, _changing(module)):
                return module.merge_and_unload()  # type: ignore[no-any-return,operator]
        except (AttributeError, NotImplementedError, ValueError, TypeError) as error:  # how PEFT's tuners refuse
            raise AdaptError(f"This adapter cannot be merged into the model's weights: {error}") from error


def _unwrap_saved_modules(module: nn.Module) -> None:
    """Puts trained heads in the place of what PEFT wrapped them in.

    PEFT 0.21's own merging leaves them wrapped for some tuners, and fails for most where a head is a ``Sequential``.
    """
    from peft.utils.other import AuxiliaryTrainingWrapper

    wrapped = [name for name, layer in module.named_modules() if isinstance(layer, AuxiliaryTrainingWrapper)]
    for name in wrapped:
        layer: Any = module.get_submodule(name)
        whole = layer.unload_and_optionally_merge_module(merge=True, safe_merge=False, adapter_names=None)
        module.set_submodule(name, whole)


def _changing(module: nn.Module) -> list[nn.Module]:
    """The base layers whose weights merging changes, but for those that PEFT changes alike at both ends."""
    from peft.tuners.trainable_tokens import TrainableTokensLayer
    from peft.tuners.tuners_utils import BaseTunerLayer

    tuned: list[Any] = [layer for layer in module.modules() if isinstance(layer, BaseTunerLayer)]
    tied = [layer for layer in tuned if isinstance(layer, TrainableTokensLayer) and layer.tied_adapter is not None]
    ends = {id(end) for layer in tied for end in (layer, layer.tied_adapter)}
    return [layer.get_base_layer() for layer in tuned if id(layer) not in ends]


def stored_transposed(module: nn.Module, targets: Any) -> bool:
    """Whether the targeted linear layers store their weights as (in, out): all are transformers' ``Conv1D``."""
    layers = [module.get_submodule(name) for name in selected(module, targets)]
    linear = [type(layer).__name__ for layer in layers if is_linear(layer)]
    return bool(linear) and set(linear) == {"Conv1D"}


def _require_bare(module: nn.Module) -> None:
    """Raises AdaptError for a model that carries an adapter."""
    from peft.tuners.tuners_utils import BaseTunerLayer
    from peft.utils.other import AuxiliaryTrainingWrapper

    there = [
        name for name, each in module.named_modules() if isinstance(each, BaseTunerLayer | AuxiliaryTrainingWrapper)
    ]
    if there or getattr(module, "peft_config", None):
        raise AdaptError(
            f"method: {type(module).__name__} is adapted already"
            + (f": {there[0]} is a {type(module.get_submodule(there[0])).__name__} of PEFT" if there else ""),
            "Give the method the base model, or merge the adapter first (merge_and_unload).",
        )


def _require_rows(module: nn.Module, config: Any, whole: Collection[str]) -> None:
    """Raises AdaptError for tokens that an embedding does not have, and for an embedding that is not there.

    Also for one that is trained whole, by its name.
    """
    both = {id(each): name for name in whole for each in module.get_submodule(name).modules()}
    for key in ROWS:
        asked = getattr(config, key, None)
        if asked is not None:
            for name, rows in asked.items() if isinstance(asked, dict) else [("", asked)]:
                layers = _embeddings(module, config, key, name)
                _require_rows_of(module, key, layers, rows)
                if twice := [both[id(each)] for each in layers if id(each) in both]:
                    raise AdaptError(
                        f"method.{key}: these rows are of {twice[0]}, which is trained whole (modules_to_save)",
                        "Leave one of the two out.",
                    )


def _require_rows_of(module: nn.Module, key: str, layers: list[Any], rows: Collection[int]) -> None:
    kind = type(module).__name__
    if not layers or not all(isinstance(each, nn.Embedding) for each in layers):
        raise AdaptError(f"method.{key}: what it means in {kind} is no embedding of tokens", "Leave it out.")
    if not rows:
        raise AdaptError(f"method.{key} names no token", "Name the tokens whose embeddings are to be trained.")
    size = min(each.num_embeddings for each in layers)
    if wrong := [row for row in rows if not 0 <= row < size]:
        raise AdaptError(
            f"method.{key}: {wrong[0]} is no token of {kind}, whose embedding has {size} rows",
            f"Name tokens from 0 to {size - 1}.",
        )


def _embeddings(module: nn.Module, config: Any, key: str, name: str) -> list[Any]:
    """The layers that tokens are of: those of a name, those that a tuner of tokens targets, or the model's input's."""
    if name:
        require_modules(module, [name], key)
        return [each for full, each in module.named_modules() if means(name, full)]
    if key == "token_indices" and (names := targeted(module, config)):
        return [module.get_submodule(each) for each in names]
    find: Any = getattr(module, "get_input_embeddings", None)
    return [find()] if find is not None else []
