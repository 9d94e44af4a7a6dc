"""The methods that PEFT offers beside LoRA, by PEFT's own names: entry point ``peft`` in group ``adapt``."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from adapt_core.hookspecs import hookimpl
from adapt_core.kinds import MethodSpec
from adapt_core.methods.peft_tuners.source import tuners
from adapt_core.methods.shared.layer_types import LAYER_TYPES

OWN = frozenset({"adalora", "lora"})
"""Tuners that are a plugin of their own."""

COMMON = frozenset({"ia3", "prefix_tuning", "prompt_tuning", "vera"})
"""Tuners that messages name."""

EXPERT = frozenset(
    {
        "adaption_prompt",
        "cpt",
        "multitask_prompt_tuning",
        "poly",
        "shadow",
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
        "checkpointing": False,  # transformers drops the keys and values that are handed in
        "identity": False,
    },
    "p_tuning": {
        "summary": "Embeddings before the input from a small learned encoder (Liu et al. 2021, arXiv:2103.10385).",
        "learning_rate": 1e-2,
        "merges": False,
        "identity": False,
    },
    "cartridge": {
        "summary": "Learned keys and values before those of every layer, without an encoder (Eyuboglu et al. 2025, "
        "arXiv:2506.06266).",
        "learning_rate": 1e-2,
        "merges": False,
        "checkpointing": False,  # transformers drops the keys and values that are handed in
        "identity": False,
    },
    "adamss": {
        "summary": "Updates within clustered subspaces of a weight's decomposition (AdaMSS).",
        "learning_rate": 5e-3,
    },
    "beft": {
        "summary": "A learned bias on chosen layers (Huang et al. 2025, arXiv:2509.15974).",
        "learning_rate": 5e-3,
    },
    "c3a": {
        "summary": "Circular convolutions as updates (Chen et al. 2024, arXiv:2407.19342).",
        "learning_rate": 1e-1,
        "identity": False,
    },
    "deft": {
        "summary": "A low-rank part of the weight is replaced by a learned one (Kumar et al. 2025, arXiv:2509.22793).",
        "learning_rate": 1e-3,
    },
    "delora": {
        "summary": "LoRA with direction and strength apart (Bini et al. 2025, arXiv:2503.18225); small models learn "
        "with a delora_lambda of 1 rather than PEFT's 15.",
        "learning_rate": 1e-3,
    },
    "frod": {
        "summary": "Sparse rotations of a full-rank basis that layers share (FRoD, AAAI 2026, "
        "doi:10.1609/aaai.v40i31.39813).",
        "learning_rate": 1e-3,
    },
    "glora": {
        "summary": "Low-rank scales and shifts of weight and bias (Chavan et al. 2023, arXiv:2306.07967).",
        "learning_rate": 1e-3,
    },
    "gralora": {
        "summary": "LoRA by blocks of the weight (Jung et al. 2025, arXiv:2505.20355).",
        "learning_rate": 1e-3,
    },
    "hira": {
        "summary": "The weight times a low-rank matrix, entry by entry (Huang et al. 2025, ICLR).",
        "learning_rate": 5e-3,
        "quantization": (4, 8),
    },
    "hra": {
        "summary": "Chains of Householder reflections (Yuan et al. 2024, arXiv:2405.17484).",
        "learning_rate": 5e-3,
    },
    "lily": {
        "summary": "Low-rank matrices that layers share, mixed by a router (Zhong et al. 2024, arXiv:2407.09946).",
        "learning_rate": 1e-3,
        "merges": False,
    },
    "miss": {
        "summary": "One small matrix shared by the shards of a weight (Kang et al. 2024, arXiv:2409.15371).",
        "learning_rate": 1e-3,
    },
    "osf": {
        "summary": "Trains a weight's small singular directions (Nayak et al. 2025, arXiv:2504.07097).",
        "learning_rate": 2e-4,
    },
    "peanut": {
        "summary": "Updates from small networks that read the weight (Zhong et al. 2024, arXiv:2410.01870).",
        "learning_rate": 1e-3,
    },
    "psoft": {
        "summary": "Orthogonal transformations of the principal subspace (PSOFT).",
        "learning_rate": 2e-3,
    },
    "pvera": {
        "summary": "VeRA whose vectors are drawn from a learned distribution (arXiv:2512.07703).",
        "learning_rate": 5e-3,
        "quantization": (4, 8),
    },
    "randlora": {
        "summary": "Full-rank sums of scaled random matrices (Albert et al. 2025, arXiv:2502.00987).",
        "learning_rate": 3e-4,
        "quantization": (4, 8),
    },
    "road": {
        "summary": "Rotations of pairs of outputs (Liao and Monz 2024, arXiv:2409.00119).",
        "learning_rate": 2e-2,
        "quantization": (4, 8),
    },
    "shira": {
        "summary": "A sparse choice of the weight's own entries (Bhardwaj et al. 2024, arXiv:2406.13175).",
        "learning_rate": 1e-3,
    },
    "supertuning": {
        "summary": "Trains the entries of a weight that are largest, and no others (Super-Tuning, arXiv:2607.09287).",
        "learning_rate": 1e-3,
    },
    "tinylora": {
        "summary": "A handful of numbers behind fixed random projections (arXiv:2602.04118).",
        "learning_rate": 5e-3,
    },
    "trainable_tokens": {
        "summary": "Trains the embeddings of chosen tokens (method.token_indices) and no others.",
        "learning_rate": 1e-3,
    },
    "unilora": {
        "summary": "One vector, projected into every LoRA matrix (Li et al. 2025, arXiv:2506.00799).",
        "learning_rate": 2e-2,
        "identity": False,
    },
    "vblora": {
        "summary": "LoRA matrices mixed from one bank of vectors (Li et al. 2024, arXiv:2405.15179).",
        "learning_rate": 5e-3,
        "identity": False,
    },
    "waveft": {
        "summary": "A few learned wavelet coefficients of the update (Bilican et al. 2025, arXiv:2505.12532).",
        "learning_rate": 1e-3,
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
                target=f"adapt_core.methods.peft_tuners.method:{tuner}",
                options=f"adapt_core.methods.peft_tuners.options:{tuner}",
                head="beside",
                saves="adapter",
                module_types=LAYER_TYPES.get(tuner, ()),
                common=tuner in COMMON,
                **known,
            )
