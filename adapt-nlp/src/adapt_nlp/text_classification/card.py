"""The README of a saved classifier."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from adapt_core.plan.run_plan import RunPlan
from adapt_nlp.card import labelled_card, trained_on

USE = """\
inputs = tokenizer({example}, truncation=True, return_tensors="pt")
print(model.base_model.config.id2label[int(model(**inputs).logits.argmax())])
"""


def card(plan: RunPlan, info: Mapping[str, Any], folder: Path) -> str:
    """Markdown with code that loads the folder and puts a text into a class."""
    return labelled_card(
        plan,
        info,
        folder,
        auto_class="AutoModelForSequenceClassification",
        use=USE.format(example='["a text"], ["its partner"]' if info["columns"]["text_pair"] else '["a text"]'),
        pipeline="text-classification",
        called="A text classifier",
        about=f"on {trained_on(info, 'rows')} of {len(info['label_names'])} labels:",
    )
