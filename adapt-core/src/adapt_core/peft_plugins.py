"""The methods that PEFT offers beside LoRA, by PEFT's own names: entry point ``peft`` in group ``adapt``."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from adapt_core.hookspecs import hookimpl
from adapt_core.kinds import MethodSpec
from adapt_core.layer_types import LAYER_TYPES
from adapt_core.peft_source import tuners

OWN = frozenset({"adalora", "lora"})
"""Tuners that are a plugin of their own."""

EXPERT = frozenset(
    {
        "adaption_prompt",
        "cartridge",
        "cpt",
        "multitask_prompt_tuning",
        "poly",
        "shadow",
        "supertuning",
        "trainable_tokens",
        "xlora",
    }
)
"""Tuners that need inputs, layers or adapters that a configuration alone does not give."""

TESTED: dict[str, dict[str, Any]] = {
    "ia3": {
        "summary": "Learned vectors that rescale keys, values and inner activations (Liu et al. 2022, "
        "arXiv:2205.05638).",
        "learning_rate": 5e-3,
        "quantization": (4, 8),
    },
    "vera": {
        "summary": "Shared random matrices with learned vectors (Kopiczko et al. 2023, arXiv:2310.11454).",
        "learning_rate": 5e-3,
        "quantization": (4, 8),
    },
    "loha": {
        "summary": "Hadamard products of low-rank matrices (Hyeon-Woo et al. 2021, arXiv:2108.06098).",
        "learning_rate": 1e-3,
    },
    "lokr": {
        "summary": "Kronecker products of small matrices (Yeh et al. 2023, arXiv:2309.14859).",
        "learning_rate": 1e-3,
    },
    "oft": {
        "summary": "Orthogonal transformations in blocks (Qiu et al. 2023, arXiv:2306.07280).",
        "learning_rate": 1e-3,
        "quantization": (4, 8),
    },
    "boft": {
        "summary": "Orthogonal butterfly factors (Liu et al. 2023, arXiv:2311.06243).",
        "learning_rate": 1e-3,
    },
    "fourierft": {
        "summary": "A few learned Fourier coefficients of the update (Gao et al. 2024, arXiv:2405.03003).",
        "learning_rate": 3e-3,
        "identity": False,
    },
    "ln_tuning": {
        "summary": "Trains the normalisation layers (Zhao et al. 2023, arXiv:2312.11420).",
        "learning_rate": 1e-3,
        "aliases": ("layernorm_tuning",),
    },
    "prompt_tuning": {
        "summary": "Learned embeddings before the input (Lester et al. 2021, arXiv:2104.08691).",
        "learning_rate": 3e-2,
        "merges": False,
        "identity": False,
    },
    "prefix_tuning": {
        "summary": "Learned keys and values before those of every layer (Li and Liang 2021, arXiv:2101.00190).",
        "learning_rate": 1e-2,
        "aliases": ("p_tuning_v2",),
        "merges": False,
        "identity": False,
    },
    "p_tuning": {
        "summary": "Embeddings before the input from a small learned encoder (Liu et al. 2021, arXiv:2103.10385).",
        "learning_rate": 1e-2,
        "merges": False,
        "identity": False,
    },
}
"""What the contract suite has shown of a tuner."""


@hookimpl
def adapt_methods() -> Iterable[MethodSpec]:
    """Every tuner of the installed PEFT."""
    for tuner in tuners():
        if tuner not in OWN:
            known: dict[str, Any] = {
                "summary": f"PEFT's tuner {tuner}, with its own options.",
                "learning_rate": 1e-3,
                "support": "expert" if tuner in EXPERT else "untested",
                **({"support": "tested", **TESTED[tuner]} if tuner in TESTED else {}),
            }
            yield MethodSpec(
                name=tuner,
                target=f"adapt_core.methods.peft.method:{tuner}",
                options=f"adapt_core.methods.peft.options:{tuner}",
                head="beside",
                saves="adapter",
                module_types=LAYER_TYPES.get(tuner, ()),
                **known,
            )
