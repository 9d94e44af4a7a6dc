"""FlashAttention 2: whether it can run here."""

from __future__ import annotations

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
