"""The task question answering."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, cast

import numpy as np
from torch.utils.data import Subset
from transformers import AutoConfig, AutoModelForQuestionAnswering, PreTrainedTokenizerBase

from adapt_core.bundles import Data, Evaluated, Inspected, Model, Row, Section
from adapt_core.engines.trainer.inputs import TrainerInputs
from adapt_core.errors import AdaptError, UsageError
from adapt_core.interfaces import Quantizer, Task
from adapt_core.models.pretrained import load_model, model_source, outline, save_model, unloadable
from adapt_core.plan.run_plan import RunPlan
from adapt_nlp.classifiers import batch_size, outputs_of
from adapt_nlp.data.preprocessing import Preprocessing
from adapt_nlp.data.streaming import StreamedRows, tell
from adapt_nlp.data.views import pick
from adapt_nlp.inspection import train_name
from adapt_nlp.question_answering.answers import Answers, probabilities, put_together, window_candidates
from adapt_nlp.question_answering.card import card
from adapt_nlp.question_answering.data import load_question_data, load_split
from adapt_nlp.question_answering.encoding import (
    Collation,
    EncodedQuestions,
    Numbered,
    encode,
    encode_rows,
    streamed,
    too_long,
)
from adapt_nlp.question_answering.inputs import read_inputs
from adapt_nlp.question_answering.loss import step
from adapt_nlp.question_answering.metrics import AnswerMeter
from adapt_nlp.question_answering.options import (
    WINDOW,
    QuestionAnsweringData,
    QuestionAnsweringOptions,
    QuestionAnsweringPrediction,
)
from adapt_nlp.question_answering.questions import Questions
from adapt_nlp.question_answering.report import answer_notices, inspected, preview, sections
from adapt_nlp.tokenizer import load_tokenizer, longest, pad_behind, require_known_tokens

PROBE_ROWS = 8
LABELS = {0: "LABEL_0", 1: "LABEL_1"}
"""What transformers calls the two outputs of a token."""


class QuestionAnswering(Task):
    """The span of a context that answers a question, with any model of transformers for question answering.

    Question and context are read together, and a context that is longer than a window in several that overlap. The
    answer is the span with the highest sum of its first token's logit as a start and its last token's as an end, of all
    windows. Where a question may have no answer, the place of ``[CLS]`` stands for none.
    """

    def __init__(self, plan: RunPlan) -> None:
        super().__init__(plan)
        self.options = cast(QuestionAnsweringOptions, plan.task.options)
        self.dataset = cast(QuestionAnsweringData, plan.dataset)
        self.stream: StreamedRows[Questions] | None = None
        self._known: list[tuple[Questions, int, EncodedQuestions]] = []

    # ---- data and model -------------------------------------------------------------------------------------------

    def load_data(self) -> Data:
        """The training and evaluation questions, checked against the window that the model will read.

        ``info["windows"]`` is how many windows there are of both, and ``info["notices"]`` says what of the answers
        cannot be learnt or found.
        """
        tokenizer = self._tokenizer()
        rows = load_question_data(
            self.dataset,
            self.options.unanswerable,
            self.plan.seed,
            evaluate=self.plan.training.do_eval,
            too_long=partial(too_long, tokenizer, size=tokenizer.model_max_length, overlap=self.options.doc_stride),
        )
        self.stream = rows.stream
        tell(self.plan, rows.info)
        encoded = {"training": self._encoded(rows.train, tokenizer, "training rows")}
        if rows.evaluation is not None:
            encoded["evaluation"] = self._encoded(rows.evaluation, tokenizer, "evaluation rows")
        notices = [notice for name, each in encoded.items() for notice in answer_notices(name, each, self.options)]
        windows = {name: len(each) for name, each in encoded.items()}
        return Data(rows.train, rows.evaluation, {**rows.info, "windows": windows, "notices": notices})

    def load_split(self, source: str | None, split: str | None, info: Mapping[str, Any]) -> Data:
        """Rows to evaluate a finished run on."""
        # Questions that are too long are told when they are encoded: the base's tokenizer may no longer be there.
        rows, name = load_split(self.dataset, source, split, info, self.plan.seed, lambda questions: [])
        return Data(None, rows, {**info, "evaluation": name})

    def load_processor(self, info: Mapping[str, Any], path: Path | None = None) -> Any:
        """The tokenizer."""
        return load_tokenizer(self.plan.model, path)

    def load_model(
        self, info: Mapping[str, Any], path: Path | None = None, quantizer: Quantizer | None = None
    ) -> Model:
        """The model with two outputs a token, and its tokenizer, which carries the size of a window.

        Raises:
            AdaptError: the model cannot be loaded, or has fewer positions than a window is to have.
        """
        model = load_model(
            AutoModelForQuestionAnswering,
            self.plan.model,
            load_tokenizer(self.plan.model, path),
            path=path,
            train_head=self.plan.train_head,
            config={"num_labels": 2, "id2label": LABELS, "label2id": {name: place for place, name in LABELS.items()}},
            quantizer=quantizer,
        )
        model.processor.model_max_length = self._window(model.processor, model.module)
        pad_behind(model.processor, model.module)
        return replace(model, notices=(*model.notices, *info["notices"]))

    def save_model(self, model: Model, folder: Path) -> None:
        """As a model of transformers, with its tokenizer."""
        save_model(model, folder)

    def engine_inputs(self, data: Data, model: Model) -> TrainerInputs:
        """Windows of encoded questions, padded batch by batch; the loss is a mean over windows.

        Questions whose answer lies in no window whole are not trained on: as windows without an answer, they would
        teach that there is none.
        """
        train = self._checked(data.train, model, "training rows")
        evaluation = self._checked(data.evaluation, model, "evaluation rows")
        unread = set(train.unread) if train is not None else set()
        learnt = [window for window, row in enumerate(train.rows) if row not in unread] if train is not None else []
        if train is not None and not learnt:
            raise AdaptError(
                "No answer of the training rows lies in a window whole.",
                "Give a larger task.max_length and task.doc_stride.",
            )
        left = model.processor.padding_side == "left"
        encode_part = partial(streamed, model.processor, model.module, self.options.doc_stride)
        stream = self.stream and self.stream.encoded(encode_part)
        return TrainerInputs(
            train=stream or (Subset(train, learnt) if train is not None else None),
            evaluation=Numbered(evaluation) if evaluation is not None else None,
            collate=Collation(model.processor),
            meter=partial(AnswerMeter, evaluation, data.evaluation, self.options, data.info["unanswerable"], left)
            if evaluation is not None
            else None,
            lengths=pick(train.lengths, learnt) if train is not None and stream is None else None,
            step=step,
        )

    # ---- what a person sees ---------------------------------------------------------------------------------------

    def preview(self, data: Data) -> Sequence[Section]:
        """The first training questions with their answers in their contexts, and how many have one."""
        return preview(data)

    def inspect(self, data: Data, processor: Any, examples: int) -> Sequence[Inspected]:
        """The lengths of questions with their contexts, whose answers lie in a window, and the first windows as tokens.

        The answer's tokens are marked, and ``[CLS]`` where a window holds none.
        """
        tokenizer = self._tokenizer()
        both = ((train_name(data.info), data.train), (data.info["evaluation"], data.evaluation))
        return [
            inspected(name, rows, self._encoded(rows, tokenizer, "rows"), tokenizer, examples)
            for name, rows in both
            if rows is not None
        ]

    def sections(self, evaluated: Evaluated, data: Data) -> Sequence[Section]:
        """Questions and contexts with the predicted answer marked beside that of the data, mistakes first."""
        return sections(evaluated.outputs, data)

    def notices(self, evaluated: Evaluated, data: Data) -> Sequence[str]:
        """That the model never gives an answer, or none that shares a word with the data's."""
        rows = len(evaluated.outputs)
        if rows and all(place is None for place in evaluated.outputs) and any(data.evaluation.answers):
            return [f"The model gives no answer to any of the {rows:,} evaluation questions."]
        if evaluated.metrics["f1"] == 0:
            return [f"No answer to the {rows:,} evaluation questions shares a word with one of the data's."]
        return []

    def card(self, info: Mapping[str, Any], folder: Path) -> str:
        """The README of ``model/``."""
        return card(self.plan, info, folder)

    # ---- using the model ------------------------------------------------------------------------------------------

    def probe_rows(self, data: Data) -> Sequence[Row]:
        """The first evaluation questions, or training questions where there are none."""
        rows = data.evaluation if data.evaluation is not None else data.train
        pairs = zip(rows.questions[:PROBE_ROWS], rows.contexts[:PROBE_ROWS], strict=True)
        return [{"question": question, "context": context} for question, context in pairs]

    def outputs(self, model: Model, rows: Sequence[Row], info: Mapping[str, Any]) -> Sequence[np.ndarray]:
        """Start and end logits, float32, of shape (tokens of all windows, 2) a row."""
        found: list[list[np.ndarray]] = [[] for _ in rows]
        for start, encoded, windows, outputs, left in self._batches(model, rows):
            both = np.stack([outputs[name].float().cpu().numpy() for name in ("start_logits", "end_logits")], axis=-1)
            for line, window in zip(both, windows, strict=True):
                length = encoded.lengths[window]
                found[start + encoded.rows[window]].append(line[-length:] if left else line[:length])
        return [np.concatenate(each) for each in found]

    def parse_inputs(self, inputs: Sequence[str], file: Path | None, info: Mapping[str, Any]) -> Sequence[Row]:
        """Rows with ``question`` and ``context``; ``columns`` holds what else a file's row holds."""
        return read_inputs(inputs, file, info["columns"])

    def predict(
        self, model: Model, rows: Sequence[Row], info: Mapping[str, Any], options: Any
    ) -> Iterator[dict[str, Any]]:
        """Each row with its ``answer``, where it stands, its ``score``, and the ``n_best`` answers.

        ``start`` and ``end`` are characters of the context, None where there is no answer, which is empty then. Scores
        are probabilities over the best ``task.n_best`` answers and, where a question may have none, that of no answer,
        which is ``no_answer_score``.
        """
        asked = cast(QuestionAnsweringPrediction, options)
        threshold = self.options.null_threshold if asked.null_threshold is None else asked.null_threshold
        unanswerable = info["unanswerable"]
        if asked.null_threshold is not None and not unanswerable:
            raise UsageError(
                "null_threshold: every question of this run's data has an answer, so the model always gives one.",
                "Leave the option out, or train on data with questions that have none (SQuAD 2.0).",
            )
        for row, answers in zip(rows, self._answered(model, rows), strict=True):
            scores, none = probabilities(answers, unanswerable=unanswerable)
            best = [
                {"answer": row["context"][each.start : each.end], "start": each.start, "end": each.end, "score": score}
                for each, score in zip(answers.best, scores, strict=True)
            ]
            chosen = answers.chosen(threshold if unanswerable else None)
            empty = {"answer": "", "start": None, "end": None, "score": none}
            more = {"no_answer_score": none} if unanswerable else {}
            yield {**row, **(best[0] if chosen else empty), **more, "n_best": best[: asked.n_best]}

    # ---- helpers --------------------------------------------------------------------------------------------------

    def _window(self, tokenizer: PreTrainedTokenizerBase, module: Any) -> int:
        """Tokens of a window."""
        size = longest(self.options.max_length, tokenizer, module)
        return size if self.options.max_length is not None else min(size, WINDOW)

    def _tokenizer(self) -> PreTrainedTokenizerBase:
        """The base's tokenizer, which carries the size of a window; the model's weights are not read for that."""
        tokenizer = load_tokenizer(self.plan.model)
        source = model_source(self.plan.model)
        try:
            settings = AutoConfig.from_pretrained(source)
            empty = outline(AutoModelForQuestionAnswering, settings)
        except (OSError, ValueError) as error:
            raise unloadable("model", self.plan.model, source, error) from error
        tokenizer.model_max_length = self._window(tokenizer, empty)
        return tokenizer

    def _encoded(self, rows: Questions, tokenizer: PreTrainedTokenizerBase, what: str) -> EncodedQuestions:
        """The windows of rows, made once."""
        size = tokenizer.model_max_length
        for known, its, encoded in self._known:
            if known is rows and its == size:
                return encoded
        preprocessing = Preprocessing(self.dataset)
        encoded = encode_rows(tokenizer, rows, preprocessing, what, overlap=self.options.doc_stride)
        self._known.append((rows, size, encoded))
        return encoded

    def _checked(self, rows: Questions | None, model: Model, what: str) -> EncodedQuestions | None:
        if rows is None:
            return None
        encoded = self._encoded(rows, model.processor, what)
        self._require_known(model, encoded, rows.contexts)
        return encoded

    def _require_known(self, model: Model, encoded: EncodedQuestions, contexts: Sequence[str]) -> None:
        texts = (contexts[row] for row in encoded.rows)
        require_known_tokens(model.processor, model.module, encoded.features["input_ids"], texts)

    def _batches(
        self, model: Model, rows: Sequence[Row]
    ) -> Iterator[tuple[int, EncodedQuestions, range, Mapping[str, Any], bool]]:
        """What the model gives for rows: the first row of some, their windows, and of some of these the outputs."""
        size = batch_size(self.plan)
        collate = Collation(model.processor)
        for start in range(0, len(rows), size):
            some = rows[start : start + size]
            contexts = [row["context"] for row in some]
            encoded = encode(
                model.processor, [row["question"] for row in some], contexts, overlap=self.options.doc_stride
            )
            self._require_known(model, encoded, contexts)
            for begin in range(0, len(encoded), size):
                windows = range(begin, min(begin + size, len(encoded)))
                outputs = outputs_of(model.module, collate([encoded[window] for window in windows]))
                yield start, encoded, windows, outputs, collate.left

    def _answered(self, model: Model, rows: Sequence[Row]) -> Iterator[Answers]:
        """The answers of each row, as soon as its batch is through."""
        longest_answer, count = self.options.max_answer_length, self.options.n_best
        size = batch_size(self.plan)
        for begin in range(0, len(rows), size):
            some = rows[begin : begin + size]
            found = []
            for _, encoded, windows, outputs, left in self._batches(model, some):
                best = window_candidates(encoded, outputs, windows, left, longest_answer, count)
                found += list(zip(windows, best, strict=True))
            yield from put_together(encoded, found, [row["context"] for row in some], count)
