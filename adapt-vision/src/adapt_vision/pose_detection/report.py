"""Parts of the report of pose detection, and what ``adapt data`` shows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from PIL import Image
from torch import Tensor
from torchvision.transforms.v2 import functional

from adapt_core.bundles import Inspected, Section
from adapt_vision.annotations.drawing import EDGE, Shown, beside, drawn, jpeg
from adapt_vision.annotations.objects import Annotation, KeypointForm
from adapt_vision.annotations.report import SHOWN, spread, told
from adapt_vision.data.decoding import decode
from adapt_vision.pose_detection.inputs import Sample
from adapt_vision.pose_detection.instances import Instances
from adapt_vision.pose_detection.measuring import NEAR, Measured

SURE = 0.3
"""Keypoints with a lower score are not drawn in the report."""


def counted(instances: Instances) -> Section:
    """How many objects have each keypoint."""
    cells = [[name, count] for name, count in zip(instances.form.names, instances.annotated(), strict=True)]
    return Section("Training objects by keypoint", "table", ["keypoint", "annotated"], cells)


def truth_of(each: Annotation, form: KeypointForm) -> Shown:
    """An annotated pose, to draw."""
    return Shown(each.box, each.category, "", keypoints=each.keypoints, skeleton=form.skeleton)


def found_of(keypoints: np.ndarray, box: Sequence[float], category: int, form: KeypointForm, threshold: float) -> Shown:
    """A found pose, to draw: the keypoints above a score."""
    points = [(x, y, 2 * int(score >= threshold)) for x, y, score in keypoints.tolist()]
    return Shown(box, category, "", keypoints=points, skeleton=form.skeleton)


def sections(measured: Measured, instances: Instances) -> list[Section]:
    """PCK and distance by keypoint, and images with what there is on the left and what was found on the right."""
    form, images = instances.form, instances.images
    cells = [
        [name, count, "" if np.isnan(pck) else f"{pck:.3f}", "" if np.isnan(error) else f"{error:.1f}"]
        for name, count, pck, error in zip(form.names, instances.annotated(), measured.pck, measured.error, strict=True)
    ]
    pictures = []
    with_poses = sorted({image for image, _ in instances.places})
    for image in (with_poses[each] for each in spread(len(with_poses), SHOWN)):
        picture, rows = decode(images.images[image]), instances.of_image(image)
        truth = [truth_of(instances[row], form) for row in rows]
        found = [found_of(measured.found[row], instances[row].box, instances[row].category, form, SURE) for row in rows]
        both = beside(drawn(picture, truth, EDGE), drawn(picture, found, EDGE))
        pictures.append((jpeg(both), f"{len(rows)} annotated; found keypoints with a score of {SURE} or more"))
    columns = ["keypoint", "annotated", f"PCK@{NEAR}", "mean distance in pixels"]
    return [
        Section("Accuracy by keypoint", "table", columns, cells),
        Section("Annotated (left) and found (right)", "images", [], pictures),
    ]


def inspected(
    split: str,
    instances: Instances,
    names: Sequence[str],
    seen: Callable[[Instances, int], Sample],
    examples: int,
) -> Inspected:
    """What a model will see of a split: crops of objects, spread over the rows.

    Args:
        split: its name.
        instances: of the split.
        names: of the classes.
        seen: from the objects and the row of one to its crop.
        examples: how many to show.
    """
    cells = []
    for row in spread(len(instances), examples):
        one = seen(instances, row)
        caption = f"{names[instances[row].category]}, {int(one.annotated.sum())} keypoints"
        cells.append((jpeg(_drawn_crop(one.pixels, one.points, one.annotated, instances.form)), caption))
    found = told(split, instances.images, names, cells)
    seen_of = [[point[2] for point in each.keypoints] for each in instances]
    keypoints = dict(zip(instances.form.names, instances.annotated(), strict=True))
    hidden = {name: sum(each[place] == 1 for each in seen_of) for place, name in enumerate(instances.form.names)}
    left = sum(map(len, instances.images.objects)) - len(instances)
    notices = [f"{left:,} objects have no annotated keypoint, and are left out."] if left else []
    return replace(
        found,
        numbers={**found.numbers, "keypoints of an object": [sum(seen > 0 for seen in each) for each in seen_of]},
        counts={**found.counts, "keypoint": keypoints, **({"hidden keypoint": hidden} if any(hidden.values()) else {})},
        notices=[*found.notices, *notices],
    )


def _drawn_crop(pixels: Tensor, points: Tensor, annotated: Tensor, form: KeypointForm) -> Image.Image:
    crop: Image.Image = functional.to_pil_image(pixels)
    larger = max(1, EDGE // max(crop.size))  # small crops are shown larger, or dots would hide what they stand on
    picture = crop.resize((crop.width * larger, crop.height * larger))
    places = points.numpy() * [crop.width - 1, crop.height - 1] * larger + (larger - 1) / 2
    shown = [(float(x), float(y), 2 * int(seen)) for (x, y), seen in zip(places, annotated.tolist(), strict=True)]
    return drawn(picture, [Shown(None, 0, "", keypoints=shown, skeleton=form.skeleton)])
