"""Loss and perplexity, and the texts that an evaluation generates."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from transformers import TrainerCallback

from adapt_core.bundles import Evaluated
from adapt_core.interfaces import World
from adapt_nlp.generating import Generated
from adapt_nlp.text_generation.encoding import IGNORED

GENERATED = "generated"
"""The key under which a step gives the texts that it has generated."""


class PerplexityMeter:
    """Perplexity, the exponential of the mean loss over all tokens; keeps two sums and the generated texts."""

    def __init__(self) -> None:
        self.loss = 0.0
        self.tokens = 0
        self.generated: list[Generated] = []

    def update(self, batch: Mapping[str, Any], outputs: Mapping[str, Any]) -> None:
        """Takes in a loss, the mean over the batch's labels but for those of first tokens, and generated texts."""
        tokens = int((batch["labels"][..., 1:] != IGNORED).sum())
        self.loss += float(outputs["loss"]) * tokens
        self.tokens += tokens
        self.generated += outputs.get(GENERATED, [])

    def result(self, world: World) -> Evaluated:
        """``perplexity``; the outputs are the texts that were generated, by row."""
        parts = world.gather((self.loss, self.tokens, self.generated))
        mean = sum(loss for loss, _, _ in parts) / max(sum(tokens for _, tokens, _ in parts), 1)
        texts = sorted((text for _, _, own in parts for text in own), key=lambda text: text.row)
        # Beyond 709 the exponential is no number that a float can hold.
        return Evaluated({"perplexity": math.exp(mean) if mean < 709 else math.inf}, texts)


class FirstPerplexity(TrainerCallback):
    """Remembers the perplexity before training, also in a run that was resumed, which is not evaluated once more.

    Attributes:
        value: None before the first evaluation, or where there was none before training.
    """

    value: float | None = None

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Has a resumed run go on where it was."""
        if state.global_step:
            args.eval_on_start = False

    def on_evaluate(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Looks it up in the log of the run, which checkpoints carry on."""
        before = [line for line in state.log_history if line.get("step") == 0 and "eval_perplexity" in line]
        if before:
            self.value = before[0]["eval_perplexity"]
