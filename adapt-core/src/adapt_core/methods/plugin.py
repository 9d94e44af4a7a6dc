"""The core's own methods, offered through the same door as everybody's: an entry point in group ``adapt``."""

from __future__ import annotations

from collections.abc import Iterable

from adapt_core.hookspecs import hookimpl
from adapt_core.kinds import MethodSpec
from adapt_core.methods.shared.layer_types import LAYER_TYPES

FULL_CAUSAL, LORA_CAUSAL = 1e-5, 2e-4
"""Rates for causal language models: see docs/decisions/0015-learning-rates-by-kind-of-model.md."""


@hookimpl
def adapt_methods() -> Iterable[MethodSpec]:
    """Adapt's own options and tuners; PEFT's others are in ``adapt_core.methods.peft_tuners.plugin``."""
    yield MethodSpec(
        name="full",
        summary="Trains every parameter of the model.",
        target="adapt_core.methods.full.method:Full",
        switch="FULL_FINE_TUNING",
        head="all",
        saves="model",
        learning_rate=5e-5,
        learning_rates={"causal": FULL_CAUSAL},
        parallel=("replicated", "sharded"),
    )
    yield MethodSpec(
        name="last_layer",
        summary="Trains the model's head, and its last blocks where asked to; all else stays as it is.",
        target="adapt_core.methods.last_layer.method:LastLayer",
        options="adapt_core.methods.last_layer.options:LastLayerOptions",
        head="only",
        saves="model",
        learning_rate=5e-2,
        parallel=("replicated", "sharded"),
    )
    yield MethodSpec(
        name="lora",
        summary="Low-rank matrices beside the frozen weights of chosen layers (Hu et al. 2021, arXiv:2106.09685).",
        target="adapt_core.methods.lora.variants:lora",
        options="adapt_core.methods.lora.options:LoraOptions",
        head="beside",
        saves="adapter",
        learning_rate=5e-4,
        learning_rates={"causal": LORA_CAUSAL},
        quantization=(4, 8),
        module_types=LAYER_TYPES["lora"],
        parallel=("replicated", "sharded"),
    )
    yield MethodSpec(
        name="dora",
        summary="LoRA on the direction of a weight, its magnitude trained apart (Liu et al. 2024, arXiv:2402.09353).",
        target="adapt_core.methods.lora.variants:dora",
        options="adapt_core.methods.lora.options:DoraOptions",
        head="beside",
        saves="adapter",
        learning_rate=5e-4,
        learning_rates={"causal": LORA_CAUSAL},
        quantization=(4, 8),
        module_types=LAYER_TYPES["dora"],
        parallel=("replicated", "sharded"),
    )
    yield MethodSpec(
        name="bitfit",
        summary="Trains the biases alone (Ben Zaken et al. 2021, arXiv:2106.10199).",
        target="adapt_core.methods.bitfit.method:Bitfit",
        options="adapt_core.methods.bitfit.options:BitfitOptions",
        head="beside",
        saves="adapter",
        learning_rate=2e-3,
        quantization=(4, 8),
        module_types=LAYER_TYPES["bitfit"],
        parallel=("replicated", "sharded"),
    )
    yield MethodSpec(
        name="bottleneck",
        summary="Small bottleneck networks in every transformer block (Houlsby et al. 2019, arXiv:1902.00751).",
        target="adapt_core.methods.bottleneck.method:Bottleneck",
        options="adapt_core.methods.bottleneck.options:BottleneckOptions",
        head="beside",
        saves="adapter",
        learning_rate=1e-3,
        quantization=(4, 8),
        module_types=LAYER_TYPES["bottleneck"],
        merges=False,
        parallel=("replicated", "sharded"),
    )
    yield MethodSpec(
        name="adalora",
        summary="LoRA whose ranks go to the layers where they matter (Zhang et al. 2023, arXiv:2303.10512).",
        target="adapt_core.methods.adalora.method:Adalora",
        options="adapt_core.methods.adalora.options:AdaloraOptions",
        head="beside",
        saves="adapter",
        learning_rate=1e-2,
        quantization=(4, 8),
        module_types=LAYER_TYPES["adalora"],
    )
    yield MethodSpec(
        name="ssf",
        summary="A learned scale and shift for every output channel (Lian et al. 2022, arXiv:2210.08823).",
        target="adapt_core.methods.ssf.method:Ssf",
        options="adapt_core.methods.ssf.options:SsfOptions",
        head="beside",
        saves="adapter",
        learning_rate=2e-3,
        quantization=(4, 8),
        module_types=LAYER_TYPES["ssf"],
        parallel=("replicated", "sharded"),
    )
