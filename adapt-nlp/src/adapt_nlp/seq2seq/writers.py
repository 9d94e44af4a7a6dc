"""What the kinds of models that write a text out of a text differ in."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch.utils.data import Dataset

from adapt_core.config.sections import ModelOptions
from adapt_core.errors import AdaptError
from adapt_nlp.seq2seq.encoding import Encode, EncodedPairs
from adapt_nlp.seq2seq.options import Seq2SeqOptions

IGNORED = -100
"""The label of a token that the loss leaves out."""


class Writer(ABC):
    """How a kind of model is given a text, learns a target, and writes one.

    Attributes:
        auto_class: the name of the class of transformers that loads it.
        token_loss: see :class:`~adapt_core.engines.trainer.inputs.TrainerInputs`.
    """

    auto_class: ClassVar[str]
    token_loss: ClassVar[bool]

    def __init__(self, model: ModelOptions, options: Seq2SeqOptions) -> None:
        self.model = model
        self.options = options

    @abstractmethod
    def require_room(self, new_tokens: int | None = None) -> None:
        """Raises AdaptError where a model has fewer positions than its texts may have tokens.

        Args:
            new_tokens: how many are to be generated; None for what the options say.
        """

    @abstractmethod
    def frame(self, tokenizer: Any, instruction: str) -> dict[str, Any]:
        """What stands around each text, for ``data.json``: ``languages``, ``before``, ``behind`` and ``notices``.

        Args:
            tokenizer: of the model.
            instruction: what is to be done, in words.

        Raises:
            AdaptError: the tokenizer does not know a language, or cannot write a conversation.
        """

    @abstractmethod
    def set_on(self, tokenizer: Any, info: Mapping[str, Any]) -> None:
        """Prepares a tokenizer that was loaded, in place."""

    @abstractmethod
    def settle(self, module: Any, tokenizer: Any, info: Mapping[str, Any]) -> None:
        """Has a model generate as it was trained, in place. Raises AdaptError where it cannot."""

    @abstractmethod
    def inputs(self, tokenizer: Any, info: Mapping[str, Any]) -> Encode:
        """Encodes texts, with what stands around them."""

    @abstractmethod
    def targets(self, tokenizer: Any) -> Encode:
        """Encodes targets, with what ends them."""

    @abstractmethod
    def rows(self, encoded: EncodedPairs) -> tuple[Dataset[dict[str, Any]], Sequence[int]]:
        """The rows that the model is trained on, and their lengths in tokens."""

    @abstractmethod
    def collator(self, tokenizer: Any) -> Any:
        """Makes batches of such rows. What pads them counts in no loss."""

    @abstractmethod
    def write(
        self,
        module: Any,
        tokenizer: Any,
        ids: Sequence[Sequence[int]],
        settings: Mapping[str, Any],
        info: Mapping[str, Any],
    ) -> list[list[str]]:
        """What a model in evaluation mode writes for encoded texts.

        Args:
            module: with a method on it or without.
            tokenizer: the model's.
            ids: of each text.
            settings: arguments of transformers' ``generate``.
            info: the run's ``data.json``.

        Returns:
            The texts for each, without special tokens: one, or ``num_return_sequences``.
        """

    @abstractmethod
    def target_scores(self, module: Any, ids: Sequence[int], labels: Sequence[int]) -> torch.Tensor:
        """Log-probabilities of a target's tokens, float32 of shape (labels + 1,), and last of the likeliest there.

        Args:
            module: in evaluation mode.
            ids: of the text.
            labels: of the target.
        """

    @abstractmethod
    def use(self, info: Mapping[str, Any]) -> str:
        """Code that writes a text with ``model`` and ``tokenizer``, for the card."""

    def items(self, batch: Mapping[str, Any]) -> int:
        """The tokens of targets in a batch, without padding."""
        return int((batch["labels"] != IGNORED).sum())

    def too_long(self, key: str, asked: str, positions: int) -> AdaptError:
        """That what is asked for is more than the model takes."""
        return AdaptError(
            f"{key}: {asked} tokens, but the model {self.model.source} has {positions} positions",
            f"Give {positions} or less.",
        )
