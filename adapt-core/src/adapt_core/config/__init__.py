"""A file, flat or nested, becomes checked sections."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from adapt_core.config.sections import DatasetOptions, ModelOptions, TrainingOptions

__all__ = ["DatasetOptions", "ModelOptions", "TrainingOptions"]


def __getattr__(name: str) -> Any:
    """Lends out the option models that plugins extend, on use: they need pydantic, which listing plugins does not."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from adapt_core.config import sections

    return getattr(sections, name)
