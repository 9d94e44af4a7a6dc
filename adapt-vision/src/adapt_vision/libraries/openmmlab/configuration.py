"""The configuration of a model: found, changed as asked, and made fit for a data set's classes."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from mmengine.config import Config, ConfigDict

from adapt_core.errors import AdaptError, UsageError
from adapt_core.utils.spelling import nearest
from adapt_vision.libraries.openmmlab.files import WEIGHTS, read_config
from adapt_vision.libraries.openmmlab.options import OpenMMLabModel

FIXED_AUGMENTS = ("BatchFixedSizePad",)
"""Changes of whole batches that draw nothing; the random ones are the task's augmentation."""


def load_configuration(package: str, options: OpenMMLabModel) -> Config:
    """The configuration that the ``model`` section names.

    Args:
        package: ``mmdet`` or ``mmpose``.
        options: the section.

    Raises:
        UsageError: the library has no configuration of that name.
        AdaptError: the file cannot be read.
    """
    folder = Path(options.path) if options.path and Path(options.path).is_dir() else None
    if folder is not None and (options.name or options.config):
        raise UsageError(
            f"model.path is the folder {folder}, which holds its configuration, and another is named.",
            f"Remove model.name and model.config, or name the folder's weights, {folder / WEIGHTS}.",
        )
    if folder is None and options.name is None and options.config is None:
        raise UsageError(
            f"model.path is the checkpoint {options.path}, and nothing says of which configuration its weights are.",
            "Name it in model.name (MODEL_PATH), or its file in model.config.",
        )
    if folder is not None:
        config = read_config(folder)
    else:
        file = Path(options.config) if options.config else _named(package, options.name or "")
        try:
            config = Config.fromfile(file)
        # Broad: a configuration is Python, which may raise anything.
        except Exception as error:
            raise AdaptError(f"The configuration {file} cannot be read: {_reason(error)}") from error
    if "model" not in config:
        raise AdaptError(f"The configuration {options.source} describes no model")
    return config


def index_folder(package: str) -> Path:
    """Where a library has its configurations and the index of its models."""
    module = importlib.import_module(package)
    return Path(str(module.__file__)).parent / ".mim"


def indexed(package: str) -> Iterator[dict[str, Any]]:
    """The models of a library's index: each with ``Name``, ``Config`` and, where there are some, ``Weights``."""
    folder = index_folder(package)
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    listed = yaml.load((folder / "model-index.yml").read_text(encoding="utf-8"), loader)["Import"]
    for file in listed:
        path = folder / file
        if not path.is_file():
            continue
        content = yaml.load(path.read_text(encoding="utf-8"), loader)
        yield from (content.get("Models", []) if isinstance(content, dict) else content) or []


def _named(package: str, name: str) -> Path:
    folder = index_folder(package) / "configs"
    plain = name.removesuffix(".py")
    found = sorted(folder.rglob(f"{Path(plain).name}.py"))
    exact = [each for each in found if str(each.with_suffix("")).endswith(f"/{plain}")]
    if exact:
        return exact[0]
    for each in indexed(package):
        if each.get("Name") == plain:
            return Path(folder.parent, each["Config"])
    names = sorted({each.stem for each in folder.rglob("*.py") if "_base_" not in each.parts})
    raise UsageError(
        f"model.name (MODEL_PATH): {package} has no configuration {name!r}{nearest(plain, names)}",
        f"They are in {folder}; a file of your own goes into model.config.",
    )


def without_downloads(model: ConfigDict) -> None:
    """Takes out, in place, the weights that parts of a model would fetch when it is initialised."""
    for each in mappings(model):
        init = each.get("init_cfg")
        if isinstance(init, dict) and init.get("type") == "Pretrained":
            each["init_cfg"] = None
        if each.get("pretrained") is not None and not isinstance(each["pretrained"], bool):
            del each["pretrained"]


def trainable(model: ConfigDict) -> None:
    """Takes out, in place, what freezes parts of a model by itself: the method says what is trained.

    Batch normalisation over processes becomes that of one, also where there are several (decision 0021).
    """
    for each in mappings(model):
        if isinstance(each.get("frozen_stages"), int):
            each["frozen_stages"] = 0 if each.get("type") == "EfficientNet" else -1  # 0 is none there
        if each.get("type") in ("SyncBN", "MMSyncBN"):
            each["type"] = "BN"


def without_random_augments(model: ConfigDict) -> None:
    """Takes out, in place, random changes of whole batches, which a resumed run could not repeat."""
    processor = model.get("data_preprocessor") or {}
    augments = processor.get("batch_augments")
    if augments:
        kept = [each for each in augments if each["type"] in FIXED_AUGMENTS]
        processor["batch_augments"] = kept or None


def pipeline_of(config: Config) -> list[ConfigDict]:
    """The steps that prepare an image for the model.

    Raises:
        AdaptError: the configuration has none.
    """
    steps = config.get("test_pipeline")
    if not steps:
        dataset = (config.get("test_dataloader") or config.get("val_dataloader") or {}).get("dataset", {})
        while "pipeline" not in dataset and "dataset" in dataset:
            dataset = dataset["dataset"]
        steps = dataset.get("pipeline")
    if not steps:
        raise AdaptError(f"The configuration {config.filename} has no test_pipeline, which prepares images")
    return list(steps)


def resize(steps: list[ConfigDict], config: Config, edge: int) -> None:
    """Has the steps make images whose shorter edge has so many pixels, in place, all sizes in proportion."""
    scales = [each for step in steps for each in [step.get("scale"), step.get("img_scale")] if _is_size(each)]
    shortest = min((min(each) for each in scales), default=None)
    if shortest is None:
        raise AdaptError(
            "task.image_size: the model's test_pipeline has no step with a scale that could be changed",
            "Remove the key, or change the pipeline in model.cfg_options.",
        )

    def sized(size: Any) -> tuple[int, int]:
        return round(size[0] * edge / shortest), round(size[1] * edge / shortest)

    for step in steps:
        for key in ("scale", "img_scale", "size"):
            if _is_size(step.get(key)):
                step[key] = sized(step[key])
    for augment in (config.model.get("data_preprocessor") or {}).get("batch_augments") or ():
        if _is_size(augment.get("size")):
            augment["size"] = sized(augment["size"])


def _is_size(value: Any) -> bool:
    return isinstance(value, tuple | list) and len(value) == 2 and all(isinstance(each, int) for each in value)


def mappings(value: Any) -> Iterator[dict[str, Any]]:
    """A configuration's mappings, the outer ones first."""
    if isinstance(value, dict):
        yield value
        for each in value.values():
            yield from mappings(each)
    elif isinstance(value, list | tuple):
        for each in value:
            yield from mappings(each)


def _reason(error: Exception) -> str:
    """The first line of an error, or what it says of a package that is missing."""
    missing = error.__cause__ or error.__context__
    told = missing if isinstance(missing, ImportError) else error
    return next((line.strip() for line in str(told).splitlines() if line.strip()), type(told).__name__)
