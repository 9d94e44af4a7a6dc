"""What a task hands to the Trainer engine."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from transformers import Trainer, TrainerCallback, TrainingArguments

from adapt_core.engines.common.inputs import Inputs


@dataclass(frozen=True)
class TrainerInputs(Inputs):
    """The same, with what only the Trainer knows.

    Attributes:
        loss: from the module's outputs and the batch to the mean loss, where the module gives none.
        head_loss: from the head's logits, of shape (rows, classes), and a batch with its ``labels`` to the mean loss,
            for a model whose head makes them out of one vector a row. Give it only where training rows are the same in
            every epoch: where only the head is trained, the engine then keeps these vectors.
        token_loss: whether the loss is a mean over the tokens that have a label, as language models compute it, and
            ``items`` are these tokens.
        trainer: the class of Trainer to use, such as TRL's ``SFTTrainer``; ``train``, ``evaluation`` and ``collate``
            are what it takes, and may be what it makes of them.
        arguments: the class of its arguments.
        settings: further arguments, over those that the configuration makes.
        keywords: further keywords of the Trainer, such as ``processing_class``.
        callbacks: further callbacks of the Trainer.
    """

    loss: Callable[[Any, Mapping[str, Any]], Any] | None = None
    head_loss: Callable[[Any, Mapping[str, Any]], Any] | None = None
    token_loss: bool = False
    trainer: type[Trainer] = Trainer
    arguments: type[TrainingArguments] = TrainingArguments
    settings: Mapping[str, Any] = field(default_factory=dict)
    keywords: Mapping[str, Any] = field(default_factory=dict)
    callbacks: Sequence[TrainerCallback] = ()
