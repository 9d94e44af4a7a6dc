"""The README of a saved model that writes a text out of a text."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from adapt_core.plan.run_plan import RunPlan
from adapt_nlp.card import model_card, trained_on
from adapt_nlp.seq2seq.languages import Languages
from adapt_nlp.seq2seq.options import Seq2SeqOptions

USE = """\
{languages}text = "a text"
inputs = tokenizer({before}text, truncation=True, max_length={longest}, return_tensors="pt")
generated = model.generate(
    input_ids=inputs["input_ids"],
    attention_mask=inputs["attention_mask"],
    max_new_tokens={tokens},
    do_sample=False,
{start})[0]
{decode}
"""

OTHERS = "[token for token in generated if token != {}]"
DECODE = "print(tokenizer.decode({ids}, skip_special_tokens=True))"


def card(plan: RunPlan, info: Mapping[str, Any], folder: Path, *, pipeline: str, called: str, what: str) -> str:
    """Markdown with code that loads the folder and writes a text.

    Args:
        plan: of the run.
        info: its ``data.json``.
        folder: what was saved.
        pipeline: the hub's name of the task.
        called: what the model is, for the title.
        what: what a row holds.
    """
    languages, task = Languages.from_dict(info["languages"]), cast(Seq2SeqOptions, plan.task.options)
    start = {name: value for name, value in languages.start.items() if value is not None}
    use = USE.format(
        languages=f"tokenizer.src_lang = {languages.source!r}\n" if languages.source else "",
        before=f"{info['before']!r} + " if info["before"] else "",
        longest=task.max_input_length,
        tokens=task.generation_max_length,
        start="".join(f"    {name}={value},\n" for name, value in start.items()),
        decode=DECODE.format(ids="generated" if languages.token is None else OTHERS.format(languages.token)),
    )
    return model_card(
        plan,
        folder,
        auto_class="AutoModelForSeq2SeqLM",
        use=use,
        pipeline=pipeline,
        called=called,
        about=f"on {trained_on(info, 'rows')} of {what}.",
        own='print(run.predict(["a text"]))',
    )
