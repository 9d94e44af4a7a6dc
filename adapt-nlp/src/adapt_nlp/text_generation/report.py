"""What a person sees of the data and of an evaluation."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

from transformers import PreTrainedTokenizerBase

from adapt_core.bundles import Data, Evaluated, Inspected, Section
from adapt_core.utils.units import number_text
from adapt_nlp.generating import beside_references
from adapt_nlp.inspection import Shown, as_tokens
from adapt_nlp.text_generation.data import Texts
from adapt_nlp.text_generation.encoding import IGNORED, EncodedTexts
from adapt_nlp.text_generation.formats import Example

SHOWN_ROWS = 3
LEARNT = "learnt"


def preview(data: Data) -> list[Section]:
    """The first training rows, and what they come to."""
    texts, kind = data.train, data.info["columns"]["format"]
    encoded: EncodedTexts = texts.encoded
    first = [[role, text] for example in texts.examples[:SHOWN_ROWS] for role, text in parts_of(example)]
    facts = [
        ["format", kind],
        ["rows", f"{len(encoded):,}"],
        ["tokens", f"{sum(encoded.lengths):,}"],
        ["tokens learnt", f"{encoded.learnt:,}"],
        ["rows cut", f"{encoded.cut:,}, after {data.info['max_seq_length']:,} tokens"],
    ]
    return [
        Section("First training rows", "table", ["part", "text"], first),
        Section("Training data", "table", ["", ""], facts),
    ]


def notices(texts: Texts, limit: int) -> Iterator[str]:
    """What a person should know of encoded texts that are cut at ``limit`` tokens, or left out."""
    encoded = texts.encoded
    assert encoded is not None
    if encoded.cut:
        yield (
            f"{texts.table.source}: {encoded.cut:,} of {len(texts):,} rows are longer than {limit} tokens and are cut "
            "(task.max_seq_length)."
        )
    if encoded.left_out:
        yield (
            f"{texts.table.source}: {len(encoded.left_out):,} of {len(texts):,} rows have no token to learn within "
            f"their first {limit} tokens and are left out: {texts.place(encoded.left_out)}."
        )


def sections(evaluated: Evaluated, before: float | None) -> list[Section]:
    """Perplexity before and after training, and generated texts beside their references."""
    after = evaluated.metrics["perplexity"]
    found = []
    if before is not None:
        rows = [["before training", number_text(before)], ["after training", number_text(after)]]
        found.append(Section("Perplexity", "table", ["", "perplexity"], rows))
    if evaluated.outputs:
        found.append(beside_references(evaluated.outputs))
    return found


def inspected(name: str, texts: Texts, tokenizer: PreTrainedTokenizerBase, limit: int, examples: int) -> Inspected:
    """One split as a model will see it; ``texts`` are encoded."""
    encoded = texts.encoded
    assert encoded is not None
    shown = [_marked(encoded, row) for row in range(min(examples, len(encoded)))]
    return Inspected(
        name,
        keys=[json.dumps(example, sort_keys=True) for example in texts.examples],
        lengths=encoded.given,
        limit=limit,
        notices=list(notices(texts, limit)),
        examples=as_tokens(name, tokenizer, shown),
    )


def _marked(encoded: EncodedTexts, row: int) -> Shown:
    """A row's tokens, those that are learnt marked."""
    marks = [None, *(LEARNT if label != IGNORED else None for label in encoded.labels[row][1:])]
    cut = encoded.whole[row] - len(marks)
    remark = f"{marks.count(LEARNT)} of {len(marks)} tokens are learnt" + (f", {cut} more are cut off" if cut else "")
    return encoded.input_ids[row], marks, remark


def parts_of(example: Example) -> Sequence[tuple[str, str]]:
    """The parts of an example with what they are."""
    if "messages" in example:
        return [(turn["role"], turn["content"]) for turn in example["messages"]]
    return [(part, example[part]) for part in ("text", "prompt", "completion") if part in example]
