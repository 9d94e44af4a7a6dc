"""A tuner of PEFT by its own name: ``adapt_core.methods.peft.method:vera`` is the class of ``vera``."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from torch import nn

from adapt_core.bundles import Hints
from adapt_core.errors import AdaptError
from adapt_core.methods.peft_adapter import PeftAdapter, stored_transposed
from adapt_core.methods.targets import resolve, selected
from adapt_core.options import Options
from adapt_core.peft_fields import config_fields
from adapt_core.peft_source import tuners

PRESETS = {"ln_tuning": "norm"}
"""The layers by default, where these are not all linear ones."""

STATE = "prompt_state.safetensors"


class PeftTuner(PeftAdapter):
    """Any tuner, by its name; its options are the fields of its configuration."""

    def __init__(self, options: Options) -> None:
        self.options = options

    def config(self, module: nn.Module, hints: Hints) -> Any:
        """The tuner's ``PeftConfig``: what differs from its own defaults, and the layers by default all linear ones."""
        from peft import PeftType
        from peft.mapping import PEFT_TYPE_TO_CONFIG_MAPPING

        kind: Any = PEFT_TYPE_TO_CONFIG_MAPPING[PeftType(self.name.upper())]
        defaults = _defaults(self.name)
        given = {name: value for name, value in self.options if value != defaults[name]}
        asked = given.get("target_modules")
        # Tokens are rows of the embedding, which a model names itself.
        if "target_modules" in defaults and (asked is not None or self.name != "trainable_tokens"):
            known = self._known(module) if asked is None else []
            given["target_modules"] = known or resolve(module, hints, asked, PRESETS.get(self.name, "all-linear"))
            if "fan_in_fan_out" in defaults and stored_transposed(module, given["target_modules"]):
                given["fan_in_fan_out"] = True
            if self.name == "ia3" and given.get("feedforward_modules") is None:
                given |= _feedforward(module, given["target_modules"])
        return kind(**given)

    def merge(self, module: nn.Module) -> nn.Module:
        """Folds the adapter into the base's weights, in place; layers without a bias get one where it needs that."""
        for name in self.added_biases(module):
            base: Any = module.get_submodule(name).get_base_layer()  # type: ignore[operator]
            base.bias = nn.Parameter(base.weight.new_zeros(base.out_features), requires_grad=False)
        return super().merge(module)

    def added_biases(self, module: nn.Module) -> list[str]:
        """The layers without a bias, which BEFT's becomes; PEFT 0.21 itself does not merge into these."""
        if self.name != "beft":
            return []
        from peft.tuners.beft.layer import BeftLayer

        return [
            name
            for name, layer in module.named_modules()
            if isinstance(layer, BeftLayer) and layer.get_base_layer().bias is None
        ]

    def _known(self, module: nn.Module) -> list[str]:
        """What PEFT knows by architecture: (IA)3 rescales only some of the layers."""
        from peft.utils.constants import TRANSFORMERS_MODELS_TO_IA3_TARGET_MODULES_MAPPING as known

        return list(known.get(_model_type(module), ())) if self.name == "ia3" else []


def _feedforward(module: nn.Module, targets: Any) -> dict[str, Any]:
    """Targets of (IA)3 with those whose input is rescaled, as PEFT knows them by architecture; none where it does not.

    PEFT 0.21 itself names all that it knows, and refuses the file that it writes of that where not all are targets.
    """
    from peft.utils.constants import TRANSFORMERS_MODELS_TO_IA3_FEEDFORWARD_MODULES_MAPPING as known

    endings = known.get(_model_type(module))
    if endings is None:
        return {}
    names = selected(module, targets)
    inner = [name for name in names if name.endswith(tuple(endings))]
    return {"target_modules": names, "feedforward_modules": inner} if inner else {"feedforward_modules": []}


def _model_type(module: nn.Module) -> str:
    """What transformers calls the architecture; empty for other models."""
    return str(getattr(getattr(module, "config", None), "model_type", ""))


class SoftPrompt(PeftTuner):
    """A tuner that puts learned tokens before a language model's input."""

    def config(self, module: nn.Module, hints: Hints) -> Any:
        """The tuner's ``PeftConfig``. Raises AdaptError where PEFT has no soft prompts for the model."""
        if hints.peft_task is None:
            raise AdaptError(
                f"{self.name} puts tokens before a language model's input, which {type(module).__name__} has not"
            )
        return super().config(module, hints)

    def save_state(self, module: nn.Module, folder: Path) -> None:
        """Writes all that is trained: PEFT itself saves the tokens without the encoder that they come from."""
        from safetensors.torch import save_file

        trained = {name: each for name, each in module.named_parameters() if each.requires_grad}
        save_file({name: each.detach().cpu().clone() for name, each in trained.items()}, folder / STATE)

    def load_state(self, module: nn.Module, folder: Path) -> None:
        """Reads what :meth:`save_state` wrote."""
        from safetensors.torch import load_file

        own = dict(module.named_parameters())
        for name, each in load_file(folder / STATE).items():
            own[name].data.copy_(each)


def __getattr__(name: str) -> type[PeftTuner]:
    if name not in tuners():
        raise AttributeError(f"the installed PEFT has no tuner {name!r}")
    return _made(name)


@cache
def _made(name: str) -> type[PeftTuner]:
    kind = SoftPrompt if "num_virtual_tokens" in _defaults(name) else PeftTuner
    return type(name, (kind,), {"name": name, "__doc__": f"PEFT's {name}."})


def _defaults(name: str) -> dict[str, Any]:
    """PEFT's own defaults of a tuner's options."""
    return {field.name: field.default for field in config_fields(name)}
