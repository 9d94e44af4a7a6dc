"""What adapt-nlp offers."""

from __future__ import annotations

from collections.abc import Iterable

from adapt_core.engines.spec import TRAINER
from adapt_core.hookspecs import hookimpl
from adapt_core.kinds import Library, TaskSpec

TRANSFORMERS = (Library(name="transformers", engine=TRAINER),)


@hookimpl
def adapt_tasks() -> Iterable[TaskSpec]:
    """The language tasks."""
    yield TaskSpec(
        name="text_classification",
        summary="Puts a text, or a pair of texts, into one of several classes.",
        target="adapt_nlp.text_classification.task:TextClassification",
        options="adapt_nlp.text_classification.options:TextClassificationOptions",
        dataset="adapt_nlp.text_classification.options:TextClassificationData",
        libraries=TRANSFORMERS,
        check="adapt_nlp.data.streaming:check",
        aliases=("sequence_classification",),
        other_kinds=("causal",),
    )
    yield TaskSpec(
        name="token_classification",
        summary="Gives every word a tag: named entities, parts of speech, or chunks.",
        target="adapt_nlp.token_classification.task:TokenClassification",
        options="adapt_nlp.token_classification.options:TokenClassificationOptions",
        dataset="adapt_nlp.token_classification.options:TokenClassificationData",
        libraries=TRANSFORMERS,
        variant_of=("text_classification", "subtask"),
        check="adapt_nlp.token_classification.options:check",
    )
    yield TaskSpec(
        name="text_generation",
        summary="Goes on with a text, follows an instruction, or answers in a conversation.",
        target="adapt_nlp.text_generation.task:TextGeneration",
        options="adapt_nlp.text_generation.options:TextGenerationOptions",
        dataset="adapt_nlp.text_generation.options:TextGenerationData",
        prediction="adapt_nlp.generation_options:GenerationOptions",
        libraries=TRANSFORMERS,
        check="adapt_nlp.data.streaming:check",
        aliases=("causal_lm", "language_modeling"),
        model_kind="causal",
    )
    yield TaskSpec(
        name="question_answering",
        summary="Finds the answer to a question in a text, or that there is none.",
        target="adapt_nlp.question_answering.task:QuestionAnswering",
        options="adapt_nlp.question_answering.options:QuestionAnsweringOptions",
        dataset="adapt_nlp.question_answering.options:QuestionAnsweringData",
        prediction="adapt_nlp.question_answering.options:QuestionAnsweringPrediction",
        libraries=TRANSFORMERS,
        check="adapt_nlp.question_answering.options:check",
    )
    yield TaskSpec(
        name="summarization",
        summary="Writes a short text out of a long one.",
        target="adapt_nlp.summarization.task:Summarization",
        options="adapt_nlp.summarization.options:SummarizationOptions",
        dataset="adapt_nlp.summarization.options:SummarizationData",
        prediction="adapt_nlp.seq2seq.options:Seq2SeqGeneration",
        libraries=TRANSFORMERS,
        check="adapt_nlp.data.streaming:check",
        other_kinds=("causal",),
    )
    yield TaskSpec(
        name="translation",
        summary="Writes a text in another language.",
        target="adapt_nlp.translation.task:Translation",
        options="adapt_nlp.translation.options:TranslationOptions",
        dataset="adapt_nlp.translation.options:TranslationData",
        prediction="adapt_nlp.seq2seq.options:Seq2SeqGeneration",
        libraries=TRANSFORMERS,
        check="adapt_nlp.data.streaming:check",
        other_kinds=("causal",),
    )
