"""The tuners of PEFT that need more than their configuration, by their names."""

from __future__ import annotations

from collections.abc import Callable
from inspect import signature
from pathlib import Path
from typing import Any, ClassVar

from torch import nn

from adapt_core.bundles import Hints
from adapt_core.errors import AdaptError
from adapt_core.methods.peft_tuners.adamss import adamss
from adapt_core.methods.peft_tuners.tuner import PeftTuner
from adapt_core.methods.shared.targets import selected
from adapt_core.methods.shared.trained_state import read_trained, write_trained


class Ia3(PeftTuner):
    """(IA)3, which rescales only some of the layers: those that PEFT knows by architecture."""

    name: ClassVar[str] = "ia3"

    def targets(self, module: nn.Module, hints: Hints, asked: Any) -> list[str] | str | None:
        """Without others asked for, those that PEFT knows."""
        from peft.utils.constants import TRANSFORMERS_MODELS_TO_IA3_TARGET_MODULES_MAPPING as known

        own = list(known.get(_model_type(module), ())) if asked is None else []
        return own or super().targets(module, hints, asked)

    def arguments(self, module: nn.Module, hints: Hints) -> dict[str, Any]:
        """With the layers whose input is rescaled, as far as PEFT knows them."""
        given = super().arguments(module, hints)
        if given.get("feedforward_modules") is None:
            given |= _feedforward(module, given["target_modules"])
        return given


def _feedforward(module: nn.Module, targets: Any) -> dict[str, Any]:
    """Targets of (IA)3 with those whose input is rescaled: as PEFT knows them by architecture, or else none.

    PEFT 0.21 itself names all that it knows, and refuses the file that it writes of that where not all are targets.
    """
    from peft.utils.constants import TRANSFORMERS_MODELS_TO_IA3_FEEDFORWARD_MODULES_MAPPING as known

    endings = known.get(_model_type(module), ())
    names = selected(module, targets)
    inner = [name for name in names if name.endswith(tuple(endings))]
    return {"target_modules": names, "feedforward_modules": inner} if inner else {"feedforward_modules": []}


def _model_type(module: nn.Module) -> str:
    """What transformers calls the architecture; empty for other models."""
    return str(getattr(getattr(module, "config", None), "model_type", ""))


class LnTuning(PeftTuner):
    """The normalisation layers are trained."""

    name: ClassVar[str] = "ln_tuning"
    preset: ClassVar[str] = "norm"


class TrainableTokens(PeftTuner):
    """Rows of an embedding, which a model names itself."""

    name: ClassVar[str] = "trainable_tokens"

    def targets(self, module: nn.Module, hints: Hints, asked: Any) -> list[str] | str | None:
        """Without others asked for, PEFT's choice: the model's input embedding."""
        return None if asked is None else super().targets(module, hints, asked)


class Beft(PeftTuner):
    """A learned bias, which a layer without one gets when it is merged."""

    name: ClassVar[str] = "beft"

    def merge(self, module: nn.Module) -> nn.Module:
        """Folds the adapter into the base's weights, in place; layers without a bias get one."""
        adapted: Any = module
        for name in self.added_biases(module):
            layer = adapted.get_base_model().get_submodule(name).get_base_layer()
            layer.bias = nn.Parameter(layer.weight.new_zeros(layer.out_features), requires_grad=False)
        return super().merge(module)

    def added_biases(self, module: nn.Module) -> list[str]:
        """The layers without a bias, which the learned one becomes; PEFT 0.21 itself does not merge into these."""
        from peft.tuners.beft.layer import BeftLayer

        adapted: Any = module
        return [
            name
            for name, layer in adapted.get_base_model().named_modules()
            if isinstance(layer, BeftLayer) and layer.get_base_layer().bias is None
        ]


class Resumable(PeftTuner):
    """A tuner whose own file, in a checkpoint, may not continue the training."""

    state: ClassVar[str]
    """The file that does."""

    def save_state(self, module: nn.Module, folder: Path) -> None:
        """Writes all that is trained, as it is."""
        write_trained(module, folder / self.state)

    def load_state(self, module: nn.Module, folder: Path) -> None:
        """Reads what :meth:`save_state` wrote."""
        read_trained(module, folder / self.state)


class SoftPrompt(Resumable):
    """A tuner that puts learned tokens before a language model's input; PEFT saves these without their encoder."""

    state: ClassVar[str] = "prompt_state.safetensors"
    needs_task: ClassVar[bool] = True

    def config(self, module: nn.Module, hints: Hints) -> Any:
        """The tuner's ``PeftConfig``. Raises AdaptError where PEFT has no soft prompts for the model."""
        kind = type(module).__name__
        if hints.peft_task is None:
            raise AdaptError(f"{self.name} puts tokens before a language model's input, which {kind} has not")
        if hints.train_head is False and hints.head:
            raise AdaptError(
                f"method.train_head (LAST_LAYER_TUNING) is false, but PEFT trains the head of {kind} beside the "
                f"learned tokens of {self.name}",
                "Remove the key, or choose another method.",
            )
        settings = getattr(module, "config", None)
        if getattr(settings, "is_encoder_decoder", False) and hints.peft_task != "SEQ_2_SEQ_LM":
            raise AdaptError(
                f"{self.name} works on models of an encoder and a decoder that generate text, and not on {kind}: it "
                "takes no learned tokens",
                "Choose another method, or a model that is an encoder or a decoder only.",
            )
        if self.name in PREFIXES and not _reads_prefixes(module):
            raise AdaptError(
                f"{self.name} puts keys and values before those of every layer, which {kind} takes none of",
                "Choose another method.",
            )
        return super().config(module, hints)

    def arguments(self, module: nn.Module, hints: Hints) -> dict[str, Any]:
        """With the sizes that PEFT does not find: it knows some of the names that models have for them."""
        given = super().arguments(module, hints)
        settings: Any = getattr(module, "config", None)
        written = settings.to_dict() if hasattr(settings, "to_dict") else {}
        heads = getattr(settings, HEADS, None)
        if HEADS not in {*given, *written} and heads is not None:
            given[HEADS] = heads
        if "token_dim" not in given and self.name not in PREFIXES:
            embedding: Any = module.get_input_embeddings()  # type: ignore[operator]
            given["token_dim"] = embedding.weight.shape[1]  # which may be narrower than the layers
        return given


PREFIXES = ("prefix_tuning", "cartridge")
"""Tuners whose tokens are keys and values."""

HEADS = "num_attention_heads"
"""PEFT's option, and what transformers calls them whatever a model's own name for them is."""


def _reads_prefixes(module: nn.Module) -> bool:
    """Whether a model, or its base, which PEFT then calls by itself, takes keys and values of earlier tokens."""
    base = getattr(module, getattr(module, "base_model_prefix", "") or "base_model", module)
    return any("past_key_values" in signature(each.forward).parameters for each in (module, base))


class Vblora(Resumable):
    """Matrices mixed from a bank of vectors; with ``save_only_topk_weights`` PEFT saves no logits to train on."""

    name: ClassVar[str] = "vblora"
    state: ClassVar[str] = "vblora_state.safetensors"


SPECIAL: dict[str, Callable[[Any], PeftTuner]] = {
    "adamss": adamss,
    **{each.name: each for each in (Beft, Ia3, LnTuning, TrainableTokens, Vblora)},
}
"""By PEFT's names; soft prompts are told by their options."""
