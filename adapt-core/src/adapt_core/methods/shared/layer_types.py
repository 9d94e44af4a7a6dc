"""The types of layers that each method can be told to adapt: what its plugin declares and what it holds itself to.

A type is the name of a class, and classes that extend it count too: bitsandbytes' linear layers are ``Linear``.
``Conv1D`` is transformers' transposed linear layer. Two types have names of their own:

- ``Conv2d (grouped)``, a convolution in groups. Most methods have no form for the update of its weight, in which not
  every output has a number for every input.
- ``Embedding (scaled)``, an embedding that multiplies by a number. What is added to its output would be multiplied too
  once it is merged into the weight.

A class may have a ``forward`` of its own. Where that computes something else than the class which it extends, merging
would change the outputs, and the layer is not adapted: a convolution that standardises its weight first is one.
"""

from __future__ import annotations

HOW_TO_NAME = (
    "names or their ends, as in PEFT; one regular expression over whole names; or presets (attention, mlp, all-linear, "
    "conv, norm, all), which leave out the head and what the method does not adapt"
)
"""What ``target_modules`` takes; :mod:`adapt_core.methods.shared.targets` reads it."""

# Names and no classes: plugins are listed without torch. The classes are in adapt_core.models.layers.
LINEAR = ("Linear", "Conv1D")
CONVOLUTIONS = ("Conv1d", "Conv2d")
TRANSPOSED_CONVOLUTIONS = ("ConvTranspose1d", "ConvTranspose2d")
NORMS = ("LayerNorm", "BatchNorm1d", "BatchNorm2d")


def grouped(*types: str) -> tuple[str, ...]:
    """What convolutions in groups are called, by the name of their class."""
    return tuple(f"{each} (grouped)" for each in types)


SCALED = "Embedding (scaled)"

LOW_RANK = (*LINEAR, *CONVOLUTIONS, "Conv3d", "Embedding")
_ANY_CONVOLUTION = (*CONVOLUTIONS, *TRANSPOSED_CONVOLUTIONS)
WITH_BIAS = (*LINEAR, *_ANY_CONVOLUTION, *grouped(*_ANY_CONVOLUTION), *NORMS)

LAYER_TYPES: dict[str, tuple[str, ...]] = {
    "adalora": (*LINEAR, "Conv2d"),
    "bitfit": WITH_BIAS,
    "bottleneck": LINEAR,
    "dora": (*LOW_RANK, SCALED),
    "lora": (*LOW_RANK, SCALED),
    "ssf": (*WITH_BIAS, "Embedding"),
}
"""Of the core's own methods; those of PEFT's tuners are in :mod:`adapt_core.methods.peft_tuners.table`."""
