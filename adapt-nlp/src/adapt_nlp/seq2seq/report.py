"""What a person sees of the data and of an evaluation."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from transformers import PreTrainedTokenizerBase

from adapt_core.bundles import Data, Evaluated, Inspected, Section
from adapt_nlp.data.views import sizes
from adapt_nlp.generating import beside_references
from adapt_nlp.inspection import as_tokens, cut_marks
from adapt_nlp.seq2seq.data import Pairs
from adapt_nlp.seq2seq.encoding import Encode

SHOWN_ROWS = 3


def preview(data: Data, answer: str) -> list[Section]:
    """The first training rows, and what they come to."""
    pairs = data.train
    first = [[pairs.texts[row], pairs.targets[row]] for row in range(min(SHOWN_ROWS, len(pairs)))]
    encoded, info = pairs.encoded, data.info
    facts = [
        ["rows", f"{len(pairs):,}"],
        ["tokens of texts", f"{sum(encoded.lengths):,}"],
        ["tokens learnt", f"{sum(sizes(encoded.labels)):,}"],
        ["before each text", repr(info["before"]) if info["before"] else "nothing"],
        ["behind each text", repr(info["behind"]) if info["behind"] else "nothing"],
    ]
    if info["languages"]["target"]:
        facts.append(["languages", f"{info['languages']['source']} to {info['languages']['target']}"])
    return [
        Section("First training rows", "table", ["text", answer], first),
        Section("Training data", "table", ["", ""], facts),
    ]


def sections(evaluated: Evaluated, signatures: Mapping[str, str]) -> list[Section]:
    """Generated texts beside their references, and how the metrics are computed."""
    return [
        beside_references(evaluated.outputs),
        Section("How it is measured", "table", ["metric", "signature"], [list(pair) for pair in signatures.items()]),
    ]


def cut_notices(pairs: Pairs, longest_input: int, longest_target: int) -> Iterator[str]:
    """What a person should know of rows that are cut."""
    encoded = pairs.encoded
    assert encoded is not None
    for count, what, limit, key in (
        (encoded.cut_inputs, "texts", longest_input, "max_input_length"),
        (encoded.cut_targets, "targets", longest_target, "max_target_length"),
    ):
        if count:
            yield (
                f"{pairs.table.source}: {count:,} of {len(pairs):,} {what} are longer than {limit} tokens and are cut "
                f"(task.{key})."
            )


def inspected(
    name: str,
    pairs: Pairs,
    tokenizer: PreTrainedTokenizerBase,
    encode: Encode,
    limit: int,
    behind: int,
    examples: int,
) -> Inspected:
    """One split as a model will see it.

    Args:
        name: of the split.
        pairs: encoded.
        tokenizer: the model's.
        encode: encodes texts.
        limit: the most tokens of a text.
        behind: how many of these stand behind it, and are never cut.
        examples: how many rows to show.
    """
    encoded = pairs.encoded
    assert encoded is not None
    rows: list[Any] = []
    for row, ids in enumerate(encode(pairs.texts[:examples], None)):
        kept = len(ids) - behind
        marks = [*cut_marks(kept, limit - behind), *[None] * behind]
        rows.append((ids, marks, f"→ {pairs.targets[row]}"))
    targets: list[Any] = [(ids, [None] * len(ids), "") for ids in encoded.labels[:examples]]
    return Inspected(
        name,
        keys=list(zip(pairs.texts, pairs.targets, strict=True)),
        lengths=encoded.whole_inputs,
        limit=limit,
        examples=[*as_tokens(name, tokenizer, rows), *as_tokens(f"the targets of {name}", tokenizer, targets)],
    )
