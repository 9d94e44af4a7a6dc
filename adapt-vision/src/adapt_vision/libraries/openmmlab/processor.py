"""How images become the input of a model: the steps of its configuration."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.config import Config
from mmengine.logging import MMLogger
from mmengine.registry import DefaultScope
from PIL import Image

from adapt_vision.libraries.openmmlab.files import read_config, write_config

READING = ("LoadImageFromFile", "LoadImageFromNDArray", "LoadAnnotations", "LoadPanopticAnnotations", "LoadImage")
"""Steps that read files, which has been done."""


KNOWN_OF_IMAGES = ("img_id", "img_path", "ori_shape", "img_shape", "scale_factor", "flip", "flip_direction")
"""What the library's own loading tells models of each image."""


class Configured:
    """A model's configuration, which is saved beside it: the model, and the steps that prepare an image.

    Attributes:
        config: ``model``, ``test_pipeline``, ``test_dataloader`` and ``default_scope``.
    """

    def __init__(self, config: Config) -> None:
        self.config = config

    def save_pretrained(self, folder: str | Path) -> None:
        """Writes ``config.py``, with which the library loads what lies beside it."""
        write_config(self.config, Path(folder))

    @classmethod
    def from_pretrained(cls, folder: str | Path) -> Configured:
        """Reads what :meth:`save_pretrained` wrote."""
        return cls(read_config(Path(folder)))

    @cached_property
    def steps(self) -> Sequence[Any]:
        """The steps between reading and packing, built."""
        from mmcv.transforms import Compose

        return list(Compose(steps_after_reading(self.config.test_pipeline)[:-1]).transforms)

    @cached_property
    def packing(self) -> Any:
        """The last step, which makes tensors, with all that models ask of an image."""
        from mmcv.transforms import Compose

        last = dict(self.config.test_pipeline[-1])
        last["meta_keys"] = tuple(dict.fromkeys([*KNOWN_OF_IMAGES, *last.get("meta_keys", ())]))
        (packing,) = Compose([last]).transforms
        return packing

    def prepared(self, results: dict[str, Any]) -> dict[str, Any]:
        """What the steps make of an image and its objects: ``inputs`` and ``data_samples``."""
        if in_floats(self.config.test_pipeline):
            results["img"] = results["img"].astype(np.float32)
        for each in self.steps:
            results = each(results)
        made: dict[str, Any] = self.packing(results)
        return made


def steps_after_reading(steps: Sequence[Any]) -> list[Any]:
    """The steps that do not read files."""
    return [each for each in steps if bare(each["type"]) not in READING]


def in_floats(steps: Sequence[Any]) -> bool:
    """Whether the step that reads the image makes its numbers float32."""
    return any(each.get("to_float32") for each in steps)


def bare(name: str) -> str:
    """The name of a step without its registry."""
    return name.rpartition(".")[2]


def read_image(image: Image.Image) -> dict[str, Any]:
    """An image in mode ``RGB`` as a library's own reading gives it: blue, green and red, uint8."""
    pixels = np.ascontiguousarray(np.asarray(image)[:, :, ::-1])
    shape = pixels.shape[:2]
    return {"img": pixels, "img_shape": shape, "ori_shape": shape, "img_id": 0, "img_path": ""}


@contextmanager
def quiet() -> Iterator[None]:
    """Keeps what MMEngine says of every parameter that it initialises, and its warnings, off the terminal."""
    logger = MMLogger.get_current_instance()
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


def enter_scope(package: str) -> None:
    """Has bare names of classes mean those of a library, as its ``init_default_scope`` does."""
    current = DefaultScope.get_current_instance()
    if current is None or current.scope_name != package:
        DefaultScope.get_instance(f"adapt-{package}-{id(current)}", scope_name=package)
