"""The README of a saved model that finds objects: how to use it without Adapt."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from adapt_core.models.pretrained import model_source
from adapt_core.plan.run_plan import RunPlan


def card(
    plan: RunPlan, info: Mapping[str, Any], library: str, code: str, *, tag: str, what: str, use: Sequence[str]
) -> str:
    """Markdown with front matter as the hub reads it.

    Args:
        plan: of the run.
        info: what ``data.json`` says.
        library: that loads the model.
        code: that uses it, on the image files that it is given.
        tag: of the task, as the hub has it.
        what: the model is, with its article.
        use: lines that say what the code does.
    """
    base = model_source(plan.model)
    names = list(info["label_names"])
    shown = names if len(names) <= 50 else [*names[:50], "…"]
    return "\n".join(
        [
            "---",
            f"library_name: {library}",
            f"base_model: {base}",
            f"pipeline_tag: {tag}",
            "---",
            "",
            f"# {what}, fine-tuned with {plan.method.spec.name}",
            "",
            f"From `{base}`, on {info['rows']['train']:,} images with objects of {len(names)} classes:",
            f"{', '.join(map(str, shown))}.",
            "",
            *use,
            "",
            "```python",
            code.rstrip(),
            "```",
            "",
        ]
    )
