"""COCO's files around a prediction: the images to predict for, and the results."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from adapt_core.bundles import Row
from adapt_core.errors import AdaptError
from adapt_core.utils.units import listed
from adapt_vision.annotations.coco import read_images
from adapt_vision.annotations.coco_files import image_folder
from adapt_vision.annotations.options import AnnotatedImageOptions
from adapt_vision.data.files import images_at

Part = Literal["bbox", "segmentation", "keypoints"]
"""What COCO's results have of each object."""


def rows_of(inputs: Sequence[str], file: Path | None, options: AnnotatedImageOptions) -> list[Row]:
    """Images to predict for.

    Args:
        inputs: image files, and folders of them.
        file: COCO's JSON, of which ``images`` alone are read; or one more image or folder.
        options: the ``dataset`` section.

    Raises:
        UsageError: nothing is named, or a path leads nowhere.
        AdaptError: COCO's JSON is malformed, or its images are not there.
    """
    if file is None or file.suffix != ".json":
        return [{"image": path} for path in images_at([*inputs, *([str(file)] if file is not None else [])])]
    images = read_images(file)
    paths = paths_of(file, [name for _, name in images], options)
    return [{"image": path, "image_id": number} for (number, _), path in zip(images, paths, strict=True)]


def paths_of(file: Path, names: Sequence[str], options: AnnotatedImageOptions) -> list[str]:
    """The paths of the images that a file of COCO's names. Raises AdaptError where they are not there."""
    folder = image_folder(file, file.parent, options.model_copy(update={"image_root": None}), names[0])
    if missing := [name for name in names if not (folder / name).is_file()]:
        raise AdaptError(
            f"{file}: {len(missing)} of {len(names)} images are not in {folder}: {listed(missing)}.",
            "Put them there, or remove them from the file.",
        )
    return [str(folder / name) for name in names]


def coco_results(prediction: Mapping[str, Any], number: int, part: Part) -> Iterator[dict[str, Any]]:
    """The objects in an image in COCO's results format, with the image as ``file_name``.

    Only ``part`` of each is given: pycocotools takes the area, by which objects are small or large, from a box where
    there is one, and not from the mask or the keypoints that are measured.

    Args:
        prediction: with ``image`` and ``objects``.
        number: of the image, where it has no ``image_id``.
        part: of each object.

    Raises:
        AdaptError: an object has no category.
    """
    for each in prediction["objects"]:
        if "category_id" not in each:
            raise AdaptError(
                f"{prediction['image']}: an object has no category_id, which COCO's results need",
                "Give boxes with category_id, or leave format=coco out.",
            )
        yield {
            "image_id": prediction.get("image_id", number),
            "category_id": each["category_id"],
            part: each[part],
            "score": each["score"],
            "file_name": prediction["image"],
        }
