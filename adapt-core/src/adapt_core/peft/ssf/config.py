"""The configuration that SSF saves in ``adapter_config.json``."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, Literal

from adapt_core.peft.registration import OwnPeftType
from adapt_core.peft.tuner import OwnTunerConfig


@dataclass
class SsfConfig(OwnTunerConfig):
    """SSF: every output channel of a targeted layer is multiplied by a learned scale, and a learned shift is added.

    Attributes, beside those of :class:`~adapt_core.peft.tuner.OwnTunerConfig`:
        scale: whether there is a scale; a shift alone is what training the bias does (BitFit).
        init: ``"identity"``: scale 1, shift 0; ``"normal"``: the paper's, drawn around these with deviation 0.02.
        keep: what a layer keeps for the backward pass: its ``"input"`` to the scaling (as plain PyTorch does), or its
            ``"output"``, which the next operation mostly keeps anyway and which must not be changed in place;
            ``"auto"``: the output where a first forward pass, which is thrown away, shows that nothing changes it.
    """

    kind: ClassVar[OwnPeftType] = OwnPeftType.SSF

    scale: bool = field(default=True, metadata={"help": "Whether to learn a scale; without, only a shift."})
    init: Literal["identity", "normal"] = field(default="identity", metadata={"help": "How scale and shift start."})
    keep: Literal["auto", "input", "output"] = field(default="auto", metadata={"help": "What is kept for backward."})
