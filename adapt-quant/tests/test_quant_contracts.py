"""Every method that claims a width keeps its promises on a base of it."""

from __future__ import annotations

from adapt_core.kinds import Kind, MethodSpec
from adapt_core.registry import Registry
from adapt_core.testing import QuantizerContract

LINEAR = ("causal_lm", "tied_lm", "encoder", "encoder_decoder", "vision_transformer")

OPTIONS: dict[str, dict[str, object]] = {
    "lora": {"dropout": 0.0},
    "dora": {"dropout": 0.0},
    "adalora": {"tinit": 2, "tfinal": 4},
    "oft": {"oft_block_size": 4},
}
WORKS_ON: dict[str, tuple[str, ...]] = {}
QUANTIZERS: dict[str, dict[str, object]] = {
    "bnb_4bit": {"compute_dtype": "float32", "double_quant": True},
    "bnb_8bit": {},
}


def contract(method: str, quantizer: str) -> type[QuantizerContract]:
    """The suite of a method on a quantizer."""
    members = {
        "method": method,
        "options": OPTIONS.get(method, {}),
        "works_on": WORKS_ON.get(method, LINEAR),
        "quantizer": quantizer,
        "quantizer_options": QUANTIZERS[quantizer],
    }
    return type(f"Test_{method}_{quantizer}", (QuantizerContract,), members)


CLAIMING = [
    entry.spec.name
    for entry in Registry.load().entries(Kind.METHOD)
    if isinstance(entry.spec, MethodSpec) and entry.spec.quantization
]

for _method in CLAIMING:
    for _quantizer in QUANTIZERS:
        globals()[f"Test_{_method}_{_quantizer}"] = contract(_method, _quantizer)
