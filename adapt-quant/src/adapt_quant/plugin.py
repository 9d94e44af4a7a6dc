"""What adapt-quant offers."""

from __future__ import annotations

from collections.abc import Iterable

from adapt_core.hookspecs import hookimpl
from adapt_core.kinds import QuantizerSpec


@hookimpl
def adapt_quantizers() -> Iterable[QuantizerSpec]:
    """The quantizers of bitsandbytes."""
    yield QuantizerSpec(
        name="bnb_4bit",
        summary="Linear layers in 4 bits, in blocks of 64 (Dettmers et al. 2023, arXiv:2305.14314).",
        target="adapt_quant.bitsandbytes.quantizers:FourBit",
        options="adapt_quant.bitsandbytes.options:FourBitOptions",
        bits=4,
        parallel=("replicated", "sharded"),
        aliases=("bitsandbytes_4bit",),
        switch="load_in_4bit",
    )
    yield QuantizerSpec(
        name="bnb_8bit",
        summary="Linear layers in 8 bits, row by row: LLM.int8() (Dettmers et al. 2022, arXiv:2208.07339).",
        target="adapt_quant.bitsandbytes.quantizers:EightBit",
        options="adapt_quant.bitsandbytes.options:EightBitOptions",
        bits=8,
        why_not_parallel="bitsandbytes' 8-bit layers take their codes and scales from attributes of the parameter, "
        "which sharding replaces",
        aliases=("bitsandbytes_8bit",),
        switch="load_in_8bit",
    )
