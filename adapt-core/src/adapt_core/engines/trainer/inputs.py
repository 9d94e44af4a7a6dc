"""What a task hands to the Trainer engine."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from transformers import Trainer, TrainerCallback, TrainingArguments

from adapt_core.engines.common.measuring import Items, Step
from adapt_core.interfaces import Meter


@dataclass(frozen=True)
class TrainerInputs:
    """Data, a way to take a step, and metrics, in the Trainer's own terms.

    Attributes:
        train: a map-style data set of feature mappings, or an iterable for a stream, which needs
            ``training.max_steps``; None when nothing is trained. Where it has ``set_epoch``, it is told the epoch.
        evaluation: a map-style data set; None when nothing is evaluated.
        collate: makes a batch of tensors out of features. It must not draw random numbers: what is random in the data
            must be a function of (seed, epoch, row), or a resumed run would differ.
        meter: makes what measures the model in an evaluation; None for the loss alone.
        lengths: of the training rows, for batches of like length; None where length means nothing.
        step: from the module and a batch to outputs, with ``loss`` the mean over what ``items`` counts; by default the
            module called with the batch.
        evaluation_step: the same in an evaluation, where that does more, such as generating; by default ``step``.
        loss: from the module's outputs and the batch to the mean loss, where the module gives none.
        items: how many things the loss of a batch is a mean of; by default its rows, or its tokens (``token_loss``).
        head_loss: from the head's logits, of shape (rows, classes), and a batch with its ``labels`` to the mean loss,
            for a model whose head makes them out of one vector a row. Give it only where training rows are the same in
            every epoch: where only the head is trained, the engine then keeps these vectors.
        token_loss: whether the loss is a mean over the tokens that have a label, as language models compute it.
        trainer: the class of Trainer to use, such as TRL's ``SFTTrainer``; ``train``, ``evaluation`` and ``collate``
            are what it takes, and may be what it makes of them.
        arguments: the class of its arguments.
        settings: further arguments, over those that the configuration makes.
        keywords: further keywords of the Trainer, such as ``processing_class``.
        callbacks: further callbacks of the Trainer.
    """

    train: Any
    evaluation: Any
    collate: Callable[[list[Any]], Mapping[str, Any]] | None
    meter: Callable[[], Meter] | None = None
    lengths: Sequence[int] | None = None
    step: Step | None = None
    evaluation_step: Step | None = None
    loss: Callable[[Any, Mapping[str, Any]], Any] | None = None
    items: Items | None = None
    head_loss: Callable[[Any, Mapping[str, Any]], Any] | None = None
    token_loss: bool = False
    trainer: type[Trainer] = Trainer
    arguments: type[TrainingArguments] = TrainingArguments
    settings: Mapping[str, Any] = field(default_factory=dict)
    keywords: Mapping[str, Any] = field(default_factory=dict)
    callbacks: Sequence[TrainerCallback] = ()
