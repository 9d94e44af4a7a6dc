"""Code in the READMEs of saved models of MMDet and MMPose."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from adapt_core.plan.run_plan import RunPlan
from adapt_vision.libraries.card import ADAPTER_OF_OWN, adapter_imports
from adapt_vision.libraries.openmmlab.files import WEIGHTS


def detector_code(plan: RunPlan, weights: Callable[[], Path], folder: Path) -> tuple[str, str]:
    """The library that loads a saved folder, and code that does so.

    Args:
        plan: of the run.
        weights: gives the file that the base was loaded from.
        folder: ``model/``.
    """
    return _code(plan, weights, folder, BOXES)


def segmenter_code(plan: RunPlan, weights: Callable[[], Path], folder: Path) -> tuple[str, str]:
    """The same for a model that finds masks."""
    return _code(plan, weights, folder, MASKS)


def pose_code(plan: RunPlan, weights: Callable[[], Path], folder: Path) -> tuple[str, str]:
    """The same for a model that finds keypoints."""
    name, code = _code(plan, weights, folder, KEYPOINTS)
    text = code.replace(
        "mmdet.apis import inference_detector, init_detector", "mmpose.apis import inference_topdown, init_model"
    )
    return name.replace("mmdet", "mmpose"), text.replace("init_detector(", "init_model(")


def _code(plan: RunPlan, weights: Callable[[], Path], folder: Path, call: str) -> tuple[str, str]:
    if (folder / WEIGHTS).is_file():
        return "mmdet", WHOLE + call
    if (folder / "adapter_config.json").is_file():
        return "peft", ADAPTER.format(imports=adapter_imports(folder), weights=str(weights().resolve())) + call
    return "adapt-core", ADAPTER_OF_OWN.format(method=plan.method.spec.name)


WHOLE = """\
from mmdet.apis import inference_detector, init_detector

model = init_detector("config.py", "model.pth", device="cpu")  # in this folder
"""

ADAPTER = """\
{imports}from mmdet.apis import inference_detector, init_detector
from peft import PeftModel

# The base has another head, which MMEngine reports; the adapter brings its own.
base = init_detector("config.py", {weights!r}, device="cpu")  # in this folder
model = PeftModel.from_pretrained(base, ".").eval()
"""

BOXES = """
import sys

labels = model.cfg.test_dataloader.dataset.metainfo["classes"]
for path in sys.argv[1:]:
    found = inference_detector(model, path).pred_instances
    for box, label, score in zip(found.bboxes, found.labels, found.scores):
        if score >= 0.5:
            left, top, right, bottom = box.tolist()
            print(path, labels[int(label)], float(score), left, top, right - left, bottom - top)
"""

MASKS = """
import sys

labels = model.cfg.test_dataloader.dataset.metainfo["classes"]
for path in sys.argv[1:]:
    found = inference_detector(model, path).pred_instances
    for mask, label, score in zip(found.masks, found.labels, found.scores):  # mask: of the image's height and width
        if score >= 0.5:
            print(path, labels[int(label)], float(score), int(mask.sum()))
"""

KEYPOINTS = """
import sys

import numpy as np
from PIL import Image, ImageOps

names = [each["name"] for each in model.cfg.test_dataloader.dataset.metainfo["keypoint_info"].values()]
for path in sys.argv[1:]:
    image = ImageOps.exif_transpose(Image.open(path)).convert("RGB")
    boxes = np.array([[0, 0, image.width, image.height]])  # left, top, right and bottom of each object
    for found in inference_topdown(model, np.asarray(image)[:, :, ::-1].copy(), boxes):
        keypoints = found.pred_instances
        for name, (x, y), score in zip(names, keypoints.keypoints[0], keypoints.keypoint_scores[0]):
            print(path, name, float(x), float(y), float(score))
"""
