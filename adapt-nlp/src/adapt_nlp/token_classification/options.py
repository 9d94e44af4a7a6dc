"""Options of token classification, and what of a whole configuration it refuses."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal

from pydantic import field_validator, model_validator

from adapt_core.options import Options, option
from adapt_nlp.data import streaming
from adapt_nlp.data.options import LabelNames, SplitDataOptions, check_label_names

if TYPE_CHECKING:
    from adapt_core.plan.run_plan import RunPlan

Subtask = Literal["ner", "pos", "chunk"]

SOFT_PROMPTS = ("prompt_tuning", "p_tuning")
"""Methods of PEFT 0.21 that put tokens before the input, and then give a tag to these too."""


class TokenClassificationOptions(Options):
    """What is tagged, and how sentences become the model's input."""

    subtask: Subtask = option(
        "ner",
        flat="subtask",
        help="What the tags are: ner (named entities) and chunk (chunks) are measured by whole entities, pos (parts "
        "of speech) by words.",
    )
    max_length: int | None = option(
        None,
        gt=0,
        help="Longest text in tokens, longer ones are read in windows; by default what the model takes, at most 512.",
    )
    overlap: int | None = option(
        None, ge=0, help="Tokens that two neighbouring windows of a long text share; by default a quarter of a window."
    )

    @model_validator(mode="after")
    def _window_moves_on(self) -> TokenClassificationOptions:
        if self.max_length is not None and self.overlap is not None and self.overlap >= self.max_length:
            raise ValueError(f"overlap ({self.overlap}) must be less than max_length ({self.max_length})")
        return self


class TokenClassificationData(SplitDataOptions):
    """The data of token classification: a list of words and a list of their tags in each row."""

    tokens_column: str | None = option(
        None, min_length=1, help="Column of the words; by default found by its usual names (tokens, words, form, …)."
    )
    tags_column: str | None = option(
        None,
        min_length=1,
        help="Column of the tags; by default ner_tags, pos_tags or chunk_tags by the subtask, or another usual name.",
    )
    label_names: LabelNames | None = option(
        None,
        path=True,
        help="Names of the tags: a list (tag 0 is its first name), a mapping from the tag in the data to its name, or "
        "a .json file of either or a .txt file of one name a line.",
    )

    @field_validator("label_names")
    @classmethod
    def _usable_names(cls, value: LabelNames | None) -> LabelNames | None:
        if value is not None and not isinstance(value, str):
            check_label_names(list(value.values()) if isinstance(value, dict) else value)
        return value

    @model_validator(mode="after")
    def _columns_differ(self) -> TokenClassificationData:
        if self.tokens_column is not None and self.tokens_column == self.tags_column:
            raise ValueError(f"tokens_column and tags_column must differ; both are {self.tokens_column!r}")
        return self


def check(plan: RunPlan) -> Iterator[tuple[tuple[str, ...], str]]:
    """What of a plan cannot work, by the key."""
    yield from streaming.check(plan)
    if plan.method.spec.name in SOFT_PROMPTS:
        yield (
            ("method", "name"),
            f"the method {plan.method.spec.name} puts tokens before the input, to which PEFT's models for token "
            "classification give tags as well; choose a method without, such as lora",
        )
