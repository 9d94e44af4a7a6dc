"""Instructions as prompts."""

from __future__ import annotations

ALPACA = (
    "Below is an instruction that describes a task. Write a response that appropriately completes the request.\n\n"
    "### Instruction:\n{instruction}\n\n### Response:\n"
)
ALPACA_WITH_INPUT = (
    "Below is an instruction that describes a task, paired with an input that provides further context. Write a "
    "response that appropriately completes the request.\n\n"
    "### Instruction:\n{instruction}\n\n### Input:\n{input}\n\n### Response:\n"
)
"""The prompts of Stanford Alpaca (Taori et al. 2023, github.com/tatsu-lab/stanford_alpaca)."""


def alpaca(instruction: str, about: str | None = None) -> str:
    """An instruction as a prompt."""
    if about and about.strip():
        return ALPACA_WITH_INPUT.format(instruction=instruction, input=about)
    return ALPACA.format(instruction=instruction)
