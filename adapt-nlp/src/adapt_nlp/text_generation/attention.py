"""FlashAttention 2, in training alone: whether it can run here, and switching it on and off."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from transformers import AutoConfig, AutoModelForCausalLM
from transformers.utils.import_utils import is_flash_attn_2_available

from adapt_core.errors import AdaptError
from adapt_core.models.pretrained import model_source, outline, unloadable
from adapt_core.plan.run_plan import RunPlan

FLASH = "flash_attention_2"
"""What transformers calls it."""


def require_flash_attention(plan: RunPlan) -> None:
    """Raises AdaptError where FlashAttention 2 cannot run, before the model is loaded."""
    reason = why_not_flash_attention(plan)
    if reason is not None:
        raise AdaptError(f"task.flash_attention2: {reason}", "Remove it: PyTorch's own attention is used then.")


def why_not_flash_attention(plan: RunPlan) -> str | None:
    """Why FlashAttention 2 cannot run with this plan on this machine."""
    if not torch.cuda.is_available():
        return "FlashAttention 2 needs a GPU with CUDA, and this machine has none"
    if not is_flash_attn_2_available():
        return "the package flash-attn is not installed, or does not run on this GPU"
    if not (plan.training.bf16 or plan.training.fp16):
        return "FlashAttention 2 computes in 16 bits only; set training.bf16 or training.fp16 (FP16)"
    source = model_source(plan.model)
    try:
        model = outline(AutoModelForCausalLM, AutoConfig.from_pretrained(source))
    except (OSError, ValueError) as error:
        raise unloadable("model", plan.model, source, error) from error
    if not getattr(model, "_supports_flash_attn", False):
        return f"{type(model).__name__} does not support it"
    return None


def use_flash_attention(module: Any) -> None:
    """Has a model compute attention with it; the model is moved to the GPU, without which it cannot be switched on.

    Raises:
        AdaptError: the model's attention cannot be switched.
    """
    base = _base(module)
    if torch.cuda.is_available():
        base.to("cuda")
    base.set_attn_implementation(FLASH)
    if not uses_flash_attention(module):
        raise AdaptError(
            f"task.flash_attention2: the attention of {type(base).__name__} cannot be switched to it",
            "Remove it: PyTorch's own attention is used then.",
        )


def uses_flash_attention(module: Any) -> bool:
    """Whether a model computes attention with it, which takes and gives 16 bits."""
    return getattr(getattr(_base(module), "config", None), "_attn_implementation", None) == FLASH


@contextmanager
def without_flash_attention(module: Any) -> Iterator[None]:
    """Within it, a model computes in the precision of its weights, as it does once it is saved and loaded."""
    if not uses_flash_attention(module):
        yield
        return
    base = _base(module)
    base.set_attn_implementation("sdpa")
    try:
        yield
    finally:
        base.set_attn_implementation(FLASH)


def _base(module: Any) -> Any:
    return module.get_base_model() if hasattr(module, "get_base_model") else module
