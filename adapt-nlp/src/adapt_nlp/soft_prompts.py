"""Methods that put tokens before the input."""

from __future__ import annotations

SOFT_PROMPTS = ("prompt_tuning", "p_tuning")
"""Those of PEFT 0.21, whose models then give outputs for these tokens too."""
