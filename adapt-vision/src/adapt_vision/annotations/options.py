"""The ``dataset`` section of the tasks with annotated objects. Imports nothing heavy."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import model_validator

from adapt_core.config.sections import DatasetOptions
from adapt_core.options import option


class AnnotatedImageOptions(DatasetOptions):
    """Images with annotations in COCO's JSON, a file for each split."""

    path: str | None = option(
        None,
        flat="CUSTOM_DATASET_PATH",
        min_length=1,
        path=True,
        help="Local folder of images and COCO annotations: annotations/train.json beside train/, train.json beside "
        "images/, or train/_annotations.coco.json; or the JSON file of the training split.",
    )
    train_ann_file: str | None = option(
        None,
        flat="train_ann_file",
        min_length=1,
        help="COCO JSON of the training split, from dataset.path or its folder annotations; by default found by its "
        "usual names (train.json, instances_train2017.json, …).",
    )
    val_ann_file: str | None = option(
        None,
        flat="val_ann_file",
        min_length=1,
        help="COCO JSON of the split to evaluate on; by default found by its usual names (val.json, …), or a part of "
        "the training images is held out.",
    )
    test_ann_file: str | None = option(
        None, min_length=1, help="COCO JSON of the test split, which no training run evaluates on; by default found."
    )
    image_root: str | None = option(
        None,
        min_length=1,
        path=True,
        help="Folder that file names in the annotations start from; by default the folder of the split in "
        "dataset.path, images, or that of the annotations, whichever holds the first image.",
    )
    keypoint_names: list[str] | None = option(
        None,
        min_length=1,
        help="Names of the keypoints, in their order in the annotations; by default those of the file.",
    )
    flip_pairs: list[tuple[str, str]] | None = option(
        None,
        help="Keypoints that change sides when an image is mirrored, each pair as two names; by default those of the "
        "file, or those whose names differ in left and right alone.",
    )
    skeleton: list[tuple[str, str]] | None = option(
        None, help="Keypoints that a line joins, each pair as two names; by default those of the file."
    )
    sigmas: list[float] | None = option(
        None,
        min_length=1,
        help="How far annotators differ, for each keypoint, relative to the object's size; by default those of the "
        "file, COCO's own for the 17 of a person, or 0.05.",
    )
    cache: Literal["auto", "none"] = option(
        "auto", help="Keep decoded images in memory where they fit into a quarter of what is free (auto), or do not."
    )

    @model_validator(mode="after")
    def _local(self) -> Self:
        if self.name is not None:
            raise ValueError(
                "name (DATASET) is of a hub data set, and annotated images are read from a folder with COCO's JSON; "
                "give path (CUSTOM_DATASET_PATH)"
            )
        return self

    @model_validator(mode="after")
    def _files_differ(self) -> Self:
        given = [name for name in (self.train_ann_file, self.val_ann_file, self.test_ann_file) if name is not None]
        if len(set(given)) < len(given):
            twice = next(name for name in given if given.count(name) > 1)
            raise ValueError(f"train_ann_file, val_ann_file and test_ann_file must differ; {twice!r} is given twice")
        return self
