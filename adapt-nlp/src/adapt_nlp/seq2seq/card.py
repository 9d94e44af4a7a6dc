"""The README of a saved model that writes a text out of a text."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from adapt_core.plan.run_plan import RunPlan
from adapt_nlp.card import model_card, trained_on
from adapt_nlp.seq2seq.writers import Writer


def card(
    plan: RunPlan, info: Mapping[str, Any], folder: Path, writer: Writer, *, pipeline: str, called: str, what: str
) -> str:
    """Markdown with code that loads the folder and writes a text.

    Args:
        plan: of the run.
        info: its ``data.json``.
        folder: what was saved.
        writer: of the model's kind.
        pipeline: the hub's name of the task.
        called: what the model is, for the title.
        what: what a row holds.
    """
    return model_card(
        plan,
        folder,
        auto_class=writer.auto_class,
        use=writer.use(info),
        pipeline=pipeline,
        called=called,
        about=f"on {trained_on(info, 'rows')} of {what}.",
        own='print(run.predict(["a text"]))',
    )
