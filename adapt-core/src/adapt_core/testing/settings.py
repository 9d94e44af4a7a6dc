"""How Adapt's methods are tried on tiny models, by the suites of methods and of quantizers."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

LINEAR = ("causal_lm", "encoder", "encoder_decoder", "vision_transformer")
LINEAR_OR_CONV1D = (*LINEAR, "tied_lm")
LANGUAGE = ("causal_lm", "tied_lm", "encoder", "encoder_decoder")

SETTINGS: dict[str, dict[str, Any]] = {
    # Adapt's own
    "full": {},
    "last_layer": {"works_on": ("encoder", "vision_transformer", "convolutional")},
    "lora": {"works_on": LINEAR_OR_CONV1D, "options": {"dropout": 0.0}},
    "dora": {"works_on": LINEAR_OR_CONV1D, "options": {"dropout": 0.0}},
    "adalora": {"works_on": LINEAR_OR_CONV1D, "options": {"tinit": 2, "tfinal": 4}},
    "bitfit": {"works_on": ("tied_lm", "encoder", "vision_transformer", "convolutional")},
    "ssf": {},
    "bottleneck": {"works_on": LINEAR_OR_CONV1D},
    # PEFT's tuners
    "ia3": {
        "works_on": (*LANGUAGE, "vision_transformer"),
        "learning_rate": 5e-2,
        "layer_options": {"feedforward_modules": []},
    },
    "vera": {"works_on": LINEAR_OR_CONV1D, "learning_rate": 5e-2, "options": {"r": 16}},
    "loha": {"works_on": LINEAR},
    "lokr": {"works_on": LINEAR},
    "oft": {"works_on": LINEAR, "options": {"oft_block_size": 8}},
    "boft": {"works_on": LINEAR, "options": {"boft_block_size": 4}},
    "fourierft": {"works_on": LINEAR_OR_CONV1D, "learning_rate": 1e-2, "options": {"n_frequency": 50, "scaling": 15.0}},
    "ln_tuning": {"works_on": LINEAR_OR_CONV1D, "learning_rate": 5e-2},
    "prompt_tuning": {"works_on": LANGUAGE, "learning_rate": 5e-2, "options": {"num_virtual_tokens": 4}},
    "prefix_tuning": {"works_on": LANGUAGE, "learning_rate": 5e-2, "options": {"num_virtual_tokens": 4}},
    "p_tuning": {"works_on": LANGUAGE, "learning_rate": 5e-2, "options": {"num_virtual_tokens": 4}},
    "cartridge": {"works_on": LANGUAGE, "learning_rate": 5e-2, "options": {"num_virtual_tokens": 4}},
    "adamss": {"works_on": LINEAR, "options": {"r": 16, "num_subspaces": 2}},
    "beft": {"works_on": LINEAR},
    "c3a": {"works_on": LINEAR, "learning_rate": 1e-1, "options": {"block_size": 8}},
    "deft": {"works_on": LINEAR_OR_CONV1D},
    "delora": {"works_on": LINEAR},
    "frod": {"works_on": LINEAR_OR_CONV1D, "learning_rate": 2e-1},
    "glora": {"works_on": LINEAR},
    "gralora": {"works_on": LINEAR_OR_CONV1D},
    "hira": {"works_on": LINEAR_OR_CONV1D},
    "hra": {"works_on": LINEAR},
    "lily": {"works_on": LINEAR},
    "miss": {"works_on": LINEAR, "options": {"r": 4}},
    "osf": {"works_on": LINEAR},
    "peanut": {"works_on": LINEAR},
    "psoft": {"works_on": LINEAR, "options": {"r": 8}},
    "pvera": {
        "works_on": LINEAR_OR_CONV1D,
        "learning_rate": 5e-2,
        "options": {"r": 4},  # its noise grows with the rank
        "layer_options": {"r": 16},
    },
    "randlora": {"works_on": LINEAR_OR_CONV1D},
    "road": {"works_on": LINEAR, "options": {"group_size": 8}},
    "shira": {"works_on": LINEAR, "options": {"r": 2}},
    "supertuning": {"works_on": LINEAR, "options": {"sparsity": 0.9}},
    "tinylora": {"works_on": LINEAR_OR_CONV1D},
    "trainable_tokens": {
        "works_on": LANGUAGE,
        "learning_rate": 5e-2,
        "options": {"token_indices": list(range(3, 20))},
    },
    "unilora": {"works_on": LINEAR_OR_CONV1D, "options": {"init_theta_d_bound": 1.0}},
    "vblora": {"works_on": LINEAR_OR_CONV1D, "options": {"vector_length": 8, "num_vectors": 20}},
    "waveft": {"works_on": LINEAR_OR_CONV1D, "options": {"n_frequency": 50}},
}
"""What differs from the defaults of :class:`adapt_core.testing.MethodContract`, by method."""


def suites(contract: type, methods: Iterable[str], ending: str = "", **members: Any) -> dict[str, type]:
    """Test classes by name, one for each method, for the namespace of a test module.

    Args:
        contract: what they extend.
        methods: those to try; one that is not among :data:`SETTINGS` is tried with the contract's defaults.
        ending: of the classes' names.
        members: attributes that all of them get.
    """
    names = {f"Test{''.join(map(str.capitalize, method.split('_')))}{ending}": method for method in methods}
    return {
        name: type(name, (contract,), {"method": method, **SETTINGS.get(method, {}), **members})
        for name, method in names.items()
    }
