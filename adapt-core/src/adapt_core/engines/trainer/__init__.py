"""The engine on Hugging Face's ``Trainer``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from adapt_core.engines.trainer.engine import TrainerEngine
    from adapt_core.engines.trainer.inputs import TrainerInputs

__all__ = ["TrainerEngine", "TrainerInputs"]


def __getattr__(name: str) -> Any:
    """Lends out the engine and what a task hands to it, on use: the engine imports torch and transformers."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from adapt_core.engines.trainer import engine, inputs

    return getattr(engine if name == "TrainerEngine" else inputs, name)
