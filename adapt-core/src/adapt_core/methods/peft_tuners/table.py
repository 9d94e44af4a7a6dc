"""What is known of PEFT's tuners beside their own configurations: one row a tuner.

A tuner that has no row here is offered too, by its name and with its own options, as one that no test has run.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from adapt_core.kinds import MethodSpec
from adapt_core.methods.shared.layer_types import CONVOLUTIONS, LINEAR, LOW_RANK, SCALED, grouped

ANY_GROUPS = (*CONVOLUTIONS, *grouped(*CONVOLUTIONS))
PLAIN = ("Linear",)
BITS = (4, 8)


@dataclass(frozen=True)
class Tuner:
    """A tuner of PEFT.

    Attributes:
        name: PEFT's, in lower case.
        layer_types: as :attr:`MethodSpec.module_types`; none of a tuner that chooses its layers itself.
        default_layers: the layers that it adapts by default, in words.
        unused: options that PEFT 0.21 declares for it and never reads.
        sharded: whether it trains where the model is sharded over several processes.

    The others are those of :class:`MethodSpec`.
    """

    name: str
    summary: str = ""
    learning_rate: float = 1e-3
    layer_types: tuple[str, ...] = ()
    quantization: tuple[int, ...] = ()
    aliases: tuple[str, ...] = ()
    merges: bool = True
    checkpointing: bool = True
    identity: bool = True
    support: Literal["tested", "untested", "expert"] = "tested"
    common: bool = False
    default_layers: str = "all linear layers"
    unused: tuple[str, ...] = ()
    sharded: bool = False

    @property
    def spec(self) -> MethodSpec:
        """How it describes itself as a plugin."""
        return MethodSpec(
            name=self.name,
            summary=self.summary or f"PEFT's tuner {self.name}, with its own options.",
            target=f"adapt_core.methods.peft_tuners.method:{self.name}",
            options=f"adapt_core.methods.peft_tuners.options:{self.name}",
            aliases=self.aliases,
            head="beside",
            saves="adapter",
            learning_rate=self.learning_rate,
            module_types=self.layer_types,
            quantization=self.quantization,
            merges=self.merges,
            checkpointing=self.checkpointing,
            identity=self.identity,
            support=self.support,
            common=self.common,
            parallel=("replicated", "sharded") if self.sharded else ("replicated",),
        )


def tuner(name: str) -> Tuner:
    """The row of a tuner, or where it has none, what holds for any."""
    return TUNERS.get(name) or Tuner(name, support="untested")


TUNERS: dict[str, Tuner] = {
    each.name: each
    for each in (
        Tuner("adamss", "Updates within clustered subspaces of a weight's decomposition (AdaMSS).", 5e-3, PLAIN),
        Tuner("beft", "A learned bias on chosen layers (Huang et al. 2025, arXiv:2509.15974).", 5e-3, PLAIN),
        Tuner(
            "boft",
            "Orthogonal butterfly factors (Liu et al. 2023, arXiv:2311.06243).",
            1e-3,
            ("Linear", "Conv2d"),
            sharded=True,
        ),
        Tuner(
            "c3a", "Circular convolutions as updates (Chen et al. 2024, arXiv:2407.19342).", 1e-1, PLAIN, identity=False
        ),
        Tuner(
            "cartridge",
            "Learned keys and values before those of every layer, without an encoder (Eyuboglu et al. 2025, "
            "arXiv:2506.06266).",
            1e-2,
            merges=False,
            checkpointing=False,  # transformers drops the keys and values that are handed in
            identity=False,
        ),
        Tuner(
            "deft",
            "A low-rank part of the weight is replaced by a learned one (Kumar et al. 2025, arXiv:2509.22793).",
            1e-3,
            LINEAR,
        ),
        Tuner(
            "delora",
            "LoRA with direction and strength apart (Bini et al. 2025, arXiv:2503.18225); small models learn "
            "with a delora_lambda of 1 rather than PEFT's 15.",
            1e-3,
            PLAIN,
        ),
        Tuner(
            "fourierft",
            "A few learned Fourier coefficients of the update (Gao et al. 2024, arXiv:2405.03003).",
            3e-3,
            LINEAR,
            identity=False,
            sharded=True,
        ),
        Tuner(
            "frod",
            "Sparse rotations of a full-rank basis that layers share (FRoD, AAAI 2026, doi:10.1609/aaai.v40i31.39813).",
            1e-3,
            LINEAR,
        ),
        Tuner(
            "glora",
            "Low-rank scales and shifts of weight and bias (Chavan et al. 2023, arXiv:2306.07967).",
            1e-3,
            PLAIN,
        ),
        Tuner("gralora", "LoRA by blocks of the weight (Jung et al. 2025, arXiv:2505.20355).", 1e-3, LINEAR),
        Tuner(
            "hira",
            "The weight times a low-rank matrix, entry by entry (Huang et al. 2025, ICLR).",
            5e-3,
            LOW_RANK,
            quantization=BITS,
        ),
        Tuner(
            "hra", "Chains of Householder reflections (Yuan et al. 2024, arXiv:2405.17484).", 5e-3, ("Linear", "Conv2d")
        ),
        Tuner(
            "ia3",
            "Learned vectors that rescale keys, values and inner activations (Liu et al. 2022, arXiv:2205.05638).",
            5e-3,
            (*LINEAR, "Conv2d", "Conv3d", *grouped("Conv2d", "Conv3d")),
            quantization=BITS,
            common=True,
            default_layers="those that PEFT knows by architecture, or else all linear layers",
            sharded=True,
        ),
        Tuner(
            "lily",
            "Low-rank matrices that layers share, mixed by a router (Zhong et al. 2024, arXiv:2407.09946).",
            1e-3,
            PLAIN,
            merges=False,
        ),
        Tuner(
            "ln_tuning",
            "Trains the normalisation layers (Zhao et al. 2023, arXiv:2312.11420).",
            1e-3,
            aliases=("layernorm_tuning",),
            default_layers="the normalisation layers",
            sharded=True,
        ),
        Tuner(
            "loha",
            "Hadamard products of low-rank matrices (Hyeon-Woo et al. 2021, arXiv:2108.06098).",
            1e-3,
            ("Linear", *ANY_GROUPS),
            sharded=True,
        ),
        Tuner(
            "lokr",
            "Kronecker products of small matrices (Yeh et al. 2023, arXiv:2309.14859).",
            1e-3,
            ("Linear", *ANY_GROUPS),
            sharded=True,
        ),
        Tuner(
            "miss",
            "One small matrix shared by the shards of a weight (Kang et al. 2024, arXiv:2409.15371).",
            1e-3,
            PLAIN,
        ),
        Tuner(
            "oft",
            "Orthogonal transformations in blocks (Qiu et al. 2023, arXiv:2306.07280).",
            1e-3,
            ("Linear", "Embedding"),
            quantization=BITS,
            sharded=True,
        ),
        Tuner(
            "osf",
            "Trains a weight's small singular directions (Nayak et al. 2025, arXiv:2504.07097).",
            2e-4,
            PLAIN,
            unused=("target_svd_config",),
        ),
        Tuner(
            "p_tuning",
            "Embeddings before the input from a small learned encoder (Liu et al. 2021, arXiv:2103.10385).",
            1e-2,
            merges=False,
            identity=False,
        ),
        Tuner(
            "peanut",
            "Updates from small networks that read the weight (Zhong et al. 2024, arXiv:2410.01870).",
            1e-3,
            PLAIN,
        ),
        Tuner(
            "prefix_tuning",
            "Learned keys and values before those of every layer (Li and Liang 2021, arXiv:2101.00190).",
            1e-2,
            aliases=("p_tuning_v2",),
            merges=False,
            checkpointing=False,  # transformers drops the keys and values that are handed in
            identity=False,
            common=True,
        ),
        Tuner(
            "prompt_tuning",
            "Learned embeddings before the input (Lester et al. 2021, arXiv:2104.08691).",
            3e-2,
            merges=False,
            identity=False,
            common=True,
        ),
        Tuner("psoft", "Orthogonal transformations of the principal subspace (PSOFT).", 2e-3, PLAIN),
        Tuner(
            "pvera",
            "VeRA whose vectors are drawn from a learned distribution (arXiv:2512.07703).",
            5e-3,
            LINEAR,
            quantization=BITS,
        ),
        Tuner(
            "randlora",
            "Full-rank sums of scaled random matrices (Albert et al. 2025, arXiv:2502.00987).",
            3e-4,
            LINEAR,
            quantization=BITS,
        ),
        Tuner(
            "road",
            "Rotations of pairs of outputs (Liao and Monz 2024, arXiv:2409.00119).",
            2e-2,
            PLAIN,
            quantization=BITS,
        ),
        Tuner(
            "shira",
            "A sparse choice of the weight's own entries (Bhardwaj et al. 2024, arXiv:2406.13175).",
            1e-3,
            PLAIN,
        ),
        Tuner(
            "supertuning",
            "Trains the entries of a weight that are largest, and no others (Super-Tuning, arXiv:2607.09287).",
            1e-3,
            PLAIN,
        ),
        Tuner(
            "tinylora",
            "A handful of numbers behind fixed random projections (arXiv:2602.04118).",
            5e-3,
            (*LINEAR, "Embedding"),
        ),
        Tuner(
            "trainable_tokens",
            "Trains the embeddings of chosen tokens (method.token_indices) and no others.",
            1e-3,
            ("Embedding", SCALED),
            default_layers="the embedding of the input",
        ),
        Tuner(
            "unilora",
            "One vector, projected into every LoRA matrix (Li et al. 2025, arXiv:2506.00799).",
            2e-2,
            LINEAR,
            identity=False,
        ),
        Tuner(
            "vblora",
            "LoRA matrices mixed from one bank of vectors (Li et al. 2024, arXiv:2405.15179).",
            5e-3,
            LINEAR,
            identity=False,
        ),
        Tuner(
            "vera",
            "Shared random matrices with learned vectors (Kopiczko et al. 2023, arXiv:2310.11454).",
            5e-3,
            LINEAR,
            quantization=BITS,
            common=True,
            sharded=True,
        ),
        Tuner(
            "waveft",
            "A few learned wavelet coefficients of the update (Bilican et al. 2025, arXiv:2505.12532).",
            1e-3,
            LINEAR,
        ),
        # They need inputs, layers or other adapters that a configuration alone does not give.
        *(
            Tuner(name, support="expert")
            for name in ("adaption_prompt", "cpt", "multitask_prompt_tuning", "poly", "shadow", "xlora")
        ),
    )
}
"""By PEFT's names."""
