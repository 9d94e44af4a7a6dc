"""Whether a classifier knows more than which class is the most frequent."""

from __future__ import annotations

from collections.abc import Sequence

REMEDY = "Train longer, with another learning rate (training.lr, LR), or with another method."


def why_not_learnt(matrix: Sequence[Sequence[int]], names: Sequence[str]) -> str | None:
    """What shows that a classifier has learnt nothing of use, for a person; None where it has, or rows cannot tell.

    It predicts a single class, or is right no more often than it would be by always predicting the class that is the
    most frequent in these rows. Rows that are all of one class tell nothing.

    Args:
        matrix: counts of rows, of shape (classes, classes): true classes down, predicted ones across.
        names: of the classes.
    """
    truth = [sum(row) for row in matrix]
    predicted = [sum(column) for column in zip(*matrix, strict=True)]
    rows, most = sum(truth), max(truth, default=0)
    if most == rows:
        return None
    if max(predicted) == rows:
        only = names[predicted.index(rows)]
        always = f"The model predicts {only!r} for every one of {rows:,} evaluation rows"
        return f"{always}: it tells no classes apart. {REMEDY}"
    right = sum(matrix[each][each] for each in range(len(matrix)))
    if right > most:
        return None
    return (
        f"The model is right on {right:,} of {rows:,} evaluation rows; always predicting the most frequent class, "
        f"{names[truth.index(most)]!r}, is right on {most:,}. {REMEDY}"
    )
