"""Measures the texts that a model generates in an evaluation."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from adapt_core.bundles import Evaluated
from adapt_core.interfaces import World
from adapt_nlp.generating import Generated
from adapt_nlp.seq2seq.data import Pairs

ROW, GENERATED = "row", "generated"
"""The keys of a batch's row numbers, and of the texts that a step has generated for them."""

REPORTED = 20
"""Rows whose texts are shown in the report."""

Score = Callable[[Sequence[str], Sequence[str]], dict[str, float]]
"""From generated texts and references to metrics by name."""


class GenerationMeter:
    """What a metric says of all generated texts, which it keeps: the same however they were put into batches.

    Args:
        pairs: the evaluation rows.
        score: the metric.
    """

    def __init__(self, pairs: Pairs, score: Score) -> None:
        self.pairs = pairs
        self.score = score
        self.texts: dict[int, str] = {}

    def update(self, batch: Mapping[str, Any], outputs: Mapping[str, Any]) -> None:
        """Takes in the generated texts of a batch, by the numbers of its rows."""
        self.texts |= zip(batch[ROW].tolist(), outputs[GENERATED], strict=True)

    def result(self, world: World) -> Evaluated:
        """The metrics; the outputs are the first rows' texts beside their references."""
        texts = {row: text for own in world.gather(self.texts) for row, text in own.items()}
        rows = sorted(texts)
        found = self.score([texts[row] for row in rows], [self.pairs.targets[row] for row in rows])
        shown = [Generated(row, self.pairs.texts[row], self.pairs.targets[row], texts[row]) for row in rows[:REPORTED]]
        return Evaluated(found, shown)
