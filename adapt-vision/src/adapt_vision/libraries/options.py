"""The ``model`` section of the vision tasks. Imports nothing heavy: it is loaded to check a configuration."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Self

from pydantic import field_validator, model_validator

from adapt_core.config.sections import ModelOptions
from adapt_core.options import option

if TYPE_CHECKING:
    from adapt_core.plan.run_plan import RunPlan

OF_TIMM = "_timm"
"""The ending of a ``model_type`` that stands for timm."""


class VisionModel(ModelOptions):
    """What both libraries' models have in common."""

    name: str | None = option(
        None,
        flat=("MODEL_PATH", "model_path"),
        min_length=1,
        help="Name of the pretrained model: timm's own (`timm.list_models`), or that of the hub.",
    )
    pretrained: bool = option(
        True, flat="load_model", help="Start from pretrained weights; false starts from random ones."
    )
    type: str | None = option(
        None,
        flat="model_type",
        min_length=1,
        help="The family that the model must be of, as a check: `densenet_timm` of timm, `convnext` of transformers.",
    )
    image_processor: str | None = option(
        None,
        flat="image_processor_path",
        min_length=1,
        help="Another image processor than the model's own: a hub name or a local folder of transformers'.",
    )

    @field_validator("image_processor")
    @classmethod
    def _found_from_anywhere(cls, value: str | None) -> str | None:
        """A local folder becomes absolute, so that an adapter's base is read alike from any folder."""
        if value is None:
            return None
        folder = os.path.expanduser(value)  # noqa: PTH111  # Path.expanduser() raises where there is no home.
        return os.path.abspath(folder) if os.path.isdir(folder) else value  # noqa: PTH100, PTH112

    @property
    def family(self) -> str | None:
        """The type without the ending that names a library."""
        return self.type.removesuffix(OF_TIMM) if self.type else None


class TimmModel(VisionModel):
    """A model of timm."""

    path: str | None = option(
        None,
        flat="LOCAL_MODEL_PATH",
        min_length=1,
        path=True,
        help="Local folder as timm saves it (config.json and weights); or, beside name, a file of weights. A model "
        "that transformers saved needs `library: transformers`.",
    )

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if self.name is None and self.path is None:
            raise ValueError("name (MODEL_PATH) or path (LOCAL_MODEL_PATH) is needed; neither is given")
        return self

    @model_validator(mode="after")
    def _type_of_timm(self) -> Self:
        if self.type is not None and not self.type.endswith(OF_TIMM):
            raise ValueError(
                f"type (model_type) is {self.type!r}, which does not end in {OF_TIMM}: it is a family of transformers; "
                "set library (Library) to transformers, or remove type"
            )
        return self


class TransformersModel(VisionModel):
    """A model of transformers."""

    @model_validator(mode="after")
    def _type_of_transformers(self) -> Self:
        if self.type is not None and self.type.endswith(OF_TIMM):
            raise ValueError(
                f"type (model_type) is {self.type!r}, a family of timm's; set library (Library) to timm, or remove type"
            )
        return self


class PoseModel(TransformersModel):
    """A model of transformers that finds keypoints."""

    dataset_index: int | None = option(
        None,
        ge=0,
        help="Which expert of a ViTPose+ model is trained and used, by the number of the data set that it was "
        "pretrained on; by default 0, COCO's people.",
    )


def problems(plan: RunPlan) -> Iterator[tuple[tuple[str, ...], str]]:
    """An adapter on random weights, which nobody could load again."""
    model: Any = plan.model
    if not model.pretrained and plan.method.spec.saves == "adapter":
        yield (
            ("model", "pretrained"),
            f"the method {plan.method.spec.name} saves an adapter, whose base would be random weights that are saved "
            "nowhere; start from pretrained weights, or choose full",
        )
