"""Image classifiers of transformers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, cast

import torch
from PIL import Image
from torch import Tensor
from transformers import AutoConfig, AutoImageProcessor, AutoModelForImageClassification

from adapt_core.bundles import Model
from adapt_core.errors import AdaptError
from adapt_core.interfaces import OWN_BASE, Quantizer
from adapt_core.models.pretrained import kept_whole, label_names, load_model, model_source, save_model, unloadable
from adapt_vision.libraries.card import ADAPTER, ADAPTER_OF_OWN, CALL, WHOLE, adapter_imports, saved_as
from adapt_vision.libraries.library import ImageLibrary
from adapt_vision.libraries.oddities import oddities
from adapt_vision.processing import RESAMPLING, InputForm, Processing


class Transformers(ImageLibrary):
    """Any model of ``AutoModelForImageClassification``, of the hub or a local folder."""

    argument: ClassVar[str] = "pixel_values"
    auto_class: ClassVar[Any] = AutoModelForImageClassification
    head: ClassVar[frozenset[str]] = frozenset()
    """What modules inside the base that belong to the head too are called."""

    def settings_for(self, names: Sequence[str]) -> dict[str, Any]:
        """What the model's configuration says of the classes."""
        return {
            "num_labels": len(names),
            "id2label": dict(enumerate(names)),
            "label2id": {name: index for index, name in enumerate(names)},
            "problem_type": "single_label_classification",
        }

    def names_of(self, info: Mapping[str, Any]) -> Sequence[str]:
        """What the outputs of the head stand for, as ``data.json`` says: the classes."""
        return cast(Sequence[str], info["label_names"])

    def label_names(self) -> list[str]:
        return label_names(self.options) if self.options.pretrained else []

    def load_processor(self, path: Path | None = None) -> Any:
        asked = self.options.image_processor
        source = str(path) if path is not None else asked or model_source(self.options)
        try:
            processor: Any = AutoImageProcessor.from_pretrained(source)
        except (OSError, ValueError) as error:
            if asked is not None and path is None:
                raise AdaptError(
                    f"model.image_processor (image_processor_path): {asked} cannot be loaded: {_first_line(error)}",
                    "Give a hub name, or a folder with preprocessor_config.json.",
                ) from error
            failure = unloadable("image processor", self.options, source, error)
            failure.hint = "Name another one in model.image_processor (image_processor_path)."
            raise failure from error
        if path is None and self.image_size is not None:
            _resize(processor, self.image_size)
        return processor

    def load_model(self, names: Sequence[str], path: Path | None, quantizer: Quantizer | None) -> Model:
        config = self.settings_for(names)
        if path is None:
            self._require_family()
            if self._sized():
                config["image_size"] = self.image_size
            if not self.options.pretrained:
                return self._random(config, quantizer)
        model = load_model(
            self.auto_class,
            self.options,
            self.load_processor(path),
            path=path,
            train_head=self.plan.train_head,
            config=config,
            quantizer=quantizer,
            head=self.head,
        )
        return replace(model, notices=(*model.notices, *oddities(model.module)))

    def save_model(self, model: Model, folder: Path, names: Sequence[str]) -> None:
        """As ``save_pretrained`` does."""
        save_model(model, folder)

    def queries(self) -> int | None:
        """How many objects a detector finds in an image at most; None where its configuration does not say."""
        settings = self._settings()
        places = (settings, getattr(settings, "decoder_config", None))  # MaskFormer's decoder has its own
        for name in ("num_queries", "num_detection_tokens"):
            for place in places:
                if (found := getattr(place, name, None)) is not None:
                    return int(found)
        return None

    def processing(self, processor: Any) -> Processing:
        return Processing(form_of(processor), lambda image: _processed(processor, image), processor)

    def logits(self, module: Any, pixels: Tensor) -> Tensor:
        return cast(Tensor, module(pixel_values=pixels).logits)

    def code(self, info: Mapping[str, Any], folder: Path) -> tuple[str, str]:
        kind = saved_as(folder)
        if kind == "own":
            return "adapt-core", ADAPTER_OF_OWN.format(method=self.plan.method.spec.name)
        auto = self.auto_class.__name__
        if kind == "whole":
            return "transformers", WHOLE.format(auto=auto) + self.use_code()
        quantized = self._quantized(info)
        base = OWN_BASE if (folder / OWN_BASE).is_dir() else model_source(self.options)
        size = f"    image_size={self.image_size},\n" if self._sized() else ""
        text = ADAPTER.format(
            auto=auto,
            imports=("import transformers\n" if quantized else "") + adapter_imports(folder),
            labels=list(self.names_of(info)),
            base=base,
            further=size + f"    {quantized or 'dtype=torch.float32'},\n",
        )
        return "peft", text + self.use_code()

    def use_code(self) -> str:
        """Python code that uses ``model`` and ``labels``, read from ``folder``, on image files."""
        return READ + CALL.format(argument="", outputs="model(pixel_values=pixels).logits")

    # ---- helpers --------------------------------------------------------------------------------------------------

    def _settings(self) -> Any:
        try:
            return AutoConfig.from_pretrained(model_source(self.options))
        except (OSError, ValueError) as error:
            raise unloadable("model", self.options, model_source(self.options), error) from error

    def _sized(self) -> bool:
        return self.image_size is not None and hasattr(self._settings(), "image_size")

    def _require_family(self) -> None:
        family, asked = self._settings().model_type, self.options.family
        if asked is not None and asked != family:
            raise AdaptError(
                f"model.type (model_type) is {asked}, and {self.options.source} is of transformers' family {family}",
                f"Write {family}, or remove the key.",
            )

    def _random(self, config: Mapping[str, Any], quantizer: Quantizer | None) -> Model:
        """A model of the same architecture with random weights."""
        if quantizer is not None:
            raise AdaptError(
                "model.pretrained (load_model) is false, and random weights cannot be loaded in fewer bits",
                "Remove quantization, or start from pretrained weights.",
            )
        from adapt_core.models.architecture import hints_for

        settings = AutoConfig.from_pretrained(model_source(self.options), **config)
        module = self.auto_class.from_config(settings, dtype=torch.float32)
        hints = hints_for(module, (), self.plan.train_head, self.head)
        fresh = [f"{name}.weight" for name in hints.head]
        hints = hints_for(module, fresh, self.plan.train_head, self.head)
        told = f"{self.options.source} starts from random weights: model.pretrained (load_model) is false."
        return Model(module, self.load_processor(), hints, (told,))

    def _quantized(self, info: Mapping[str, Any]) -> str:
        """The arguments that load the base as the run had it, as Python source; empty where it is not quantized."""
        if self.plan.quantizer is None:
            return ""
        settings = AutoConfig.from_pretrained(model_source(self.options), num_labels=len(self.names_of(info)))
        return str(self.plan.quantizer.make().load_code(kept_whole(self.auto_class, settings, self.head)))


def form_of(processor: Any) -> InputForm:
    """What a processor of transformers makes of an image, without how it resizes.

    Raises:
        AdaptError: the size is given in another way than those known here.
    """
    settings = processor.to_dict()
    crop = settings.get("crop_size") if settings.get("do_center_crop") else None
    size = crop or settings.get("size") or {}
    if "height" in size:
        pair = (size["height"], size["width"])
    elif "shortest_edge" in size and ("crop_pct" in settings or not crop):
        pair = (size["shortest_edge"], size["shortest_edge"])
    else:
        raise AdaptError(
            f"The image processor {type(processor).__name__} gives its size as {size}, which says no height and width",
            "Name another one in model.image_processor (image_processor_path).",
        )
    plain = not settings.get("do_normalize", True)
    names = {int(value): name for name, value in RESAMPLING.items()}
    return InputForm(
        size=pair,
        mean=(0.0, 0.0, 0.0) if plain else tuple(settings["image_mean"]),
        std=(1.0, 1.0, 1.0) if plain else tuple(settings["image_std"]),
        scale=settings.get("rescale_factor", 1 / 255) if settings.get("do_rescale", True) else 1.0,
        interpolation=names[int(settings.get("resample", 2))],
    )


def _processed(processor: Any, image: Image.Image) -> Tensor:
    return cast(Tensor, processor(images=image, return_tensors="pt")["pixel_values"][0])


def _resize(processor: Any, edge: int) -> None:
    """Has a processor make squares of another size, in place; what it resizes to keeps its ratio to what it crops."""
    size = dict(processor.size)
    crop = processor.crop_size if getattr(processor, "do_center_crop", False) else None
    before = crop["height"] if crop else size.get("shortest_edge") or size["height"]
    processor.size = {name: round(value * edge / before) for name, value in size.items() if value is not None}
    if crop:
        processor.crop_size = {"height": edge, "width": edge}


def _first_line(error: Exception) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)


READ = """
processor = AutoImageProcessor.from_pretrained(folder)


def transform(image):
    return processor(images=image, return_tensors="pt")["pixel_values"][0]

"""
