"""The configuration that SSF saves in ``adapter_config.json``."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from peft import PeftConfig

from adapt_core.peft.registration import OwnPeftType


@dataclass
class SsfConfig(PeftConfig):
    """SSF: every output channel of a targeted layer is multiplied by a learned scale, and a learned shift is added.

    Attributes:
        target_modules: names, last parts of names, or one regular expression, as in PEFT.
        exclude_modules: layers that are left out though ``target_modules`` names them.
        modules_to_save: further modules that are trained whole and saved.
        scale: whether there is a scale; a shift alone is what training the bias does (BitFit).
        init: ``"identity"``: scale 1, shift 0; ``"normal"``: the paper's, drawn around these with deviation 0.02.
        keep: what a layer keeps for the backward pass: its ``"input"`` to the scaling (as plain PyTorch does), or its
            ``"output"``, which the next operation mostly keeps anyway and which must not be changed in place;
            ``"auto"``: the output in linear, normalisation and embedding layers of models without in-place modules.
    """

    target_modules: list[str] | str | None = field(default=None, metadata={"help": "Layers to scale and shift."})
    exclude_modules: list[str] | str | None = field(default=None, metadata={"help": "Layers to leave out."})
    modules_to_save: list[str] | None = field(default=None, metadata={"help": "Modules to train whole and save."})
    scale: bool = field(default=True, metadata={"help": "Whether to learn a scale; without, only a shift."})
    init: Literal["identity", "normal"] = field(default="identity", metadata={"help": "How scale and shift start."})
    keep: Literal["auto", "input", "output"] = field(default="auto", metadata={"help": "What is kept for backward."})

    def __post_init__(self) -> None:
        super().__post_init__()  # type: ignore[no-untyped-call]
        self.peft_type: Any = OwnPeftType.SSF
        for name in ("target_modules", "exclude_modules"):
            value = getattr(self, name)
            if isinstance(value, list):
                setattr(self, name, set(value))
