"""Images with objects as a model reads them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from PIL import Image
from torch.utils.data import Dataset

from adapt_vision.annotations.augmentation import augmented
from adapt_vision.annotations.objects import AnnotatedImages, Annotation
from adapt_vision.data.cache import ImageReader

Sample = tuple[int, Image.Image, list[Annotation]]
"""The number of a row, its image and the objects in it."""


class AnnotatedRows(Dataset[Sample]):
    """Images and the objects in them, changed at random where there is a transform.

    Args:
        rows: what there is.
        reader: decodes the images.
        transform: from :func:`adapt_vision.annotations.augmentation.transform_for`.
        seed: of the run.
    """

    def __init__(self, rows: AnnotatedImages, reader: ImageReader, transform: Any = None, seed: int = 0) -> None:
        self.rows, self.reader, self.transform, self.seed = rows, reader, transform, seed
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """The epoch for which random numbers are drawn."""
        self.epoch = epoch

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, row: int) -> Sample:
        image, objects = self.reader[row], list(self.rows.objects[row])
        if self.transform is None:
            return row, image, objects
        return row, *augmented(self.transform, image, objects, self.seed, self.epoch, row)


class Collation:
    """Makes a batch of samples.

    Args:
        batch: from images and their objects to what the model reads.
    """

    def __init__(self, batch: Callable[[Sequence[Image.Image], Sequence[Sequence[Annotation]]], Any]) -> None:
        self.batch = batch

    def __call__(self, samples: list[Sample]) -> dict[str, Any]:
        """The batch, with the numbers of the rows as ``rows``, int64."""
        rows, images, objects = zip(*samples, strict=True)
        return {**self.batch(images, objects), "rows": torch.tensor(rows)}
