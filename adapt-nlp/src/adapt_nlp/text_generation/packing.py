"""Several texts in one row, and whether a model keeps them apart."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from functools import partial
from typing import Any, Literal

import torch
from datasets import Dataset
from trl.data_utils import pack_dataset

from adapt_core.models.quantized import quantized_widths
from adapt_core.models.tokens import embedding_rows
from adapt_core.models.tolerance import TOLERANCE, tolerance_for
from adapt_nlp.data.preprocessing import Preprocessing, quiet_map
from adapt_nlp.text_generation.attention import uses_flash_attention
from adapt_nlp.text_generation.encoding import IGNORED, EncodedTexts

DOCUMENT = 8
"""Tokens of each of the texts with which a model is probed."""


def packed(rows: EncodedTexts, limit: int, preprocessing: Preprocessing | None = None) -> Dataset:
    """Rows of up to ``limit`` tokens, each of whole texts: TRL's packing by best fit, longest first of every thousand.

    Args:
        rows: the texts.
        limit: the most tokens of a row.
        preprocessing: keeps what is made of rows in its cache; without it all is in memory.

    Returns:
        A map-style data set with ``input_ids``, ``labels`` and ``seq_lengths``, the tokens of each text in a row.
    """
    if rows.kept is not None and preprocessing is not None:
        return preprocessing.packed(rows.kept, rows.numbers if rows.left_out else None, limit, partial(_pack, limit))
    with quiet_map():
        return _pack(limit, Dataset.from_dict({"input_ids": list(rows.input_ids), "labels": list(rows.labels)}), {})


def _pack(limit: int, rows: Dataset, arguments: dict[str, Any]) -> Dataset:
    made: Dataset = pack_dataset(rows, limit, strategy="bfd", map_kwargs=arguments)
    return made


Layout = Literal["padded", "packed", "flat"]
"""How the rows of a batch lie: one text a row, padded; several texts a row, padded; or all texts in one long row."""


class Collation:
    """Makes batches of rows, by TRL's collator.

    Where several texts lie in one row, positions begin anew with each and there is no attention mask: that is how
    transformers tells texts apart, if the model keeps no keys and values (``use_cache``). FlashAttention takes all rows
    as one long row; other attention would compute that whole square. What pads a row of several texts has the
    position 0, and so is a text by itself for each token. No text's first token is learnt there, for it would be
    learnt from another text.

    Rows that have a number are an evaluation's: they are padded, and the batch says which they are in ``rows``, int64
    of shape (rows,).

    Args:
        pad_token_id: what pads; never learnt.
        layout: of rows without a number.
        takes: the arguments that the model's ``forward`` takes; None for any.
    """

    def __init__(self, pad_token_id: int, *, layout: Layout, takes: frozenset[str] | None) -> None:
        # The module imports all of TRL's trainers.
        from trl.trainer.sft_trainer import DataCollatorForLanguageModeling

        self.layout = layout
        self.takes = takes
        self.padded = DataCollatorForLanguageModeling(pad_token_id=pad_token_id)
        self.training = DataCollatorForLanguageModeling(
            pad_token_id=pad_token_id, padding_free=layout == "flat", return_position_ids=layout == "packed"
        )

    def __call__(self, rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        numbered = "row" in rows[0]
        batch: dict[str, Any] = {**(self.padded if numbered else self.training)(list(rows)), "use_cache": False}
        if self.layout == "packed" and not numbered:
            del batch["attention_mask"]
            batch["labels"][batch["position_ids"] == 0] = IGNORED
        if self.takes is not None:
            batch = {name: value for name, value in batch.items() if name in self.takes}
        if numbered:
            batch["rows"] = torch.tensor([row["row"] for row in rows])
        return batch


def taken_arguments(module: Any) -> frozenset[str] | None:
    """The arguments that the ``forward`` of a model takes, with a method on it or without; None for any."""
    base = module.get_base_model() if hasattr(module, "get_base_model") else module
    parameters = inspect.signature(type(base).forward).parameters
    if any(each.kind is inspect.Parameter.VAR_KEYWORD for each in parameters.values()):
        return None
    return frozenset(parameters)


def why_not_in_one_row(module: Any) -> str | None:
    """Why several texts may not lie in one row of a model's; None where it keeps them apart.

    The model is given a row of two texts, then the same with another first text, then the second text alone. Its
    logits for the second text must be the same each time, but for rounding.

    Args:
        module: with its method, in any mode, which is left as it was.
    """
    takes = taken_arguments(module)
    if takes is not None and "position_ids" not in takes:
        return "it takes no positions, by which texts in one row are told apart"
    words = embedding_rows(module) or 2
    collate = Collation(0, layout="flat" if uses_flash_attention(module) else "packed", takes=takes)
    draw = torch.Generator().manual_seed(0)
    first, second = torch.randint(0, words, (2, DOCUMENT), generator=draw).tolist()
    other = [(word + 1) % words for word in first]
    training = module.training
    module.eval()
    try:
        beside, beside_other, alone = (
            _logits(module, collate, texts) for texts in ((first, second), (other, second), (second,))
        )
    finally:
        module.train(training)
    # Quantized layers may scale their inputs by the largest of the whole row.
    rough = quantized_widths(module) or uses_flash_attention(module)
    share = TOLERANCE["bfloat16"] if rough else tolerance_for(module)
    allowed = share * max(float(alone.std()), 0.01 * float(alone.abs().max()))
    changed = float((beside - beside_other).abs().max())
    if not changed <= allowed:
        return f"a text's logits change by {changed:.2g} with the words of the text before it"
    moved = float((beside - alone).abs().max())
    if not moved <= allowed:
        return f"a text's logits differ by {moved:.2g} from those that it has alone"
    return None


def _logits(module: Any, collate: Collation, texts: Sequence[list[int]]) -> torch.Tensor:
    """Logits of the last text, float32, of shape (tokens, words)."""
    ids = [token for text in texts for token in text]
    batch = collate([{"input_ids": ids, "labels": ids, "seq_lengths": list(map(len, texts))}])
    device = next(module.parameters()).device
    placed = {name: each.to(device) if isinstance(each, torch.Tensor) else each for name, each in batch.items()}
    half = torch.autocast(device.type, torch.bfloat16) if uses_flash_attention(module) else nullcontext()
    with torch.no_grad(), half:
        logits: torch.Tensor = module(**placed).logits
    return logits[0, -DOCUMENT:].float().cpu()
