"""The README of a saved detector: how to use it without Adapt."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from adapt_core.models.pretrained import model_source
from adapt_core.plan.run_plan import RunPlan
from adapt_vision.libraries.detectors import Detectors


def card(plan: RunPlan, library: Detectors, info: Mapping[str, Any], folder: Path) -> str:
    """Markdown with front matter as the hub reads it, and code that finds objects in the image files it is given."""
    name, code = library.code(info, folder)
    base = model_source(plan.model)
    names = list(info["label_names"])
    shown = names if len(names) <= 50 else [*names[:50], "…"]
    return "\n".join(
        [
            "---",
            f"library_name: {name}",
            f"base_model: {base}",
            "pipeline_tag: object-detection",
            "---",
            "",
            f"# An object detector, fine-tuned with {plan.method.spec.name}",
            "",
            f"From `{base}`, on {info['rows']['train']:,} images with objects of {len(names)} classes:",
            f"{', '.join(map(str, shown))}.",
            "",
            "It finds objects in the image files that are named behind it (`python detect.py photo.jpg`), and prints",
            "class, score, left, top, width and height in pixels. Images with transparency or 16 bits a channel must",
            "be made into plain RGB first.",
            "",
            "```python",
            code.rstrip(),
            "```",
            "",
        ]
    )
