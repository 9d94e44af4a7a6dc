"""Metrics of text classification, through scikit-learn."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from adapt_core.bundles import Section


def classification_metrics(prediction: Any) -> dict[str, float]:
    """Accuracy, and F1 as the plain mean over classes (macro) and weighted by their rows.

    Args:
        prediction: the Trainer's ``EvalPrediction``: ``predictions`` of shape (rows, classes), ``label_ids`` (rows,).
    """
    from sklearn.metrics import accuracy_score, f1_score

    truth, chosen = prediction.label_ids, logits_of(prediction).argmax(axis=-1)
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


def logits_of(prediction: Any) -> np.ndarray:
    """The logits of shape (rows, classes); models that return more put them first."""
    values = prediction.predictions
    return np.asarray(values[0] if isinstance(values, tuple) else values)
