"""An evaluation that also generates texts for its first rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Any

from torch.utils.data import Dataset
from transformers import PreTrainedTokenizerBase

from adapt_core.models.positions import usable_positions
from adapt_core.models.sharded import called_by_any
from adapt_nlp.generating import GREEDY, Generated, generate
from adapt_nlp.text_generation.attention import without_flash_attention
from adapt_nlp.text_generation.data import Texts
from adapt_nlp.text_generation.encoding import EncodedTexts
from adapt_nlp.text_generation.meter import GENERATED
from adapt_nlp.text_generation.prompts import encoded_prompts, is_answer, prompt_of, shown


class NumberedRows(Dataset[dict[str, Any]]):
    """Encoded rows, each with its number."""

    def __init__(self, rows: EncodedTexts) -> None:
        self.rows = rows

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, row: int) -> dict[str, Any]:
        """``{"input_ids": […], "labels": […], "row": number}``."""
        return {**self.rows[row], "row": row}


class SampledEvaluation:
    """The rows of an evaluation, and the step that it takes with each batch of them.

    Attributes:
        rows: numbered, so that a batch says in ``rows`` which it holds.

    Args:
        texts: the evaluation rows, encoded.
        tokenizer: the model's.
        samples: for how many rows text is generated, the first in which there is something to go on from.
        tokens: the most tokens of each; at most half of the model's positions.
    """

    def __init__(self, texts: Texts, tokenizer: PreTrainedTokenizerBase, samples: int, tokens: int) -> None:
        assert texts.encoded is not None
        self.rows = NumberedRows(texts.encoded)
        given = ((row, texts[number]) for row, number in enumerate(texts.encoded.numbers))
        self.examples = dict(islice((pair for pair in given if is_answer(pair[1])), samples))
        self.tokenizer = tokenizer
        self.tokens = tokens

    def step(self, module: Any, batch: Mapping[str, Any]) -> dict[str, Any]:
        """The loss of a batch, and what the model generates for those of its rows that are among the first."""
        given = dict(batch)
        rows = [row for row in given.pop("rows").tolist() if row in self.examples]
        loss = module(**given).loss
        found: list[Generated] = []
        if called_by_any(module, bool(rows)):
            found = self._generated(rows or [next(iter(self.examples))], module)
        return {"loss": loss, GENERATED: found if rows else []}

    def _generated(self, rows: Sequence[int], module: Any) -> list[Generated]:
        given = [prompt_of(self.examples[row]) for row in rows]
        prompts, new = encoded_prompts(self.tokenizer, [prompt for prompt, _ in given]), self.tokens
        if positions := usable_positions(module):
            new = min(new, positions // 2)
            prompts = [ids[-(positions - new) :] for ids in prompts]
        with without_flash_attention(module):
            found = generate(module, self.tokenizer, prompts, {**GREEDY, "max_new_tokens": new})
        return [
            Generated(row, shown(prompt), reference, text)
            for row, (prompt, reference), (text,) in zip(rows, given, found, strict=True)
        ]
