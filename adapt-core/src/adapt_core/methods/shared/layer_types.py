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
    "adamss": ("Linear",),
    "beft": ("Linear",),
    "bitfit": WITH_BIAS,
    "boft": ("Linear", "Conv2d"),
    "bottleneck": LINEAR,
    "c3a": ("Linear",),
    "deft": LINEAR,
    "delora": ("Linear",),
    "dora": (*LOW_RANK, SCALED),
    "fourierft": LINEAR,
    "frod": LINEAR,
    "glora": ("Linear",),
    "gralora": LINEAR,
    "hira": LOW_RANK,
    "hra": ("Linear", "Conv2d"),
    "ia3": (*LINEAR, "Conv2d", "Conv3d", *grouped("Conv2d", "Conv3d")),
    "lily": ("Linear",),
    "loha": ("Linear", *CONVOLUTIONS, *grouped(*CONVOLUTIONS)),
    "lokr": ("Linear", *CONVOLUTIONS, *grouped(*CONVOLUTIONS)),
    "lora": (*LOW_RANK, SCALED),
    "miss": ("Linear",),
    "oft": ("Linear", "Embedding"),
    "osf": ("Linear",),
    "peanut": ("Linear",),
    "psoft": ("Linear",),
    "pvera": LINEAR,
    "randlora": LINEAR,
    "road": ("Linear",),
    "shira": ("Linear",),
    "ssf": (*WITH_BIAS, "Embedding"),
    "supertuning": ("Linear",),
    "tinylora": (*LINEAR, "Embedding"),
    "trainable_tokens": ("Embedding", SCALED),
    "unilora": LINEAR,
    "vblora": LINEAR,
    "vera": LINEAR,
    "waveft": LINEAR,
}
"""By method. One that is not here adapts any layer, or chooses its layers itself."""
