"""The README of a saved classifier: how to use it without Adapt."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
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

OWN = """\
import adapt_core  # the adapter is of the method {method}, whose plugin must be installed

run = adapt_core.load_run("..")  # the run's folder
print(run.predict(["a text"]))
"""

WHOLE = """\
from transformers import AutoModelForSequenceClassification, AutoTokenizer

folder = "."  # this folder
model = AutoModelForSequenceClassification.from_pretrained(folder).eval()
tokenizer = AutoTokenizer.from_pretrained(folder)
"""

USE = """\
inputs = tokenizer({example}, truncation=True, return_tensors="pt")
print(model.base_model.config.id2label[int(model(**inputs).logits.argmax())])
"""


def card(plan: RunPlan, info: Mapping[str, Any], folder: Path) -> str:
    """Markdown with front matter as the hub reads it, and code that loads the folder.

    Args:
        plan: of the run.
        info: ``data.json``.
        folder: what was saved: an adapter in PEFT's format, one in the method's own, or a whole model.
    """
    base = model_source(plan.model)
    if (folder / "adapter_config.json").is_file():
        library, code = "peft", ADAPTER + USE
    elif (folder / "config.json").is_file():
        library, code = "transformers", WHOLE + USE
    else:
        library, code = "adapt-core", OWN
    example = '["a text"], ["its partner"]' if info["columns"]["text_pair"] else '["a text"]'
    code = code.format(example=example, labels=list(info["label_names"]), base=base, method=plan.method.spec.name)
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
