"""The README of a saved causal language model."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from adapt_core.plan.run_plan import RunPlan
from adapt_nlp.card import model_card, trained_on
from adapt_nlp.instructions import ALPACA

PROMPT = """\
prompt = {prompt!r}
inputs = tokenizer(prompt, return_tensors="pt")
"""

CHAT = """\
messages = [{"role": "user", "content": "a question"}]
inputs = tokenizer.apply_chat_template(messages, add_generation_prompt=True, return_dict=True, return_tensors="pt")
"""

USE = """\
generated = model.generate(**inputs, max_new_tokens=128, pad_token_id=tokenizer.pad_token_id)
print(tokenizer.decode(generated[0, inputs["input_ids"].shape[1] :], skip_special_tokens=True))
"""


def card(plan: RunPlan, info: Mapping[str, Any], folder: Path) -> str:
    """Markdown with code that loads the folder and generates text, from a prompt as the training data had them."""
    columns = info["columns"]
    prompts = {
        "text": "Once upon a time",
        "prompt_completion": "a question" + columns["separator"],
        "instruction": ALPACA.format(instruction="an instruction"),
    }
    kind = columns["format"]
    given = CHAT if kind == "chat" else PROMPT.format(prompt=prompts[kind])
    return model_card(
        plan,
        folder,
        auto_class="AutoModelForCausalLM",
        use=given + USE,
        pipeline="text-generation",
        called="A language model",
        about=f"on {trained_on(info, 'rows')} of the format {kind}.",
        own='print(run.predict(["a prompt"]))',
    )
