"""How an image becomes the input of a model of timm; also as an image processor of transformers says it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from transformers import AutoImageProcessor

from adapt_core.errors import AdaptError
from adapt_core.utils.files import read_json, write_json

FILE = "preprocessing.json"


class TimmProcessor:
    """timm's data configuration of a model: how an image becomes its input.

    Attributes:
        config: arguments of ``timm.data.create_transform``.
    """

    def __init__(self, config: Mapping[str, Any]) -> None:
        self.config: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value for name, value in config.items()
        }

    def save_pretrained(self, folder: str | Path) -> None:
        """Writes ``preprocessing.json``."""
        write_json(Path(folder) / FILE, self.config)

    @classmethod
    def from_pretrained(cls, folder: str | Path) -> TimmProcessor:
        """Reads what :meth:`save_pretrained` wrote."""
        return cls(read_json(Path(folder) / FILE))


def of_transformers(source: str) -> dict[str, Any]:
    """timm's data configuration for an image processor of transformers.

    Raises:
        AdaptError: it cannot be loaded, or does what timm's transform has no word for.
    """
    try:
        processor: Any = AutoImageProcessor.from_pretrained(source)
    except (OSError, ValueError) as error:
        raise AdaptError(
            f"model.image_processor (image_processor_path): {source} cannot be loaded: {error}",
            "Give a hub name, or a folder with preprocessor_config.json.",
        ) from error
    return data_config(processor.to_dict(), source)


def data_config(settings: Mapping[str, Any], source: str) -> dict[str, Any]:
    """timm's data configuration with the meaning of a ``preprocessor_config.json``.

    Args:
        settings: its content.
        source: for messages.

    Raises:
        AdaptError: values are not scaled to 0 to 1, or the size is given in another way than those known here.
    """
    if settings.get("do_rescale", True) and abs(settings.get("rescale_factor", 1 / 255) - 1 / 255) > 1e-6:
        raise AdaptError(
            f"model.image_processor (image_processor_path): {source} scales pixels by {settings['rescale_factor']}, "
            "which timm's transform does not",
            "Use another image processor.",
        )
    size: Any = settings.get("size") or {}
    crop: Any = settings.get("crop_size") or {}
    squash = "height" in size
    edge = size.get("shortest_edge")
    if not squash and edge is None:
        raise AdaptError(
            f"model.image_processor (image_processor_path): the size of {source} is {json.dumps(size)}, which timm's "
            "transform does not know",
            "Use one with shortest_edge, or height and width.",
        )
    resized = (size["height"], size["width"]) if squash else (edge, edge)
    read, share = resized, 1.0
    if not squash and settings.get("crop_pct") is not None and edge < 384:  # ConvNeXt's own way of cropping
        share = settings["crop_pct"]
    elif settings.get("do_center_crop") and crop:
        read = (crop["height"], crop["width"])
        share = read[0] / resized[0]
    plain = not settings.get("do_normalize", True)
    names = {0: "nearest", 1: "lanczos", 2: "bilinear", 3: "bicubic"}
    return {
        "input_size": (3, *read),
        "crop_pct": share,
        "crop_mode": "squash" if squash else "center",
        "interpolation": names[int(settings.get("resample", 2))],
        "mean": (0.0, 0.0, 0.0) if plain else tuple(settings["image_mean"]),
        "std": (1.0, 1.0, 1.0) if plain else tuple(settings["image_std"]),
    }
