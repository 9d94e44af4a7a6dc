"""What measures an image classifier."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from adapt_core.bundles import Evaluated
from adapt_core.interfaces import World

TOP = 5


@dataclass(frozen=True)
class Chosen:
    """What a report needs of an evaluation.

    Attributes:
        confusion: counts of shape (classes, classes), the true class first.
        labels, classes, scores: of each row, in order: its class, the one chosen and the probability of that.
    """

    confusion: np.ndarray
    labels: np.ndarray
    classes: np.ndarray
    scores: np.ndarray


class ImageClassificationMeter:
    """Top-1 and top-5 accuracy, and F1 as the plain mean over classes.

    It keeps counts, and of each row the class that was chosen and its score.

    Args:
        classes: how many there are.
    """

    def __init__(self, classes: int) -> None:
        self.classes = classes
        self.confusion = np.zeros((classes, classes), dtype=np.int64)
        self.near = 0
        self.rows: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []

    def update(self, batch: Mapping[str, Any], outputs: Mapping[str, Any]) -> None:
        """Takes in logits of shape (rows, classes) and labels of shape (rows,)."""
        logits, labels = outputs["logits"].float(), batch["labels"]
        scores, chosen = logits.softmax(-1).max(-1)
        truth = labels.cpu().numpy()
        np.add.at(self.confusion, (truth, chosen.cpu().numpy()), 1)
        best = logits.topk(min(TOP, self.classes), dim=-1).indices
        self.near += int((best == labels[:, None]).any(-1).sum())
        self.rows.append((truth, chosen.cpu().numpy(), scores.cpu().numpy()))

    def result(self, world: World) -> Evaluated:
        """``accuracy``, ``f1_macro``, and ``top_5_accuracy`` where there are more than five classes."""
        parts = world.gather((self.confusion, self.near, self.rows))
        confusion = np.sum([each for each, _, _ in parts], axis=0)
        rows = [each for _, _, own in parts for each in own]
        metrics = metrics_of(confusion)
        if self.classes > TOP:
            metrics["top_5_accuracy"] = sum(near for _, near, _ in parts) / confusion.sum()
        labels, classes, scores = (np.concatenate([row[place] for row in rows]) for place in range(3))
        return Evaluated(metrics, Chosen(confusion, labels, classes, scores))


def metrics_of(confusion: np.ndarray) -> dict[str, float]:
    """``accuracy`` and ``f1_macro`` of counts of shape (classes, classes), the true class first.

    The mean is over the classes that are true or chosen at least once, as scikit-learn has it.
    """
    hits = np.diag(confusion)
    both = confusion.sum(0) + confusion.sum(1)
    f1 = 2 * hits[both > 0] / both[both > 0]
    return {"accuracy": float(hits.sum() / confusion.sum()), "f1_macro": float(f1.mean())}
