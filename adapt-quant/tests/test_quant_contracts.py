"""Every method that claims a width keeps its promises on a base of it."""

from __future__ import annotations

from adapt_core.kinds import Kind, MethodSpec
from adapt_core.registry import Registry
from adapt_core.testing import QuantizerContract

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


CLAIMING = [
    entry.spec.name
    for entry in Registry.load().entries(Kind.METHOD)
    if isinstance(entry.spec, MethodSpec) and entry.spec.quantization
]

for _method in CLAIMING:
    for _quantizer, _options in QUANTIZERS.items():
        _name = f"Test_{_method}_{_quantizer}"
        _members = {"method": _method, "quantizer": _quantizer, "quantizer_options": _options}
        globals()[_name] = type(_name, (QuantizerContract,), {**_members, **SETTINGS.get(_method, {})})
