"""What adapt-vision offers."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from adapt_core.engines.spec import TRAINER
from adapt_core.hookspecs import hookimpl
from adapt_core.kinds import Library, TaskSpec
from adapt_vision.engines.spec import MMENGINE

TIMM = Library(name="timm", engine=TRAINER, model="adapt_vision.libraries.options:TimmModel")
TRANSFORMERS = Library(name="transformers", engine=TRAINER, model="adapt_vision.libraries.options:TransformersModel")

POSES = Library(name="transformers", engine=TRAINER, model="adapt_vision.libraries.options:PoseModel")

MMDET = Library(
    name="mmdet",
    engine=MMENGINE,
    model="adapt_vision.libraries.openmmlab.options:OpenMMLabModel",
    requires=("mmengine", "mmcv", "mmdet"),
    install="python -m adapt_vision.mmlab",
)

MMPOSE = replace(MMDET, name="mmpose", requires=("mmengine", "mmcv", "mmdet", "mmpose"))


@hookimpl
def adapt_tasks() -> Iterable[TaskSpec]:
    """The vision tasks."""
    yield TaskSpec(
        name="image_classification",
        summary="Puts an image into one of several classes.",
        target="adapt_vision.image_classification.task:ImageClassification",
        options="adapt_vision.image_classification.options:ImageClassificationOptions",
        dataset="adapt_vision.data.options:ImageDataOptions",
        prediction="adapt_vision.image_classification.options:ImageClassificationPrediction",
        libraries=(TIMM, TRANSFORMERS),
        check="adapt_vision.libraries.options:problems",
    )
    yield TaskSpec(
        name="object_detection",
        summary="Finds objects in an image: boxes with classes.",
        target="adapt_vision.object_detection.task:ObjectDetection",
        options="adapt_vision.object_detection.options:ObjectDetectionOptions",
        dataset="adapt_vision.annotations.options:AnnotatedImageOptions",
        prediction="adapt_vision.object_detection.options:ObjectDetectionPrediction",
        libraries=(TRANSFORMERS, MMDET),
        check="adapt_vision.libraries.options:problems",
    )
    yield TaskSpec(
        name="instance_segmentation",
        summary="Finds objects in an image: masks with classes.",
        target="adapt_vision.instance_segmentation.task:InstanceSegmentation",
        options="adapt_vision.instance_segmentation.options:InstanceSegmentationOptions",
        dataset="adapt_vision.annotations.options:AnnotatedImageOptions",
        prediction="adapt_vision.instance_segmentation.options:InstanceSegmentationPrediction",
        libraries=(TRANSFORMERS, MMDET),
        check="adapt_vision.libraries.options:problems",
    )
    yield TaskSpec(
        name="pose_detection",
        summary="Finds the keypoints of each object in an image, from its box.",
        target="adapt_vision.pose_detection.task:PoseDetection",
        options="adapt_vision.pose_detection.options:PoseDetectionOptions",
        dataset="adapt_vision.annotations.options:AnnotatedImageOptions",
        prediction="adapt_vision.pose_detection.options:PoseDetectionPrediction",
        libraries=(POSES, MMPOSE),
        check="adapt_vision.libraries.options:problems",
    )
