"""The ``dataset`` section of the tasks with annotated objects. Imports nothing heavy."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import model_validator

from adapt_core.config.sections import DatasetOptions
from adapt_core.options import option


class AnnotatedImageOptions(DatasetOptions):
    """Images with annotated objects."""

    path: str | None = option(
        None,
        flat="CUSTOM_DATASET_PATH",
        min_length=1,
        path=True,
        help="Local folder of images and annotations: COCO's JSON (annotations/train.json beside train/), YOLO's "
        "data.yaml, Pascal VOC's XML, metadata.jsonl with objects, or train.txt with masks; or one such file.",
    )
    format: Literal["auto", "coco", "yolo", "voc", "objects", "palette"] = option(
        "auto",
        help="How the data is annotated: COCO's JSON, YOLO's text files, Pascal VOC's XML, the objects of an image "
        "folder of datasets, or masks in PNG files; by default as its files tell.",
    )
    train_ann_file: str | None = option(
        None,
        flat="train_ann_file",
        min_length=1,
        help="Annotations of the training split, from dataset.path or the usual folders in it: COCO's JSON, a list of "
        "names, or a table; by default found by their usual names (train.json, instances_train2017.json, train.txt).",
    )
    val_ann_file: str | None = option(
        None,
        flat="val_ann_file",
        min_length=1,
        help="Annotations of the split to evaluate on; by default found by their usual names (val.json, …), or a part "
        "of the training images is held out.",
    )
    test_ann_file: str | None = option(
        None, min_length=1, help="Annotations of the test split, which no training run evaluates on; by default found."
    )
    class_list: list[str] | None = option(
        None,
        flat="class_list",
        min_length=1,
        help="The classes in their order, which masks need where no classes.json names them: background is no object. "
        "Where the annotations name classes in an order, they must be these.",
    )
    palette: list[list[int]] | None = option(
        None,
        flat="palette",
        min_length=1,
        help="Red, green and blue of each class in masks, from 0 to 255; by default the number of a pixel is its "
        "class.",
    )
    image_root: str | None = option(
        None,
        min_length=1,
        path=True,
        help="Folder that file names in the annotations start from; by default it is found: the folder of the split in "
        "dataset.path, images, or that of the annotations. YOLO's data.yaml names its own.",
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
    skip_unreadable: bool = option(
        False, help="Leave out images that cannot be read, and say which; otherwise they are an error."
    )
    cache: Literal["auto", "none"] = option(
        "auto", help="Keep decoded images in memory where they fit into a quarter of what is free (auto), or do not."
    )

    @model_validator(mode="after")
    def _local(self) -> Self:
        if self.name is not None:
            raise ValueError(
                "name (DATASET) is of a hub data set, and annotated images are read from a folder; give path "
                "(CUSTOM_DATASET_PATH)"
            )
        return self

    @model_validator(mode="after")
    def _files_differ(self) -> Self:
        given = [name for name in (self.train_ann_file, self.val_ann_file, self.test_ann_file) if name is not None]
        if len(set(given)) < len(given):
            twice = next(name for name in given if given.count(name) > 1)
            raise ValueError(f"train_ann_file, val_ann_file and test_ann_file must differ; {twice!r} is given twice")
        return self
