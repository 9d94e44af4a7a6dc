"""The types of layers that each method can be told to adapt: what its plugin declares and what it holds itself to.

By the name of the class, or of one that it extends: bitsandbytes' linear layers are ``Linear`` too. ``Conv1D`` is
transformers' transposed linear layer. A convolution in groups is a type of its own, ``Conv2d (grouped)``: for most
methods the update of a weight that not every input has a part in cannot be written down. So is an embedding that
multiplies by a number, ``Embedding (scaled)``: merged into its weight, what is added to its output would be multiplied.

A layer's class may have a ``forward`` of its own. Where that computes otherwise than the class which it extends, as a
convolution does that standardises its weight first, merging would change the outputs: such a layer is not adapted.
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
