"""The file of weights that a model starts from: the user's own, or that of the library's index, fetched once."""

from __future__ import annotations

from pathlib import Path

import torch

from adapt_core.errors import AdaptError
from adapt_vision.libraries.openmmlab.configuration import indexed
from adapt_vision.libraries.openmmlab.files import WEIGHTS
from adapt_vision.libraries.openmmlab.options import OpenMMLabModel

REMEDY = "Name a checkpoint in model.path (LOCAL_MODEL_PATH), or set model.pretrained (load_model) to false."


def weights_file(package: str, options: OpenMMLabModel) -> Path:
    """The file that the ``model`` section names, by itself or by a model of the index.

    Args:
        package: ``mmdet`` or ``mmpose``.
        options: the section.

    Raises:
        AdaptError: the index has no weights of the model, or they cannot be fetched.
    """
    if options.path is not None:
        path = Path(options.path)
        return path / WEIGHTS if path.is_dir() else path
    # Not by Path.stem: names such as paa_r50_fpn_1.5x_coco have dots.
    address = weights_of(package, Path(options.config or options.name or "").name.removesuffix(".py"))
    if address is None:
        raise AdaptError(f"The model index of {package} has no weights for {options.source}", REMEDY)
    file = Path(torch.hub.get_dir()) / "checkpoints" / address.rpartition("/")[2]
    if not file.is_file():
        file.parent.mkdir(parents=True, exist_ok=True)
        try:
            torch.hub.download_url_to_file(address, str(file), progress=False)
        except OSError as error:
            raise AdaptError(
                f"The weights of {options.source} cannot be fetched from {address}: {error}", REMEDY
            ) from error
    return file


def weights_of(package: str, name: str) -> str | None:
    """The address of the weights that the model index has for a configuration; None where it has none."""
    for each in indexed(package):
        if each.get("Weights") and name in (each.get("Name"), Path(each.get("Config", "")).stem):
            return str(each["Weights"])
    return None
