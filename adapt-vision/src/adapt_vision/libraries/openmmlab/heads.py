"""Heads: sized for the classes of the data, and found in a built model."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from mmengine.config import ConfigDict
from torch import nn
from torch.overrides import TorchFunctionMode

from adapt_core.errors import AdaptError
from adapt_vision.libraries.openmmlab.configuration import mappings

BESIDE = ("reg", "obj", "centerness", "iou", "bbox", "kernel", "mask", "box", "ctn", "quality", "offset", "wh")
"""What stands in place of ``cls`` in the names of the layers that predict beside the classes, at the same place."""

CLASSES = r"cls|class|heatmap"

OUTSIDE = {
    "ByteTrack": "tracks objects through videos",
    "OCSORT": "tracks objects through videos",
    "StrongSORT": "tracks objects through videos",
    "DeepSORT": "tracks objects through videos",
    "QDTrack": "tracks objects through videos",
    "MaskTrackRCNN": "segments videos",
    "MaskFormerVideo": "segments videos",
    "Mask2FormerVideo": "segments videos",
    "BaseReID": "tells objects apart",
    "KnowledgeDistillationSingleStageDetector": "learns from another model",
    "LAD": "learns from another model",
    "RPN": "proposes boxes without classes",
    "FastRCNN": "reads proposals of another model",
    "GLIP": "finds what a text names",
    "GroundingDINO": "finds what a text names",
    "Detic": "finds what a text names",
}
"""Kinds of models of the index that are none of the tasks'."""


def why_outside(model: ConfigDict) -> str | None:
    """Why a model of the index cannot be fine-tuned here; None where it can."""
    return OUTSIDE.get(str(model.get("type")))


def size_heads(model: ConfigDict, classes: int) -> None:
    """Has a model's configuration make heads for so many classes, in place.

    Every ``num_classes`` is that of the data; in heads that tell things from stuff, all are things. Heads that learn a
    map of classes of stuff, which no task here has, are left out.
    """
    for each in mappings(model):
        for key in ("semantic_head", "semantic_roi_extractor"):
            if each.get(key) is not None:
                each.pop(key)
        if isinstance(each.get("num_classes"), int):
            each["num_classes"] = classes
        if isinstance(each.get("num_things_classes"), int):
            each["num_things_classes"] = classes
        if isinstance(each.get("num_stuff_classes"), int):
            each["num_stuff_classes"] = 0
        weights = each.get("class_weight")
        if isinstance(weights, list | tuple) and len(weights) > 2:
            each["class_weight"] = [1.0] * classes + [weights[-1]]  # the last is for what is no object


def predictors(
    build: Callable[[ConfigDict], nn.Module], size: Callable[[ConfigDict, int], None], model: ConfigDict, classes: int
) -> tuple[str, ...]:
    """The dotted names of the layers that make up the head: those that predict classes, and those beside them.

    The layers that predict classes are those whose shapes go with the number of classes, which is tried: the model is
    built for two numbers, without memory.

    Args:
        build: makes a module of a model's configuration.
        size: sizes a configuration for a number of classes, in place.
        model: sized for ``classes``.
        classes: of the data.

    Raises:
        AdaptError: no layer's shape goes with it.
    """
    other = copy.deepcopy(model)
    size(other, classes + 1)
    with without_memory():
        one, two = build(copy.deepcopy(model)), build(other)
    shapes = {name: each.shape for name, each in two.named_parameters()}
    names = [name for name, each in one.named_parameters() if shapes.get(name) != each.shape]
    found = dict.fromkeys(name.rpartition(".")[0] for name in names)
    if not found:
        raise AdaptError(f"No layer of {model.get('type')} goes with the number of classes: it has no head to size")
    modules = dict(one.named_modules())
    beside = {other for name in found for other in _beside(name, modules)}
    return tuple(name for name in modules if name in found or name in beside)


class _Numbers(TorchFunctionMode):
    """Keeps on the CPU what models compute settings with while they are built."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Gives ``linspace``, out of which models read numbers, a device of its own."""
        given = dict(kwargs or {})
        if func is torch.linspace:
            given.setdefault("device", "cpu")
        return func(*args, **given)


@contextmanager
def without_memory() -> Iterator[None]:
    """Has modules built with shapes alone: their parameters take no memory and no time."""
    with torch.device("meta"), _Numbers():
        yield


def _beside(name: str, modules: Collection[str]) -> set[str]:
    """The layers at the place of one that predicts classes, which predict boxes or objectness."""
    found = set()
    parts = name.split(".")
    for place, part in enumerate(parts):
        for token in re.findall(CLASSES, part):
            for other in BESIDE:
                path = ".".join([*parts[:place], part.replace(token, other)])
                found |= {each for each in modules if each == path or each.startswith(f"{path}.")}
    return {each for each in found if not any(one.startswith(f"{each}.") for one in modules)}


def shared(module: nn.Module, names: Collection[str]) -> list[str]:
    """Those of some layers that stand at several places of a model."""
    places: dict[int, list[str]] = {}
    for name, each in module.named_modules(remove_duplicate=False):
        places.setdefault(id(each), []).append(name)
    return [name for same in places.values() if len(same) > 1 for name in same if name in set(names)]
