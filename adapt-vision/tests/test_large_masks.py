"""Masks of large photographs: those of the processor, made in little memory."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from annotated_contract import planned

from adapt_vision.annotations.masks import encoded

QUERIES = 20
HEIGHT, WIDTH = 2000, 3000


def outputs(model: str) -> tuple[Any, dict[str, Any]]:
    """What a model finds in one image: a blob a query, and what it read."""
    torch.manual_seed(0)
    logits, masks = torch.randn(1, QUERIES, 3), torch.randn(1, QUERIES, 8, 8)
    names = ("logits", "pred_masks") if model == "rf_detr" else ("class_queries_logits", "masks_queries_logits")
    return SimpleNamespace(**dict(zip(names, (logits, masks), strict=True))), {"sizes": torch.tensor([(HEIGHT, WIDTH)])}


def resident(name: str) -> int:
    """Bytes of this process in memory: ``VmRSS`` now, ``VmHWM`` at most since :func:`forget`."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(name))


def forget() -> None:
    """Has the kernel count the most from here on."""
    Path("/proc/self/clear_refs").write_text("5")


@pytest.mark.parametrize("model", ["mask2former", "maskformer", "rf_detr"])
def test_memory_holds_a_few_masks_of_the_image_s_size(
    model: str, segmentation: dict[str, Any], segmenters: dict[str, Any], tmp_path: Path
) -> None:
    task = planned(segmentation, tmp_path, model=segmenters[model])
    processor = task.load_processor({})
    found, read = outputs(model)
    task.library.found(processor, found, {"sizes": torch.tensor([(60, 90)])}, 0.0)  # what is made once is made now
    forget()
    before = resident("VmRSS")
    (made,) = task.library.found(processor, found, read, 0.0)
    assert len(made["masks"]) >= QUERIES // 3
    assert resident("VmHWM") - before < 6 * HEIGHT * WIDTH * torch.float32.itemsize  # all of them: 20 and more


def test_masks_by_boxes_are_those_that_the_processor_makes_of_all_at_once(
    segmentation: dict[str, Any], segmenters: dict[str, Any], tmp_path: Path
) -> None:
    task = planned(segmentation, tmp_path, model=segmenters["rf_detr"])
    processor = task.load_processor({})
    found, _ = outputs("rf_detr")
    found.pred_masks[:, :4] = -9.0  # nothing is left of these
    for threshold in (0.0, 0.5):
        (all_at_once,) = processor.post_process_instance_segmentation(
            found, threshold=threshold, target_sizes=[(123, 77)], return_binary_maps=True
        )
        (ours,) = task.library.found(processor, found, {"sizes": torch.tensor([(123, 77)])}, threshold)
        assert ours["masks"] == [encoded(each.numpy()) for each in all_at_once["segmentation"]]
        assert ours["labels"].tolist() == [each["label_id"] for each in all_at_once["segments_info"]]
        expected = torch.tensor([each["score"] for each in all_at_once["segments_info"]])
        assert torch.equal(ours["scores"], expected) and len(expected) > 3
