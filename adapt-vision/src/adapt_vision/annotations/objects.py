"""The form of annotated images that every reader gives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from adapt_vision.data.integrity import ImageFile

Wanted = Literal["boxes", "masks", "keypoints"]
"""What a task reads of objects, beside their boxes."""


@dataclass(frozen=True)
class Annotation:
    """One annotated object.

    Attributes:
        id: in its file.
        category: the place of its class among the names.
        box: left, top, width and height in pixels.
        area: in pixels, by which metrics tell small objects from large ones.
        crowd: whether it stands for several objects that are not told apart.
        mask: its pixels in COCO's compressed run-length encoding, over the whole image; None where there is none.
        keypoints: x, y and visibility (0: not annotated, 1: hidden, 2: visible) of each, in pixels.
    """

    id: int
    category: int
    box: tuple[float, float, float, float]
    area: float
    crowd: bool = False
    mask: str | None = None
    keypoints: tuple[tuple[float, float, int], ...] = ()


@dataclass(frozen=True)
class KeypointForm:
    """Which keypoints the objects of a data set have.

    Attributes:
        names: of the keypoints, in their order.
        flip_pairs: places of left and right, which change sides when an image is mirrored; None where nothing tells
            them, and images cannot be mirrored.
        skeleton: places of those that a line joins.
        sigmas: how far annotators differ, for each keypoint, relative to the object's size: the k of COCO's object
            keypoint similarity is twice this.
    """

    names: Sequence[str]
    flip_pairs: Sequence[tuple[int, int]] | None
    skeleton: Sequence[tuple[int, int]]
    sigmas: Sequence[float]


@dataclass(frozen=True)
class AnnotatedImages:
    """Readable images with what is annotated in each; a map-style data set, whose rows are mappings.

    Attributes:
        source: the file of annotations, for messages.
        images: their paths.
        found: size and checksum of each.
        objects: of each image, in the order of the file.
        form: of their keypoints; None where there are none.
        unreadable: images that were left out, with the reason.
    """

    source: str
    images: Sequence[str]
    found: Sequence[ImageFile]
    objects: Sequence[Sequence[Annotation]]
    form: KeypointForm | None = None
    unreadable: Sequence[str] = ()

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, row: int) -> dict[str, Any]:
        """``{"image": path}``."""
        return {"image": self.images[row]}

    def take(self, rows: Sequence[int]) -> AnnotatedImages:
        """These rows, in this order."""
        return AnnotatedImages(
            self.source,
            [self.images[row] for row in rows],
            [self.found[row] for row in rows],
            [self.objects[row] for row in rows],
            self.form,
            self.unreadable,
        )

    def counts(self, names: Sequence[str]) -> dict[str, int]:
        """How many objects each class has, crowds counted once."""
        found = dict.fromkeys(names, 0)
        for objects in self.objects:
            for each in objects:
                found[names[each.category]] += 1
        return found


@dataclass(frozen=True)
class Split:
    """What a file of annotations says, before any image is opened.

    Attributes:
        source: the file.
        files: the images' names, in its order.
        ids: of the images.
        sizes: width and height that the file states, None where it does not.
        categories: from the id to the name, ascending.
        objects: of each image; ``category`` is the id yet.
        form: of their keypoints; None where there are none.
        folder: that the images' names start from; None where they are paths.
    """

    source: str
    files: Sequence[str]
    ids: Sequence[int]
    sizes: Sequence[tuple[int, int] | None]
    categories: Mapping[int, str]
    objects: Sequence[Sequence[Annotation]]
    form: KeypointForm | None = None
    folder: str | None = None

    def take(self, rows: Sequence[int]) -> Split:
        """These images, in this order."""
        return replace(
            self,
            files=[self.files[row] for row in rows],
            ids=[self.ids[row] for row in rows],
            sizes=[self.sizes[row] for row in rows],
            objects=[self.objects[row] for row in rows],
        )
