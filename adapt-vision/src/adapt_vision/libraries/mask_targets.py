"""Annotated masks as models of transformers and their processors take them, and what they find in an image's size."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional
from torchvision.transforms import InterpolationMode
from transformers.image_utils import SizeDict

from adapt_vision.annotations.masks import decoded, encoded
from adapt_vision.annotations.objects import Annotation


def stand_in(image: Image.Image) -> Annotation:
    """An object to take out again: processors of detectors fail where there is no mask."""
    return Annotation(0, 0, (0.0, 0.0, 1.0, 1.0), 1.0, mask=encoded(np.eye(image.height, image.width, dtype=bool)))


def coco(each: Annotation, image: Image.Image) -> dict[str, Any]:
    """An object as COCO has it, its mask in run lengths that are not compressed, which processors decode."""
    pixels = decoded(str(each.mask), image.size).T.reshape(-1)
    ends = np.flatnonzero(np.diff(pixels, prepend=False, append=not pixels[-1]))
    counts = np.diff(ends, prepend=0).tolist()
    return {
        "bbox": each.box,
        "category_id": each.category,
        "area": each.area,
        "iscrowd": 0,
        "segmentation": [{"size": [image.height, image.width], "counts": counts}],
    }


def targets(
    processor: Any, image: Image.Image, objects: Sequence[Annotation], canvas: Sequence[int]
) -> tuple[Tensor, Tensor]:
    """Masks, float32 of shape (objects, height, width), and classes, int64, as the processor makes them of a map.

    It is given no map, in which objects cannot overlap: each mask is resized as the map would be, to the nearest pixel.
    What is padded belongs to no object, and objects of which no pixel is left are left out.
    """
    masks, classes = [torch.zeros((0, *canvas))], []
    for each in objects:
        mask = torch.from_numpy(decoded(str(each.mask), image.size))[None].to(torch.uint8)
        if processor.do_resize:
            mask = processor.resize(
                image=mask,
                size=SizeDict(**dict(processor.size)),
                size_divisor=processor.size_divisor,
                resample=InterpolationMode.NEAREST_EXACT,
            )
        if mask.any():
            masks.append(functional.pad(mask.float(), (0, canvas[1] - mask.shape[-1], 0, canvas[0] - mask.shape[-2])))
            classes.append(each.category)
    return torch.cat(masks), torch.tensor(classes, dtype=torch.int64)


def enlarged(mask: Tensor, size: tuple[int, int]) -> np.ndarray:
    """A mask of an image's height and width, bool."""
    if tuple(mask.shape) != size:
        mask = functional.interpolate(mask[None, None].float(), size=size, mode="nearest")[0, 0]
    return mask.bool().cpu().numpy()
