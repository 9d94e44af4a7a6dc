"""Crops of objects with their keypoints, as a model reads them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset

from adapt_vision.data.cache import ImageReader
from adapt_vision.pose_detection.augmentation import Box, Change, Name, drawn_change
from adapt_vision.pose_detection.instances import Instances

Crop = Callable[[Image.Image, Box, float], tuple[Tensor, np.ndarray]]
"""From an image, a box and degrees to the crop, uint8 of shape (3, height, width), and the matrix of shape (2, 3) that
takes a place in the image to one in the crop."""


class Sample(NamedTuple):
    """The crop of one object.

    Attributes:
        row: its number.
        pixels: uint8 of shape (3, height, width).
        points: x and y of each keypoint, as parts of the way from the centre of the first pixel to that of the last;
            float32 of shape (keypoints, 2).
        annotated: which keypoints are, of shape (keypoints,).
    """

    row: int
    pixels: Tensor
    points: Tensor
    annotated: Tensor


class PoseRows(Dataset[Sample]):
    """The crops of objects, changed at random as an augmentation says.

    Args:
        instances: the objects.
        reader: decodes the images.
        crop: of the model's library.
        augmentation: its name.
        seed: of the run.
    """

    def __init__(
        self, instances: Instances, reader: ImageReader, crop: Crop, augmentation: Name = "none", seed: int = 0
    ) -> None:
        self.instances, self.reader, self.crop = instances, reader, crop
        self.augmentation, self.seed = augmentation, seed
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """The epoch for which random numbers are drawn."""
        self.epoch = epoch

    def __len__(self) -> int:
        return len(self.instances)

    def __getitem__(self, row: int) -> Sample:
        change = drawn_change(self.augmentation, self.seed, self.epoch, row)
        image, _ = self.instances.places[row]
        return sample(self.instances, row, self.reader[image], self.crop, change)


def sample(instances: Instances, row: int, image: Image.Image, crop: Crop, change: Change) -> Sample:
    """The crop of an object, changed.

    In a mirrored one, keypoints change sides by the flip pairs. Without them none is mirrored: it would teach the wrong
    sides.
    """
    one = instances[row]
    pixels, matrix = crop(image, change.moved(one.box), change.rotation)
    keypoints = np.asarray(one.keypoints, dtype=np.float64)
    last = np.array([pixels.shape[2] - 1, pixels.shape[1] - 1])
    points = (keypoints[:, :2] @ matrix[:, :2].T + matrix[:, 2]) / last
    annotated = keypoints[:, 2] > 0
    if change.mirrored and instances.form.flip_pairs is not None:
        pixels = pixels.flip(-1)
        points[:, 0] = 1 - points[:, 0]
        order = np.arange(len(points))
        for left, right in instances.form.flip_pairs:
            order[[left, right]] = right, left
        points, annotated = points[order], annotated[order]
    return Sample(row, pixels, torch.from_numpy(points).float(), torch.from_numpy(annotated))


class Collation:
    """Makes a batch of samples.

    Args:
        batch: from samples to what the model reads and learns from.
    """

    def __init__(self, batch: Callable[[Sequence[Sample]], dict[str, Any]]) -> None:
        self.batch = batch

    def __call__(self, samples: Sequence[Sample]) -> dict[str, Any]:
        """The batch, with the numbers of the rows as ``rows``, int64."""
        return {**self.batch(samples), "rows": torch.tensor([each.row for each in samples])}
