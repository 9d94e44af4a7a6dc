"""Options of question answering, and what of a whole configuration it refuses."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from pydantic import model_validator

from adapt_core.options import Options, option
from adapt_nlp.data import streaming
from adapt_nlp.data.options import SplitDataOptions, first_repeated

if TYPE_CHECKING:
    from adapt_core.plan.run_plan import RunPlan

WINDOW = 384
"""Tokens of a window where neither the configuration nor the model says less."""


class QuestionAnsweringOptions(Options):
    """How questions and contexts become the model's input, and how its outputs become answers."""

    max_length: int | None = option(
        None,
        flat="max_length",
        gt=0,
        help="Longest question with its context in tokens; longer contexts are read in windows. By default 384, or "
        "what the model takes where that is less.",
    )
    doc_stride: int = option(
        128,
        flat="doc_stride",
        ge=0,
        help="Tokens of a long context that two neighbouring windows share, as in the tokenizers' stride. An answer of "
        "up to one token more lies in some window whole.",
    )
    max_answer_length: int = option(
        30, flat="max_answer_length", gt=0, help="Longest answer that is given, in tokens. Longer ones are not found."
    )
    n_best: int = option(
        20, ge=1, help="How many answers of each window are considered; a prediction's scores add up to 1 over them."
    )
    unanswerable: bool | None = option(
        None,
        help="Whether a question may have no answer in its context, as in SQuAD 2.0; by default where a training row "
        "has none.",
    )
    null_threshold: float = option(
        0.0,
        help="Where questions may have no answer: none is given where its score is above the best answer's by more "
        "than this. Scores are sums of two logits.",
    )

    @model_validator(mode="after")
    def _window_moves_on(self) -> QuestionAnsweringOptions:
        if self.max_length is not None and self.doc_stride >= self.max_length:
            raise ValueError(f"doc_stride ({self.doc_stride}) must be less than max_length ({self.max_length})")
        return self


class QuestionAnsweringData(SplitDataOptions):
    """The data of question answering: SQuAD's nested JSON, or a question, a context and its answers in each row."""

    question_column: str | None = option(
        None, min_length=1, help="Column of the question; by default found by its usual names (question, query)."
    )
    context_column: str | None = option(
        None, min_length=1, help="Column of the context; by default found by its usual names (context, passage, …)."
    )
    answers_column: str | None = option(
        None,
        min_length=1,
        help="Column of the answers, each with its text and the character at which it starts (answer_start); by "
        "default answers or answer.",
    )
    id_column: str | None = option(
        None, min_length=1, help="Column of the question's id, which no other has; by default id, where it is there."
    )

    @model_validator(mode="after")
    def _columns_differ(self) -> QuestionAnsweringData:
        repeated = first_repeated((self.question_column, self.context_column, self.answers_column, self.id_column))
        if repeated is not None:
            raise ValueError(
                "question_column, context_column, answers_column and id_column must differ; "
                f"{repeated!r} is given twice"
            )
        return self


class QuestionAnsweringPrediction(Options):
    """What a prediction gives."""

    n_best: int = option(5, ge=1, help="How many answers to list, best first; task.n_best at most.")
    null_threshold: float | None = option(None, help="Instead of task.null_threshold.")


def check(plan: RunPlan) -> Iterator[tuple[tuple[str, ...], str]]:
    """What of a plan cannot work, by the key."""
    yield from streaming.check(plan)
    if hasattr(plan.method.options, "num_virtual_tokens"):
        yield (
            ("method", "name"),
            f"the method {plan.method.spec.name} puts learned tokens before the input, for which PEFT's class for "
            "question answering neither moves the answers' places nor hands on which tokens are the question; choose a "
            "method without, such as lora",
        )
