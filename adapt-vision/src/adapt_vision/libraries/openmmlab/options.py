"""The ``model`` section of MMDet and MMPose. Imports nothing heavy: it is loaded to check a configuration."""

from __future__ import annotations

from typing import Any, Self

from pydantic import field_validator, model_validator

from adapt_core.config.sections import ModelOptions
from adapt_core.options import option

INSTALL = "python -m adapt_vision.mmlab"
"""The command that installs the libraries; see :mod:`adapt_vision.mmlab`."""

MERGED = ("model", "test_pipeline")
"""The parts of a configuration that have an effect here: all else is Adapt's own."""


class OpenMMLabModel(ModelOptions):
    """A model by a configuration of its library."""

    name: str | None = option(
        None,
        flat=("MODEL_PATH", "model_path"),
        min_length=1,
        help="Name of a configuration of the library, or of a model of its index: rtmdet_tiny_8xb32-300e_coco.",
    )
    config: str | None = option(
        None,
        min_length=1,
        path=True,
        help="Configuration file of your own, in place of name. It is Python, which runs: use none of strangers.",
    )
    path: str | None = option(
        None,
        flat="LOCAL_MODEL_PATH",
        min_length=1,
        path=True,
        help="Checkpoint to start from, a .pth file; by default the one that the model index names. Or a folder that "
        "Adapt has written, which holds the configuration too.",
    )
    pretrained: bool = option(
        True, flat="load_model", help="Start from pretrained weights; false starts from random ones."
    )
    cfg_options: bool | dict[str, Any] = option(
        False,
        flat="cfg_options",
        help="What to change in the configuration, as MMEngine merges it: {model.bbox_head.loss_cls.loss_weight: 2.0}. "
        "true and false leave it as it is.",
    )

    @field_validator("cfg_options", mode="before")
    @classmethod
    def _none_is_false(cls, value: Any) -> Any:
        return False if value is None else value

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if self.name is not None and self.config is not None:
            raise ValueError("name (MODEL_PATH) and config both name a configuration; remove one of them")
        if self.name is None and self.config is None and self.path is None:
            raise ValueError("name (MODEL_PATH), config or path (LOCAL_MODEL_PATH) is needed; none is given")
        if self.path is not None and not self.pretrained:
            raise ValueError("path (LOCAL_MODEL_PATH) names weights, and pretrained (load_model) is false; remove one")
        return self

    @model_validator(mode="after")
    def _known_parts(self) -> Self:
        for key in self.cfg_options if isinstance(self.cfg_options, dict) else ():
            if str(key).split(".", 1)[0] not in MERGED:
                raise ValueError(
                    f"cfg_options: {key} has no effect here, where data, optimizer and schedule are Adapt's; "
                    f"{' and '.join(MERGED)} can be changed"
                )
        return self

    @property
    def source(self) -> str:
        """The weights, or the configuration where there are none."""
        return self.path or self.config or self.name or ""
