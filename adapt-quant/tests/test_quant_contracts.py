"""Every method that claims a width keeps its promises on a base of it."""

from __future__ import annotations

from pathlib import Path

import pytest
from quantized_models import quantized

import adapt_core
from adapt_core.errors import AdaptError
from adapt_core.kinds import Kind, MethodSpec
from adapt_core.plugins.registry import Registry
from adapt_core.testing import MODELS, QuantizerContract
from adapt_core.testing.settings import suites

METHODS = [entry.spec for entry in Registry.load().entries(Kind.METHOD) if isinstance(entry.spec, MethodSpec)]
CLAIMING = [spec.name for spec in METHODS if spec.quantization]

FLOAT32 = {"compute_dtype": "float32"}  # in which a CPU is quick
QUANTIZERS: dict[str, tuple[list[str], str, dict[str, object]]] = {
    "_bnb_4bit": (CLAIMING, "bnb_4bit", {**FLOAT32, "double_quant": True}),
    "_bnb_4bit_defaults": (["lora", "ssf", "bottleneck"], "bnb_4bit", {}),
    "_bnb_4bit_fp4": (["lora", "ssf", "bottleneck"], "bnb_4bit", {**FLOAT32, "quant_type": "fp4"}),
    "_bnb_8bit": (CLAIMING, "bnb_8bit", {}),
}
for _ending, (_methods, _name, _options) in QUANTIZERS.items():
    globals().update(suites(QuantizerContract, _methods, _ending, quantizer=_name, quantizer_options=_options))


@pytest.mark.parametrize(
    ("bits", "quantizer", "options"),
    [(4, "bnb_4bit", {}), (8, "bnb_8bit", {}), (8, "bnb_8bit", {"has_fp16_weight": True})],
)
def test_methods_that_do_not_claim_a_width_are_refused_on_a_base_of_it(
    bits: int, quantizer: str, options: dict[str, object], tmp_path: Path
) -> None:
    """As ``adapt check`` refuses them: those that can are named, and the model is left as it was."""
    module, _ = quantized(MODELS["causal_lm"].seeded(), tmp_path, quantizer, **options)
    names = [name for name, _ in module.named_modules()]
    others = [spec.name for spec in METHODS if bits not in spec.quantization]
    assert {"full", "last_layer", "boft", "prefix_tuning", "poly"} <= set(others)
    for name in others:
        with pytest.raises(
            AdaptError, match=f"method {name} cannot train on a base in {bits} bits; .*: .*lora,"
        ) as error:
            adapt_core.apply_method(module, name)
        able = error.value.message.rpartition(": ")[2].split(", ")
        assert set(able) == {spec.name for spec in METHODS if bits in spec.quantization}
    assert [name for name, _ in module.named_modules()] == names
