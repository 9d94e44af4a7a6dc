"""What measures a classifier, through scikit-learn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from adapt_core.bundles import Evaluated, Section
from adapt_core.interfaces import World
from adapt_nlp.classifiers import softmax


class ClassificationMeter:
    """Accuracy, and F1 as the plain mean over classes (macro) and weighted by their rows.

    It keeps the scores of every row, classes of float32 each, in the order of the rows.
    """

    def __init__(self) -> None:
        self.scores: list[np.ndarray] = []
        self.labels: list[np.ndarray] = []

    def update(self, batch: Mapping[str, Any], outputs: Mapping[str, Any]) -> None:
        """Takes in logits of shape (rows, classes) and labels of shape (rows,)."""
        self.scores.append(softmax(outputs["logits"].float().cpu().numpy()))
        self.labels.append(batch["labels"].cpu().numpy())

    def result(self, world: World) -> Evaluated:
        """The metrics; the outputs are the scores of all rows, of shape (rows, classes)."""
        parts = world.gather((self.scores, self.labels))
        scores = np.concatenate([each for own, _ in parts for each in own])
        labels = np.concatenate([each for _, own in parts for each in own])
        return Evaluated(classification_metrics(labels, scores.argmax(axis=-1)), scores)


def classification_metrics(truth: np.ndarray, chosen: np.ndarray) -> dict[str, float]:
    """``accuracy``, ``f1_macro`` and ``f1_weighted`` of chosen against true classes, both of shape (rows,)."""
    from sklearn.metrics import accuracy_score, f1_score

    return {
        "accuracy": float(accuracy_score(truth, chosen)),
        "f1_macro": float(f1_score(truth, chosen, average="macro", zero_division=0)),
        "f1_weighted": float(f1_score(truth, chosen, average="weighted", zero_division=0)),
    }


def confusion(truth: np.ndarray, chosen: np.ndarray, names: Sequence[str]) -> Section:
    """The confusion matrix: rows are the true classes, columns the predicted ones."""
    from sklearn.metrics import confusion_matrix

    matrix = confusion_matrix(truth, chosen, labels=range(len(names)))
    return Section("Confusion matrix", "matrix", list(names), matrix.tolist())
