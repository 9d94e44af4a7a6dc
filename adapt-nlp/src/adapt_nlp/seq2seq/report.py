"""What a person sees of the data and of an evaluation."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from transformers import PreTrainedTokenizerBase

from adapt_core.bundles import Data, Evaluated, Inspected, Section
from adapt_nlp.data.views import sizes
from adapt_nlp.generating import beside_references
from adapt_nlp.inspection import as_tokens, cut_marks, whole
from adapt_nlp.seq2seq.data import Pairs

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
    name: str, pairs: Pairs, tokenizer: PreTrainedTokenizerBase, before: str, limits: Sequence[int], examples: int
) -> Inspected:
    """One split as a model will see it; ``pairs`` are encoded, ``limits`` those of texts and of targets."""
    encoded = pairs.encoded
    assert encoded is not None
    texts = whole(tokenizer, [before + text for text in pairs.texts[:examples]])
    rows: list[Any] = [
        (ids, cut_marks(len(ids), limits[0]), f"→ {pairs.targets[row]}") for row, ids in enumerate(texts)
    ]
    targets: list[Any] = [(ids, [None] * len(ids), "") for ids in encoded.labels[:examples]]
    return Inspected(
        name,
        keys=list(zip(pairs.texts, pairs.targets, strict=True)),
        lengths=encoded.whole_inputs,
        limit=limits[0],
        examples=[*as_tokens(name, tokenizer, rows), *as_tokens(f"the targets of {name}", tokenizer, targets)],
    )
