"""EVA's start of LoRA (Paischer et al. 2024, arXiv 2410.07170), through PEFT."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import redirect_stdout
from itertools import repeat
from pathlib import Path
from typing import Any, ClassVar

import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn.functional import cosine_similarity

from adapt_core.bundles import Hints, Section
from adapt_core.errors import AdaptError
from adapt_core.methods.lora.activations import States, mask_of
from adapt_core.methods.lora.method import Lora
from adapt_core.methods.shared.peft_adapter import FIRST
from adapt_core.models.architecture import name_in_model

LIMIT = 1000
"""Batches after which the directions should long have settled."""


class Eva(Lora):
    """LoRA whose ``A`` starts as the directions in which a layer's inputs vary most, the first right-singular vectors.

    The ranks are shared out anew: of all directions of all layers, those that explain most of their layer's variance.
    A layer that gets none keeps its weight and nothing else.
    """

    reads_base: bool = True

    def start(self) -> dict[str, Any]:
        """The ``peft.EvaConfig``."""
        from peft import EvaConfig

        options = self.options
        # With rsLoRA the scaling already follows the rank; PEFT's adjustment is meant for alpha / r.
        adjusted = not options.use_rslora
        return {
            "eva_config": EvaConfig(
                rho=options.eva_rho, tau=options.eva_tau, whiten=options.eva_whiten, adjust_scaling_factors=adjusted
            )
        }

    def apply(self, module: nn.Module, hints: Hints) -> nn.Module:
        """Adds the adapter, with the ranks as they are asked for; see :meth:`PeftAdapter.apply`."""
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "lora with eva initialization used with low_cpu_mem_usage=False")
            return super().apply(module, hints)

    def calibrate(self, module: nn.Module, batches: Iterable[Mapping[str, Any]]) -> None:
        """Looks at the inputs of the layers, batch by batch, until the directions have settled.

        Raises:
            AdaptError: a layer has fewer inputs than directions are looked for, or they do not settle.
        """
        from peft import initialize_lora_eva_weights

        stream = _Stream(batches, States(needed=self._directions(module)))
        with redirect_stdout(io.StringIO()):  # it prints a line for each batch that is too small for a layer
            initialize_lora_eva_weights(
                module,
                stream,
                forward_fn=_forward,
                prepare_model_inputs_fn=_next,
                prepare_layer_inputs_fn=stream.states,
                gather_distributed_inputs=False,  # every process sees the same batches
                show_progress_bar=False,
            )
        _full_precision(module)

    def load_state(self, module: nn.Module, folder: Path) -> None:
        """Gives the adapter the ranks of a checkpoint, then its weights."""
        from peft import initialize_lora_eva_weights

        model: Any = module
        saved = load_file(folder / "adapter_model.safetensors")
        downs = {name: saved.get(f"{name}.lora_A.weight") for name in _layers(module)}
        # No direction at all is how PEFT says that a layer gets no update.
        ranked = {name: torch.empty(0) if down is None else down for name, down in downs.items()}
        initialize_lora_eva_weights(model, eva_state_dict=ranked)
        _full_precision(module)
        model.load_adapter(folder, FIRST, is_trainable=True)

    def sections(self, module: nn.Module) -> Sequence[Section]:
        """The rank of every update, for the report."""
        rows = [[name_in_model(name), layer.r[FIRST]] for name, layer in _layers(module).items()]
        return [Section("Ranks", "table", ["layer", "rank"], rows)]

    def _directions(self, module: nn.Module) -> int:
        """How many directions are looked for at most. Raises AdaptError where that is more than a layer's inputs."""
        most = 0
        for name, layer in _layers(module).items():
            wanted = round(layer.r[FIRST] * self.options.eva_rho)
            most = max(most, wanted)
            if wanted > layer.in_features:
                raise AdaptError(
                    f"method.init_lora_weights: eva looks for r times eva_rho = {wanted} directions among the "
                    f"inputs of {name_in_model(name)}, which has {layer.in_features}",
                    "Lower method.r or method.eva_rho.",
                )
        return most


class EvaDora(Eva):
    """The same with DoRA's magnitudes."""

    name: ClassVar[str] = "dora"
    fixed: ClassVar[dict[str, Any]] = {"use_dora": True}


class _Stream:
    """What PEFT takes for a data loader: the stream itself again and again, which gives the next batch when asked.

    PEFT goes through its loader in a cycle that keeps all that it has seen, and has no end where nothing settles.
    """

    def __init__(self, batches: Iterable[Mapping[str, Any]], states: States) -> None:
        self.states = states
        self.batch: Mapping[str, Any] = {}
        self._batches = _endless(batches)
        self._drawn = 0
        self._directions: dict[str, Tensor] = {}  # of each layer, after the batch before

    def __len__(self) -> int:
        return 1

    def __iter__(self) -> Iterator[_Stream]:
        return repeat(self)

    def to(self, device: Any) -> _Stream:
        """The batches are on the model's device already."""
        return self

    def advance(self) -> None:
        """Makes the next batch the current one. Raises AdaptError when it has been too many."""
        if self._drawn > LIMIT:
            raise AdaptError(
                f"method.init_lora_weights: eva's directions have not settled after {LIMIT} batches",
                "Lower method.eva_tau or method.r, raise training.batch_size, or choose another start.",
            )
        self._drawn += 1
        self.batch = next(self._batches)
        # The first batch tells PEFT only which layers share their input.
        self.states.gathering = self._drawn > 1

    def settle(self, module: nn.Module) -> None:
        """Has a direction that only changes its sign count as settled: it is the same direction.

        PEFT 0.21 takes the sign from a direction's largest number. Where two are about as large, it may change with
        every batch, and such a direction would never settle.
        """
        from peft.tuners.lora.eva import SVDHook

        hooks = [each for layer in module.modules() for each in layer._forward_hooks.values()]
        for hook in hooks:
            if not isinstance(hook, SVDHook) or not hasattr(hook.svd, "components_"):
                continue
            before, now = self._directions.get(hook.name), hook.svd.components_
            if before is not None and before is not now:
                hook.converged = cosine_similarity(now, before).abs() >= hook.sim_thresh
            self._directions[hook.name] = now


def _endless(batches: Iterable[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    while True:
        some = False
        for batch in batches:
            some = True
            yield batch
        if not some:
            raise AdaptError(
                "method.init_lora_weights: eva ran out of batches before its directions had settled",
                "Give a list or a data loader, which can be gone through again.",
            )


def _full_precision(module: nn.Module) -> None:
    """Makes updates float32 again: PEFT gives those whose rank it changes the dtype of the base."""
    from peft.tuners.tuners_utils import cast_adapter_dtype

    cast_adapter_dtype(module, FIRST, autocast_adapter_dtype=True)


def _next(stream: _Stream, _: Any) -> Mapping[tuple[int, ...], Tensor]:
    stream.advance()
    return mask_of(stream.batch)


def _forward(module: nn.Module, stream: _Stream) -> None:
    module(**stream.batch)
    stream.settle(module)


def _layers(module: nn.Module) -> dict[str, Any]:
    from peft.tuners.lora import LoraLayer

    return {name: layer for name, layer in module.named_modules() if isinstance(layer, LoraLayer)}
