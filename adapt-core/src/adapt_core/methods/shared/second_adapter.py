"""Two adapters on one base: which cannot be kept apart, and a model that is as it was where PEFT refuses."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from copy import copy
from pathlib import Path
from typing import Any, NamedTuple

from torch import Tensor, nn

from adapt_core.errors import AdaptError
from adapt_core.methods.shared.targets import means

REMEDY = "Load it by itself, with load_run."


class Claim(NamedTuple):
    """What an adapter does to a layer of the base.

    Attributes:
        option: of the configuration, which says so: a key of :data:`WORDS`.
        layer: the dotted name.
    """

    option: str
    layer: str

    def __str__(self) -> str:
        return f"{WORDS[self.option].format(self.layer)} ({self.option})"

    def excludes(self, other: Claim) -> bool:
        """Whether one model cannot hold both: two adapters of a layer it can, and two whole copies of one."""
        if self == other or self.option == other.option == "target_modules":
            return False
        return f"{self.layer}.".startswith(f"{other.layer}.") or f"{other.layer}.".startswith(f"{self.layer}.")


WORDS = {
    "modules_to_save": "trains {} whole",
    "target_modules": "adapts {}",
    "trainable_token_indices": "trains rows of {}",
}


def saved_config(module: nn.Module, folder: Path) -> Any:
    """The ``PeftConfig`` of a saved adapter.

    Where PEFT's own has no ``modules_to_save``, it gets one: the modules that were trained whole beside the adapter, by
    the tensors that are saved. PEFT 0.21 would load these into the base itself, over those of another adapter.

    Args:
        module: the base model, or one that carries adapters.
        folder: where the adapter is.
    """
    from peft import PeftConfig

    config: Any = PeftConfig.from_pretrained(str(folder))
    if not hasattr(config, "modules_to_save"):
        saved = _base_tensors(base_layers(module), folder)
        config.modules_to_save = list(dict.fromkeys(name.rpartition(".")[0] for name in saved)) or None
    config.inference_mode = True
    return config


def require_apart(model: Any, config: Any, folder: Path) -> None:
    """Raises AdaptError, with the option, where an adapter has changed a part of the base that a loaded one has too.

    Args:
        model: the ``PeftModel``.
        config: of the adapter that is to be added.
        folder: where it is.
    """
    from peft.tuners.trainable_tokens import TrainableTokensLayer

    refused = f"{folder} cannot be put beside the loaded adapter"
    loaded = list(model.peft_config.values())
    for who, each in [*(("the loaded one", one) for one in loaded), ("it", config)]:
        if (bias := getattr(each, "bias", None) or "none") != "none":
            raise AdaptError(
                f"{refused}: {who} has changed biases of the base, which both would have (bias: {bias})", REMEDY
            )
    layers = base_layers(model)
    ours = [claim for each in loaded for claim in _claims(layers, model, each)]
    theirs = _claims(layers, model, config)
    for mine in ours:
        for other in theirs:
            if mine.excludes(other):
                both = f"the loaded one {mine}, and it {other}"
                raise AdaptError(f"{refused}: {both}, and one model can hold only one of the two", REMEDY)
    for mine in ours:
        # PEFT 0.21 looks for the rows of every adapter that it loads after one that has some.
        if mine.option == "trainable_token_indices" and mine not in theirs:
            raise AdaptError(
                f"{refused}: the loaded one {mine}, and it does not, which PEFT loads only in the other order",
                "Load this one first and add the other to it, or load it by itself, with load_run.",
            )
    tied = [
        each for each in model.modules() if isinstance(each, TrainableTokensLayer) and each.tied_adapter is not None
    ]
    if tied and hasattr(config, "token_indices"):
        why = "its embedding is tied to the output layer, where PEFT 0.21 puts one such adapter only"
        raise AdaptError(f"{refused}: {why} (token_indices)", REMEDY)
    apart = [claim.layer for claim in theirs if claim.option == "modules_to_save"]
    for name, value in _base_tensors(layers, folder).items():
        place, _, leaf = name.rpartition(".")
        own: Any = getattr(layers[place], leaf)
        # PEFT also saves embeddings that are as they were.
        if not any(f"{name}.".startswith(f"{layer}.") for layer in apart) and not (
            own.shape == value.shape and bool((own.cpu() == value.to(own.dtype)).all())
        ):
            raise AdaptError(f"{refused}: it has changed {name} of the base, which both would have", REMEDY)


@contextmanager
def unchanged_on_error(module: nn.Module) -> Iterator[None]:
    """Puts a model back together as it was, layer by layer, where something raises; tensors' values are not kept."""
    layers = [(each, dict(each.__dict__)) for each in module.modules()]
    containers = [
        (value, copy(value)) for _, own in layers for value in own.values() if isinstance(value, dict | list | set)
    ]
    trainable = [(each, each.requires_grad) for each in module.parameters()]

    def restore() -> None:
        for layer, own in layers:
            layer.__dict__.clear()
            layer.__dict__.update(own)
        for container, content in containers:
            container.clear()
            (container.extend if isinstance(container, list) else container.update)(content)
        for parameter, required in trainable:
            parameter.requires_grad_(required)

    with ExitStack() as undo:
        undo.callback(restore)  # a Ctrl-C in between would leave half an adapter too
        yield
        undo.pop_all()


def base_layers(module: nn.Module) -> dict[str, nn.Module]:
    """The layers of the base model by the names that they have in it, whatever PEFT has wrapped them in."""
    model: Any = module
    return dict(_walk(model.get_base_model() if hasattr(model, "get_base_model") else model, ""))


def _walk(layer: nn.Module, name: str) -> Iterator[tuple[str, nn.Module]]:
    inner = _unwrapped(layer)
    yield name, inner
    for child_name, child in inner.named_children():
        yield from _walk(child, f"{name}.{child_name}" if name else child_name)


def _unwrapped(layer: Any) -> nn.Module:
    from peft.tuners.tuners_utils import BaseTunerLayer
    from peft.utils.other import AuxiliaryTrainingWrapper

    while isinstance(layer, BaseTunerLayer | AuxiliaryTrainingWrapper):
        layer = layer.get_base_layer() if isinstance(layer, BaseTunerLayer) else layer.original_module
    return layer  # type: ignore[no-any-return]


def _claims(layers: Mapping[str, nn.Module], model: Any, config: Any) -> list[Claim]:
    """What an adapter does to which layers, by its configuration, as PEFT reads it."""
    from peft.tuners.tuners_utils import check_target_module_exists

    whole = tuple(getattr(config, "modules_to_save", None) or ())
    found = [Claim("modules_to_save", name) for name in layers if whole and name.endswith(whole)]
    if getattr(config, "target_modules", None):
        found += [Claim("target_modules", name) for name in layers if name and check_target_module_exists(config, name)]
    if parameters := getattr(config, "target_parameters", None):
        found += [Claim("target_modules", name) for name, each in layers.items() if _holds(each, name, parameters)]
    rows = getattr(config, "trainable_token_indices", None)
    if isinstance(rows, dict):
        found += [Claim("trainable_token_indices", name) for name in layers if name.endswith(tuple(rows))]
    elif rows:
        embedding = _unwrapped(model.get_base_model().get_input_embeddings())
        found += [Claim("trainable_token_indices", name) for name, each in layers.items() if each is embedding]
    return found


def _holds(layer: nn.Module, name: str, parameters: Collection[str]) -> bool:
    return any(
        means(entry, f"{name}.{own}") for own, _ in layer.named_parameters(recurse=False) for entry in parameters
    )


def _base_tensors(layers: Mapping[str, nn.Module], folder: Path) -> dict[str, Tensor]:
    """The tensors in a saved adapter that are named as the base's own are, by these names."""
    from peft.utils import SAFETENSORS_WEIGHTS_NAME
    from safetensors import safe_open

    file = folder / SAFETENSORS_WEIGHTS_NAME
    if not file.is_file():  # PEFT says so
        return {}
    own = {f"{name}.{leaf}" for name, each in layers.items() for leaf in (*each._parameters, *each._buffers)}
    found: dict[str, Tensor] = {}
    with safe_open(file, framework="pt") as opened:
        saved = list(opened.keys())
        for key in saved:
            # In soft prompts' models the base is one level higher.
            inner = key.removeprefix("base_model.").replace(".base_layer.", ".")
            found |= {name: opened.get_tensor(key) for name in (inner, inner.removeprefix("model.")) if name in own}
    return found
