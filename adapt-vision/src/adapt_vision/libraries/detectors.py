"""Object detectors of transformers."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import torch
from PIL import Image
from torch import Tensor
from transformers import AutoModelForObjectDetection

from adapt_core.bundles import Hints, Model
from adapt_core.engines.trainer.inputs import TrainerInputs
from adapt_core.errors import AdaptError
from adapt_core.interfaces import Quantizer
from adapt_vision.annotations.objects import Annotation
from adapt_vision.libraries.counting import counted_here
from adapt_vision.libraries.transformers import Transformers

Found = dict[str, Tensor]
"""What was found in an image: ``boxes`` of shape (n, 4), corners in pixels, ``scores`` and ``labels`` of shape (n,)."""


class Detectors(Transformers):
    """Any model of ``AutoModelForObjectDetection``, of the hub or a local folder."""

    auto_class: ClassVar[Any] = AutoModelForObjectDetection
    head: ClassVar[frozenset[str]] = frozenset(
        {
            "class_embed",
            "bbox_embed",
            "class_labels_classifier",
            "bbox_predictor",
            "enc_score_head",
            "enc_bbox_head",
            "denoising_class_embed",
            "enc_out_class_embed",
            "enc_out_bbox_embed",
        }
    )

    def settings_for(self, names: Sequence[str]) -> dict[str, Any]:
        settings = super().settings_for(names)
        del settings["problem_type"]  # of classifiers
        return settings

    def load_processor(self, path: Path | None = None) -> Any:
        processor = super().load_processor(path)
        if not hasattr(processor, "post_process_object_detection"):
            raise AdaptError(
                f"The image processor {type(processor).__name__} is not one of a detector: it makes no boxes",
                "Name another one in model.image_processor (image_processor_path).",
            )
        return processor

    def load_model(self, names: Sequence[str], path: Path | None, quantizer: Quantizer | None) -> Model:
        model = super().load_model(names, path, quantizer)
        if self.plan.method.spec.saves != "adapter":
            return model
        trains_head = self.plan.train_head is not False or bool(model.hints.fresh)
        if trains_head and model.module.config.model_type in NAMED_ALIKE:
            raise AdaptError(
                f"{type(model.module).__name__} has heads whose names end alike, class_embed and enc_out_class_embed, "
                f"and PEFT, which goes by how names end, cannot train them beside {self.plan.method.spec.name}",
                "Choose full or last_layer, or another detector, such as RT-DETR; where the head knows the data's "
                "classes, it may stay as it is: method.train_head=false (LAST_LAYER_TUNING).",
            )
        shared = shared_names(model.module)
        if not shared:
            return model
        # PEFT looks for the words' embeddings of a model that ties weights, and raises where there are none.
        model.module.config.tie_word_embeddings = False
        if trains_head and model.module.config.model_type in READ_IN_THE_DECODER:
            return replace(model, hints=in_the_decoder(model.hints))
        twice = [names for names in shared if len({name.startswith(INSIDE) for name in names}) > 1]
        if trains_head and twice:
            raise AdaptError(
                f"{type(model.module).__name__} has its head at two places in one ({' is '.join(twice[0])}), and the "
                f"method {self.plan.method.spec.name} would train a copy at each, which do not stay equal",
                "Choose full or last_layer, or a model whose head is read at one place, such as RT-DETR, D-FINE or "
                "DETR.",
            )
        part(model.module, shared)  # as its configuration now says, so that merging saves every layer's head
        return model

    def _sized(self) -> bool:
        return False  # what detectors call their size is not that of their input

    # ---- batches --------------------------------------------------------------------------------------------------

    def batch(self, processor: Any, images: Sequence[Image.Image], objects: Sequence[Sequence[Annotation]]) -> Any:
        """What the model reads of images and the objects in them.

        Returns:
            ``pixel_values`` of shape (rows, 3, height, width), ``pixel_mask`` where the processor pads, and ``labels``:
            a mapping a row with ``class_labels``, ``boxes`` (centre and size, as parts of the image) and ``orig_size``.
            Crowds are left out, as processors do.
        """
        annotations = [
            {
                "image_id": row,
                "annotations": [
                    {"bbox": each.box, "category_id": each.category, "area": each.area, "iscrowd": int(each.crowd)}
                    for each in found
                ],
            }
            for row, found in enumerate(objects)
        ]
        made = processor(images=list(images), annotations=annotations, return_tensors="pt")
        return {**made, "labels": [dict(each) for each in made["labels"]]}

    def call(self, module: Any, batch: Mapping[str, Any], *, labels: bool) -> Any:
        """The model's outputs, with ``loss`` where labels are given.

        Raises:
            AdaptError: the model's boxes are no numbers any more, or images are too small for it.
        """
        names = ["pixel_values", *(["pixel_mask"] if self._masks else []), *(["labels"] if labels else [])]
        try:
            with counted_here():
                return module(**{name: batch[name] for name in names if name in batch})
        except RuntimeError as error:
            height, width = batch["pixel_values"].shape[-2:]
            seen = f"images of {width} × {height} pixels"
            if "selected index k out of range" in str(error):  # what torch.topk says
                queries = self._settings().num_queries
                raise AdaptError(
                    f"The model takes its {queries} queries from places in its feature maps, and {seen} have fewer",
                    "Set a larger task.image_size.",
                ) from error
            if "Sizes of tensors must match" in str(error):
                raise AdaptError(
                    f"The model's feature maps do not fit each other for {seen}",
                    "Set task.image_size to a multiple of 32.",
                ) from error
            raise
        except ValueError as error:
            if not (labels and "corner" in str(error)):  # what transformers' loss says of boxes that are NaN
                raise
            raise AdaptError(
                "The model's boxes are no numbers any more: training has diverged",
                "Lower training.lr (LR), or limit training.max_grad_norm; with DoRA, layers whose weights are all zero "
                "cannot be adapted.",
            ) from error

    def found(self, processor: Any, outputs: Any, sizes: Sequence[tuple[int, int]], threshold: float) -> list[Found]:
        """What the model's post-processing finds above a score, in images of these heights and widths."""
        made = processor.post_process_object_detection(outputs, threshold=threshold, target_sizes=list(sizes))
        return [{name: value.detach().float().cpu() for name, value in each.items()} for each in made]

    def inputs(self, **given: Any) -> TrainerInputs:
        """What the engine takes."""
        return TrainerInputs(**given)

    def items(self, batch: Mapping[str, Any]) -> int:
        """What the losses are means of: boxes; one at least, as they have it."""
        return max(sum(len(each["class_labels"]) for each in batch["labels"]), 1)

    def measured(self, processor: Any, module: Any, batch: Mapping[str, Any]) -> dict[str, Any]:
        """``loss``, and ``found``, what the model finds in each image of a batch."""
        outputs = self.call(module, batch, labels=True)
        sizes = [tuple(each["orig_size"].tolist()) for each in batch["labels"]]
        return {"loss": outputs.loss, "found": self.found(processor, outputs, sizes, 0.0)}

    def infer(self, model: Model, image: Image.Image) -> Any:
        """The model's outputs for one image."""
        inputs = model.processor(images=image, return_tensors="pt").to(next(model.module.parameters()).device)
        return self.call(model.module, inputs, labels=False)

    def raw(self, outputs: Any) -> Tensor:
        """Logits and boxes of every query, float32, of shape (rows, queries, classes + 4)."""
        return torch.cat([outputs.logits, outputs.pred_boxes], -1).float().cpu()

    @cached_property
    def _masks(self) -> bool:
        """Whether the model reads a mask of what is padding."""
        kind = self.auto_class._model_mapping[type(self._settings())]
        return "pixel_mask" in inspect.signature(kind.forward).parameters

    # ---- without Adapt --------------------------------------------------------------------------------------------

    def code(self, info: Mapping[str, Any], folder: Path) -> tuple[str, str]:
        name, text = super().code(info, folder)
        if self._settings().model_type in TIED:
            text = text.replace("model = PeftModel.", f"{UNTIED}\nmodel = PeftModel.")
        return name, text

    def use_code(self) -> str:
        return CALL.format(masked="" if self._masks else MASKLESS)


READ_IN_THE_DECODER = frozenset({"rt_detr_v2", "d_fine", "deimv2"})
"""Families whose head has names at two places and is read by those in the decoder alone."""


NAMED_ALIKE = frozenset({"lw_detr", "rf_detr"})
"""Families with a head beside the base and lists of heads inside, whose names end as that one's."""


def in_the_decoder(hints: Hints) -> Hints:
    """Hints without the names of a head that the model does not read it by.

    An adapter would hold a copy of it by each name, and those that are not read would never change.
    """
    kept = [
        tuple(name for name in names if f"{DECODER}{name}" not in names or name.startswith(DECODER))
        for names in (hints.head, hints.fresh)
    ]
    return replace(hints, head=kept[0], fresh=kept[1])


def shared_names(module: Any) -> list[list[str]]:
    """The names of each parameter that has several: it is shared, whatever the class says of its kind."""
    names: dict[int, list[str]] = {}
    for name, value in module.named_parameters(remove_duplicate=False):
        names.setdefault(id(value), []).append(name)
    return [each for each in names.values() if len(each) > 1]


def part(module: Any, shared: Sequence[Sequence[str]]) -> None:
    """Gives each of the names of shared parameters a copy of its own, in place."""
    for _, *others in shared:
        for name in others:
            owner, _, last = name.rpartition(".")
            value = module.get_parameter(name)
            setattr(module.get_submodule(owner), last, type(value)(value.detach().clone(), value.requires_grad))


TIED = READ_IN_THE_DECODER | {"deformable_detr"}
"""Families that share parameters of the head and can have adapters."""

INSIDE = "model."
"""What the names of parameters begin with that are read before the head."""

DECODER = "model.decoder."

UNTIED = "base.config.tie_word_embeddings = False  # PEFT would look for embeddings of words"


MASKLESS = '    inputs.pop("pixel_mask", None)\n'

CALL = """
import sys

import torch
from PIL import Image, ImageOps

processor = AutoImageProcessor.from_pretrained(folder)
for path in sys.argv[1:]:
    image = ImageOps.exif_transpose(Image.open(path)).convert("RGB")
    inputs = processor(images=image, return_tensors="pt")
{masked}    with torch.inference_mode():
        outputs = model(**inputs)
    sizes = [(image.height, image.width)]
    found = processor.post_process_object_detection(outputs, threshold=0.5, target_sizes=sizes)[0]
    for box, label, score in zip(found["boxes"], found["labels"], found["scores"]):
        left, top, right, bottom = box.tolist()
        print(path, labels[int(label)], float(score), left, top, right - left, bottom - top)
"""
