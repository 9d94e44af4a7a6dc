"""The README of a saved model that answers questions."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from adapt_core.plan.run_plan import RunPlan
from adapt_nlp.card import model_card, trained_on
from adapt_nlp.question_answering.options import QuestionAnsweringOptions

USE = """\

question = "Where was Ada Lovelace born?"
context = "Ada Lovelace was born in London."
encoded = tokenizer(
    question.strip(),
    context,
    truncation="only_second",
    max_length=tokenizer.model_max_length,
    stride={stride},
    return_overflowing_tokens=True,  # a long context is read in windows
    return_offsets_mapping=True,
    padding=True,
    return_tensors="pt",
)
windows = encoded.pop("offset_mapping").tolist()
encoded.pop("overflow_to_sample_mapping")
found = model(**encoded)
best, answer, nothing = float("-inf"), "", float("inf")
for window, offsets in enumerate(windows):
    starts, ends = found.start_logits[window].tolist(), found.end_logits[window].tolist()
    parts = encoded.sequence_ids(window)
    places = [place for place, (start, end) in enumerate(offsets) if parts[place] == 1 and start < end]
    for first in places:
        for last in places:
            score = starts[first] + ends[last]
            text = context[offsets[first][0] : offsets[last][1]].strip()
            if first <= last < first + {longest} and score > best and text:
                best, answer = score, text
    ids = encoded["input_ids"][window].tolist()
    first = encoded["attention_mask"][window].tolist().index(1)
    none = ids.index(tokenizer.cls_token_id) if tokenizer.cls_token_id in ids else first
    nothing = min(nothing, starts[none] + ends[none])
"""

ALWAYS = """\
print(answer)
"""

OR_NONE = """\
print(answer if nothing - best <= {threshold} else "no answer")
"""


def card(plan: RunPlan, info: Mapping[str, Any], folder: Path) -> str:
    """Markdown with code that loads the folder and answers a question."""
    options = plan.task.options
    assert isinstance(options, QuestionAnsweringOptions)
    use = (USE + (OR_NONE if info["unanswerable"] else ALWAYS)).format(
        stride=options.doc_stride, longest=options.max_answer_length, threshold=options.null_threshold
    )
    without = info["answers"]["without"]
    return model_card(
        plan,
        folder,
        auto_class="AutoModelForQuestionAnswering",
        use=use,
        pipeline="question-answering",
        called="A model that answers questions from a text",
        about=f"on {trained_on(info, 'questions')}" + (f", {without:,} of them without an answer." if without else "."),
        own='print(run.predict([{"question": "…", "context": "…"}]))',
        arguments=("num_labels=2",),
        config={"num_labels": 2},
    )
