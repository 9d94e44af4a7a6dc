"""The core's own plugins, offered through the same door as everybody's: its entry point ``core`` in group ``adapt``."""

from __future__ import annotations

from collections.abc import Iterable

from adapt_core.hookspecs import hookimpl
from adapt_core.kinds import LauncherSpec, MethodSpec, SaverSpec
from adapt_core.layer_types import LAYER_TYPES


@hookimpl
def adapt_methods() -> Iterable[MethodSpec]:
    """Adapt's own options and tuners; PEFT's others are in ``adapt_core.peft_plugins``."""
    yield MethodSpec(
        name="full",
        summary="Trains every parameter of the model.",
        target="adapt_core.methods.full.method:Full",
        switch="FULL_FINE_TUNING",
        head="all",
        saves="model",
        learning_rate=5e-5,
    )
    yield MethodSpec(
        name="last_layer",
        summary="Trains the model's head, and its last blocks where asked to; all else stays as it is.",
        target="adapt_core.methods.last_layer.method:LastLayer",
        options="adapt_core.methods.last_layer.options:LastLayerOptions",
        head="only",
        saves="model",
        learning_rate=1e-3,
    )
    yield MethodSpec(
        name="lora",
        summary="Low-rank matrices beside the frozen weights of chosen layers (Hu et al. 2021, arXiv:2106.09685).",
        target="adapt_core.methods.lora.choose:lora",
        options="adapt_core.methods.lora.options:LoraOptions",
        head="beside",
        saves="adapter",
        learning_rate=5e-4,
        quantization=(4, 8),
        module_types=LAYER_TYPES["lora"],
    )
    yield MethodSpec(
        name="dora",
        summary="LoRA on the direction of a weight, its magnitude trained apart (Liu et al. 2024, arXiv:2402.09353).",
        target="adapt_core.methods.lora.choose:dora",
        options="adapt_core.methods.lora.options:DoraOptions",
        head="beside",
        saves="adapter",
        learning_rate=5e-4,
        quantization=(4, 8),
        module_types=LAYER_TYPES["dora"],
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
    )
    yield MethodSpec(
        name="adalora",
        summary="LoRA whose ranks go to the layers where they matter (Zhang et al. 2023, arXiv:2303.10512).",
        target="adapt_core.methods.adalora.method:Adalora",
        options="adapt_core.methods.adalora.options:AdaloraOptions",
        head="beside",
        saves="adapter",
        learning_rate=2e-3,
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
    )


@hookimpl
def adapt_savers() -> Iterable[SaverSpec]:
    """The formats of the export beside ``model/``."""
    yield SaverSpec(
        name="state_dict",
        summary="The weights by name in one file of PyTorch's, loaded with weights_only=True.",
        target="adapt_core.savers.state_dict:StateDict",
    )
    yield SaverSpec(
        name="safetensors",
        summary="The weights by name in one safetensors file, which holds no code.",
        target="adapt_core.savers.safetensors:Safetensors",
    )
    yield SaverSpec(
        name="save_pretrained",
        summary="A folder that transformers' from_pretrained loads, adapters merged in.",
        target="adapt_core.savers.save_pretrained:SavePretrained",
        libraries=("transformers",),
        added_biases=False,
    )
    yield SaverSpec(
        name="full_torch_model",
        summary="The whole module as a pickle; loading it runs code, so load only what you trust.",
        target="adapt_core.savers.full_torch_model:FullTorchModel",
        pickle=True,
    )


@hookimpl
def adapt_launchers() -> Iterable[LauncherSpec]:
    """One process, the one that runs the command."""
    yield LauncherSpec(
        name="local",
        summary="Runs in the process of the command, on its one device.",
        target="adapt_core.launchers.local:Local",
    )
