"""The configuration that bottleneck adapters save in ``adapter_config.json``."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, Literal

from adapt_core.peft.registration import OwnPeftType
from adapt_core.peft.tuner import OwnTunerConfig

FORMS = ("serial", "parallel")


@dataclass
class BottleneckConfig(OwnTunerConfig):
    """Bottleneck adapters: beside or after each targeted layer, two small linear layers with a non-linearity between.

    Attributes, beside those of :class:`~adapt_core.peft.tuner.OwnTunerConfig`:
        form: ``"serial"``: the bottleneck reads the targeted layer's output; ``"parallel"``: it reads an input.
        input_modules: for the parallel form, which input is read: from the dotted name of a targeted layer to that of
            the module whose first argument its bottleneck reads. A layer that is not in it reads its own input.
        reduction_factor: the bottleneck is so many times narrower than what it reads.
        non_linearity: a key of :data:`adapt_core.peft.bottleneck.layer.NON_LINEARITIES`.
        scaling: the bottleneck's output is multiplied by it.
        dropout: on the activations inside the bottleneck.

    Raises:
        ValueError: there is no such form.
    """

    kind: ClassVar[OwnPeftType] = OwnPeftType.BOTTLENECK

    form: Literal["serial", "parallel"] = field(default="serial", metadata={"help": "What the bottleneck reads."})
    input_modules: dict[str, str] | None = field(
        default=None, metadata={"help": "For the parallel form, by layer: the module whose first argument is read."}
    )
    reduction_factor: int = field(default=16, metadata={"help": "Width of what is read, over the bottleneck's."})
    non_linearity: str = field(default="relu", metadata={"help": "Between the two layers of the bottleneck."})
    scaling: float = field(default=1.0, metadata={"help": "Factor of the bottleneck's output."})
    dropout: float = field(default=0.0, metadata={"help": "Dropout inside the bottleneck."})

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.form not in FORMS:
            raise ValueError(f"form must be one of {', '.join(FORMS)}, not {self.form!r}")
