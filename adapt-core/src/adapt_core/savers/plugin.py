"""The core's savers."""

from __future__ import annotations

from collections.abc import Iterable

from adapt_core.hookspecs import hookimpl
from adapt_core.kinds import SaverSpec


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
