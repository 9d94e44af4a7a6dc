"""Options of the quantizers of bitsandbytes; transformers' own names are the flat ones."""

from __future__ import annotations

from typing import Literal

from pydantic import field_validator

from adapt_core.options import Options, option

SKIP = (
    "Further modules that stay as they are, with all that is in them: by full name, or by what stands after a dot of "
    "it. The head and the output layer always do."
)


class FourBitOptions(Options):
    """Every weight of a linear layer is one of 16 numbers times the scale of its block of 64 weights."""

    compute_dtype: Literal["float16", "bfloat16", "float32"] = option(
        "float16", flat="bnb_4bit_compute_dtype", help="What a layer multiplies in, its weights dequantized."
    )
    quant_type: Literal["nf4", "fp4"] = option(
        "nf4", flat="bnb_4bit_quant_type", help="The 16 numbers: nf4 suits weights that are normally distributed."
    )
    double_quant: bool = option(
        False, flat="bnb_4bit_use_double_quant", help="Quantize the scales too: 0.37 bits a weight less."
    )
    skip_modules: list[str] = option([], flat="llm_int8_skip_modules", help=SKIP)


class EightBitOptions(Options):
    """LLM.int8(): whole numbers from -127 to 127 times the scale of the row; inputs are quantized for each product."""

    threshold: float = option(
        6.0,
        flat="llm_int8_threshold",
        ge=0,
        help="Inputs larger than this are multiplied in 16 bits; 0 switches it off.",
    )
    skip_modules: list[str] = option([], flat="llm_int8_skip_modules", help=SKIP)
    enable_fp32_cpu_offload: bool = option(
        False,
        flat="llm_int8_enable_fp32_cpu_offload",
        help="Keep on the CPU, in 32 bits, the layers that the GPU has no memory for: refused, since these cannot be "
        "trained.",
    )
    has_fp16_weight: bool = option(
        False, flat="llm_int8_has_fp16_weight", help="Keep the weights in 16 bits and quantize them for each product."
    )

    @field_validator("enable_fp32_cpu_offload")
    @classmethod
    def _trainable(cls, value: bool) -> bool:
        if value:
            raise ValueError(
                "a model whose layers are partly on the CPU can be used and not trained: accelerate leaves them "
                "without weights between two calls, and PEFT then gives their updates none either; leave it out, "
                "4 bits (load_in_4bit) take half the memory"
            )
        return value
