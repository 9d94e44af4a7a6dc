"""The README of a saved classifier: how to use it without Adapt."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from adapt_core.plan import RunPlan
from adapt_nlp.models import model_source

ADAPTER = """\
from peft import PeftModel
from transformers import AutoModelForSequenceClassification, AutoTokenizer

folder = "."  # this folder
labels = {labels!r}
base = AutoModelForSequenceClassification.from_pretrained(
    {base!r}, num_labels=len(labels), id2label=dict(enumerate(labels))
)
model = PeftModel.from_pretrained(base, folder).eval()
tokenizer = AutoTokenizer.from_pretrained(folder)
"""

WHOLE = """\
from transformers import AutoModelForSequenceClassification, AutoTokenizer

folder = "."  # this folder
model = AutoModelForSequenceClassification.from_pretrained(folder).eval()
tokenizer = AutoTokenizer.from_pretrained(folder)
"""

USE = """\
inputs = tokenizer(["a text"], truncation=True, return_tensors="pt")
print(model.base_model.config.id2label[int(model(**inputs).logits.argmax())])
"""


def card(plan: RunPlan, info: Mapping[str, Any], saves: str) -> str:
    """Markdown with front matter as the hub reads it, and code that loads the folder.

    Args:
        plan: of the run.
        info: ``data.json``.
        saves: ``"adapter"`` or ``"model"``, as in :attr:`adapt_core.kinds.MethodSpec.saves`.
    """
    base = model_source(plan.model)
    code = (ADAPTER if saves == "adapter" else WHOLE).format(labels=list(info["label_names"]), base=base) + USE
    library = "peft" if saves == "adapter" else "transformers"
    return "\n".join(
        [
            "---",
            f"library_name: {library}",
            f"base_model: {base}",
            "pipeline_tag: text-classification",
            "---",
            "",
            f"# A text classifier, fine-tuned with {plan.method.spec.name}",
            "",
            f"From `{base}`, on {info['rows']['train']:,} rows of {len(info['label_names'])} labels:",
            f"{', '.join(map(str, info['label_names']))}.",
            "",
            "```python",
            code.rstrip(),
            "```",
            "",
        ]
    )
