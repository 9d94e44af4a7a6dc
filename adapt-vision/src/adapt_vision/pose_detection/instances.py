"""Objects with keypoints, each a row of its own: a model reads the crop of one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from adapt_core.errors import AdaptError
from adapt_vision.annotations.objects import AnnotatedImages, Annotation, KeypointForm
from adapt_vision.annotations.reading import require
from adapt_vision.pose_detection.augmentation import Box

PADDING = 1.25
"""What a model reads of a box: so many times its width and height, at least."""

LEAST = 2.0
"""Pixels of the longer edge of a box in which keypoints can be told apart."""


@dataclass(frozen=True)
class Instances:
    """The objects of images that have keypoints, without crowds; a map-style data set.

    Attributes:
        images: they are in.
        form: of their keypoints.
        places: the row of the image and the place in it, of each.
    """

    images: AnnotatedImages
    form: KeypointForm
    places: Sequence[tuple[int, int]]

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, row: int) -> Annotation:
        image, place = self.places[row]
        return self.images.objects[image][place]

    def of_image(self, image: int) -> list[int]:
        """The rows of the objects in an image."""
        return [row for row, (each, _) in enumerate(self.places) if each == image]

    def annotated(self) -> list[int]:
        """How many objects have each keypoint."""
        visible = np.array([[point[2] > 0 for point in each.keypoints] for each in self])
        return [int(count) for count in visible.sum(0)]

    def __iter__(self) -> Iterator[Annotation]:
        return (self[row] for row in range(len(self)))


def instances_of(images: AnnotatedImages) -> Instances:
    """The objects that are trained on and measured: those with an annotated keypoint.

    Raises:
        AdaptError: there are none.
    """
    places = [
        (row, place)
        for row, objects in enumerate(images.objects)
        for place, each in enumerate(objects)
        if not each.crowd and any(point[2] > 0 for point in each.keypoints)
    ]
    if images.form is None or not places:
        raise AdaptError(
            f"{images.source}: no object has an annotated keypoint.",
            "COCO's keypoints are x, y and visibility (0: not annotated, 1: hidden, 2: visible) of each, in a row.",
        )
    return Instances(images, images.form, places)


def require_poses(instances: Instances) -> None:
    """Holds keypoints against the boxes that the model sees them in.

    Raises:
        AdaptError: a box is too small, an object has no area, or all keypoints of an object lie beyond its box; all
            such objects are named, up to twenty.
    """
    faults = [
        f"annotation {each.id}: {fault}" for each in instances if (fault := _why_not_a_pose(each, instances.form))
    ]
    remedy = "Boxes and keypoints are in pixels of the image file, from its upper left corner."
    require(instances.images.source, faults, remedy)


def _why_not_a_pose(each: Annotation, form: KeypointForm) -> str | None:
    _, _, width, height = each.box
    if max(width, height) < LEAST:
        return f"its box is {width:g} × {height:g} pixels: no keypoints can be told apart in it"
    if each.area <= 0:
        return f"its area is {each.area:g}, and COCO's keypoint similarity is relative to it"
    points = [(name, x, y) for name, (x, y, seen) in zip(form.names, each.keypoints, strict=True) if seen > 0]
    if any(_within(padded(each.box), x, y) for _, x, y in points):
        return None
    name, x, y = points[0]
    return f"none of its keypoints lies in its box {[*each.box]}: {name} is at {x:g}, {y:g}"


def padded(box: Box) -> Box:
    """What a model reads of a box at least."""
    left, top, width, height = box
    wider, higher = width * PADDING, height * PADDING
    return (left - (wider - width) / 2, top - (higher - height) / 2, wider, higher)


def _within(box: Box, x: float, y: float) -> bool:
    left, top, width, height = box
    return left <= x <= left + width and top <= y <= top + height
