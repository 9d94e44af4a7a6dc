"""Random changes of training images and the objects in them, each a function of (seed, epoch, row) and nothing else."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Literal

import numpy as np
import torch
from PIL import Image
from torchvision import tv_tensors
from torchvision.transforms import v2

from adapt_vision.annotations.masks import decoded, encoded
from adapt_vision.annotations.objects import Annotation
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
    transform: Any, image: Image.Image, objects: list[Annotation], seed: int, epoch: int, row: int
) -> tuple[Image.Image, list[Annotation]]:
    """What a transform makes of a row in an epoch. Objects of which too little is left are left out.

    Masks move with the image. One that loses all of its objects stays as it is: detectors learn nothing from emptiness
    that was made. Poses have their own changes, :mod:`adapt_vision.pose_detection.augmentation`.
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
        kept.append(one)
    if objects and not kept:
        return image, objects
    return changed["image"], kept
