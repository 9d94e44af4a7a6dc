"""Random changes of training images and the objects in them, each a function of (seed, epoch, row) and nothing else."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Literal

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torchvision import tv_tensors
from torchvision.transforms import v2

from adapt_vision.annotations.masks import decoded, encoded
from adapt_vision.annotations.objects import Annotation, KeypointForm
from adapt_vision.augmentation import drawn_from

Name = Literal["none", "light", "standard"]


def transform_for(name: Name) -> Any:
    """The random transform of an image and its objects; None for ``none``.

    ``standard`` is that of SSD (Liu et al. 2015, arXiv:1512.02325, section 2.2).
    """
    if name == "none":
        return None
    if name == "light":
        return v2.Compose([v2.ColorJitter(brightness=0.2, contrast=0.2), v2.RandomHorizontalFlip()])
    steps = [v2.RandomPhotometricDistort(), v2.RandomZoomOut(side_range=(1.0, 2.0)), v2.RandomIoUCrop()]
    return v2.Compose([*steps, v2.RandomHorizontalFlip(), v2.SanitizeBoundingBoxes()])


def augmented(
    transform: Any,
    image: Image.Image,
    objects: list[Annotation],
    seed: int,
    epoch: int,
    row: int,
    form: KeypointForm | None = None,
) -> tuple[Image.Image, list[Annotation]]:
    """What a transform makes of a row in an epoch. Objects of which too little is left are left out.

    Masks and keypoints move with the image. In a mirrored one, keypoints change sides by the flip pairs of ``form``;
    those that leave the image are no longer annotated. An image that loses all of its objects stays as it is: detectors
    learn nothing from emptiness that was made.
    """
    canvas = (image.height, image.width)
    boxes = torch.tensor([each.box for each in objects], dtype=torch.float32).reshape(-1, 4)
    masked = bool(objects) and objects[0].mask is not None
    sample: dict[str, Any] = {
        "image": image,
        "boxes": tv_tensors.BoundingBoxes(boxes, format="XYWH", canvas_size=canvas),
        "labels": torch.arange(len(objects)),
    }
    if masked:
        pixels = np.stack([decoded(str(each.mask), image.size) for each in objects])
        sample["masks"] = tv_tensors.Mask(torch.from_numpy(pixels))
    if form is not None:
        points = [point[:2] for each in objects for point in each.keypoints]
        sample["keypoints"] = tv_tensors.KeyPoints([*points, *AXIS], canvas_size=canvas, dtype=torch.float32)
    with drawn_from(seed, "augmentation", epoch, row):
        changed = transform(sample)
    kept = []
    for place, (number, box) in enumerate(zip(changed["labels"].tolist(), changed["boxes"], strict=True)):
        if not (float(box[2]) > 0 and float(box[3]) > 0):
            continue
        one = replace(objects[number], box=tuple(box.tolist()), area=float(box[2] * box[3]))
        if masked:
            mask = changed["masks"][place].numpy()
            if not mask.any():
                continue
            one = replace(one, mask=encoded(mask), area=float(mask.sum()))
        if form is not None:
            one = replace(one, keypoints=_moved(one, number, changed["keypoints"], changed["image"].size, form))
        kept.append(one)
    if objects and not kept:
        return image, objects
    return changed["image"], kept


AXIS = ((0.0, 0.0), (1.0, 0.0))
"""Two points that go with the image: where they have changed their order, it is mirrored."""


def _moved(
    one: Annotation, number: int, points: Tensor, size: tuple[int, int], form: KeypointForm
) -> tuple[tuple[float, float, int], ...]:
    """The keypoints of an object where the transform has moved them."""
    count = len(form.names)
    moved = [
        (x, y, visible) if visible and 0 <= x < size[0] and 0 <= y < size[1] else (0.0, 0.0, 0)
        for (x, y), (_, _, visible) in zip(
            points[number * count : (number + 1) * count].tolist(), one.keypoints, strict=True
        )
    ]
    if points[-1, 0] < points[-2, 0]:
        for left, right in form.flip_pairs:
            moved[left], moved[right] = moved[right], moved[left]
    return tuple(moved)
