"""Parts of the report of an image classifier."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np
from PIL import Image

from adapt_core.bundles import Inspected, Section
from adapt_core.utils.units import listed
from adapt_vision.data.decoding import decode
from adapt_vision.data.inspection import formats, sizes, within
from adapt_vision.image_classification.metrics import Chosen
from adapt_vision.image_classification.rows import LabelledImages

EDGE = 128
"""Pixels of a small picture's longer edge."""

SHOWN = 12


def thumbnail(image: Image.Image) -> bytes:
    """A small JPEG."""
    small = image.copy()
    small.thumbnail((EDGE, EDGE))
    file = io.BytesIO()
    small.save(file, "JPEG", quality=85)
    return file.getvalue()


def samples(chosen: Chosen, rows: LabelledImages, names: Sequence[str]) -> list[Section]:
    """Images that were classified wrongly, the surest mistakes first, and rightly, spread over the rows."""
    wrong = np.flatnonzero(chosen.labels != chosen.classes)
    right = np.flatnonzero(chosen.labels == chosen.classes)
    wrong = wrong[np.argsort(-chosen.scores[wrong], kind="stable")][:SHOWN]
    right = right[np.linspace(0, len(right) - 1, min(SHOWN, len(right))).astype(int)] if len(right) else right
    sections = []
    for title, picked in (("Mistakes, the surest first", wrong), ("Classified rightly", right)):
        cells = [
            (thumbnail(decode(rows.listing.images[row], EDGE)), _caption(chosen, row, names))
            for row in map(int, picked)
        ]
        if cells:
            sections.append(Section(title, "images", [], cells))
    return sections


def inspected(
    split: str,
    rows: LabelledImages,
    names: Sequence[str],
    seen: Callable[[LabelledImages, int], Image.Image],
    examples: int,
) -> Inspected:
    """What a model will see of a split; images are one row where their files hold the same.

    Args:
        split: its name.
        rows: of the split.
        names: of the classes.
        seen: from the rows and the number of one to the picture that the model sees.
        examples: how many to show, spread over the rows.
    """
    picked = sorted(set(np.linspace(0, len(rows) - 1, min(examples, len(rows))).astype(int).tolist()))
    cells = [(thumbnail(seen(rows, row)), names[rows.labels[row]]) for row in picked]
    counts = Counter(names[label] for label in rows.labels)
    return Inspected(
        split,
        keys=[each.sha256 for each in rows.found],
        labels=dict(counts.most_common()),
        numbers=sizes(rows.found),
        counts={"format": formats(rows.found)},
        names=within(rows.listing.names),
        notices=_in_several_classes(rows, names),
        examples=[Section(f"As the model sees them, {split}", "images", [], cells)] if cells else [],
    )


def _in_several_classes(rows: LabelledImages, names: Sequence[str]) -> list[str]:
    """That images are in more than one class, where some are: at most one of the labels can be learnt."""
    classes: dict[str, dict[int, str]] = {}
    for each, label, name in zip(rows.found, rows.labels, rows.listing.names, strict=True):
        classes.setdefault(each.sha256, {}).setdefault(label, name)
    torn = [
        " and ".join(f"{name} is {names[label]}" for label, name in each.items())
        for each in classes.values()
        if len(each) > 1
    ]
    return [f"The same image is in several classes, {len(torn)} times: {listed(torn)}"] if torn else []


def confusion(chosen: Chosen, names: Sequence[str]) -> Section:
    """The confusion matrix: rows are the true classes, columns the predicted ones."""
    return Section("Confusion matrix", "matrix", list(names), chosen.confusion.tolist())


def _caption(chosen: Chosen, row: int, names: Sequence[str]) -> str:
    truth, found, score = names[chosen.labels[row]], names[chosen.classes[row]], chosen.scores[row]
    return f"{found} ({score:.2f})" if truth == found else f"{truth}, taken for {found} ({score:.2f})"
