"""Every method that claims a width keeps its promises on a base of it."""

from __future__ import annotations

from pathlib import Path

import pytest
from quantized_models import quantized

import adapt_core
from adapt_core.errors import AdaptError
from adapt_core.kinds import Kind, MethodSpec
from adapt_core.registry import Registry
from adapt_core.testing import MODELS, QuantizerContract

SETTINGS: dict[str, dict[str, object]] = {
    "lora": {"options": {"dropout": 0.0}},
    "dora": {"options": {"dropout": 0.0}},
    "adalora": {"options": {"tinit": 2, "tfinal": 4}},
    "bitfit": {"works_on": ("tied_lm", "encoder")},
    "ia3": {"learning_rate": 5e-2},
    "oft": {"options": {"oft_block_size": 4}, "works_on": ("causal_lm", "encoder")},
    "pvera": {"options": {"r": 16}, "learning_rate": 5e-2},
    "road": {"options": {"group_size": 8}, "works_on": ("causal_lm", "encoder")},
    "vera": {"options": {"r": 16}, "learning_rate": 5e-2},
}
"""What differs from the defaults of the suite, as in the core's own contract tests."""

QUANTIZERS: dict[str, dict[str, object]] = {
    "bnb_4bit": {"compute_dtype": "float32", "double_quant": True},
    "bnb_8bit": {},
}


METHODS = [entry.spec for entry in Registry.load().entries(Kind.METHOD) if isinstance(entry.spec, MethodSpec)]
CLAIMING = [spec.name for spec in METHODS if spec.quantization]

for _method in CLAIMING:
    for _quantizer, _options in QUANTIZERS.items():
        _name = f"Test_{_method}_{_quantizer}"
        _members = {"method": _method, "quantizer": _quantizer, "quantizer_options": _options}
        globals()[_name] = type(_name, (QuantizerContract,), {**_members, **SETTINGS.get(_method, {})})


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
