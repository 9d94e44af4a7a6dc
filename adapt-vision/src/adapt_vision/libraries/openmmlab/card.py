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
    if (folder / WEIGHTS).is_file():
        return "mmdet", WHOLE + CALL
    if (folder / "adapter_config.json").is_file():
        return "peft", ADAPTER.format(imports=adapter_imports(folder), weights=str(weights().resolve())) + CALL
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

CALL = """
import sys

labels = model.cfg.test_dataloader.dataset.metainfo["classes"]
for path in sys.argv[1:]:
    found = inference_detector(model, path).pred_instances
    for box, label, score in zip(found.bboxes, found.labels, found.scores):
        if score >= 0.5:
            left, top, right, bottom = box.tolist()
            print(path, labels[int(label)], float(score), left, top, right - left, bottom - top)
"""
