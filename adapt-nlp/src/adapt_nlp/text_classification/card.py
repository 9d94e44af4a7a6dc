"""The README of a saved classifier: how to use it without Adapt."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from transformers import AutoConfig, AutoModelForSequenceClassification

from adapt_core.interfaces import OWN_BASE
from adapt_core.models.pretrained import kept_whole, model_source
from adapt_core.plan.run_plan import RunPlan
from adapt_core.utils.files import read_json

ADAPTER = """\
{imports}from peft import PeftModel
from transformers import AutoModelForSequenceClassification, AutoTokenizer

folder = "."  # this folder
labels = {labels!r}
tokenizer = AutoTokenizer.from_pretrained(folder)
base = AutoModelForSequenceClassification.from_pretrained(
    {base!r},
    num_labels=len(labels),
    id2label=dict(enumerate(labels)),
    pad_token_id=tokenizer.pad_token_id,
    {further},
)
model = PeftModel.from_pretrained(base, folder).eval()
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
    quantized = _quantized(plan, info) if library == "peft" else ""
    loaded = OWN_BASE if (folder / OWN_BASE).is_dir() else base
    code = code.format(
        imports=_imports(folder, quantized=bool(quantized)) if library == "peft" else "",
        further=quantized or 'dtype="float32"',
        example=example,
        labels=list(info["label_names"]),
        base=loaded,
        method=plan.method.spec.name,
    )
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


def _imports(folder: Path, *, quantized: bool) -> str:
    """What the code needs beside PEFT: the libraries of its arguments, and Adapt for a tuner of Adapt's own."""
    from adapt_core.peft.registration import OwnPeftType

    kind = read_json(folder / "adapter_config.json")["peft_type"]
    lines = ["import torch", "import transformers"] if quantized else []
    if kind in OwnPeftType.__members__:
        lines.append(f"import adapt_core.peft  # makes {kind} known to PEFT; adapt merge gives a model without it")
    return "".join(f"{line}\n" for line in lines)


def _quantized(plan: RunPlan, info: Mapping[str, Any]) -> str:
    """The arguments that load the base as the run had it, as Python source; empty where it is not quantized."""
    if plan.quantizer is None:
        return ""
    settings = AutoConfig.from_pretrained(model_source(plan.model), num_labels=len(info["label_names"]))
    keep = kept_whole(AutoModelForSequenceClassification, settings)
    code: str = plan.quantizer.make().load_code(keep)
    return code
