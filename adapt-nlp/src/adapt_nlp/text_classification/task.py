"""The task text classification."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, cast

import numpy as np
from torch.nn import functional
from transformers import AutoModelForSequenceClassification, DataCollatorWithPadding

from adapt_core.bundles import Data, Evaluated, Inspected, Model, Row, Section
from adapt_core.engines.trainer.inputs import TrainerInputs
from adapt_core.interfaces import Quantizer, Task
from adapt_core.models.pretrained import label_names, save_model
from adapt_core.models.tokens import require_known
from adapt_core.plan.run_plan import RunPlan
from adapt_core.utils.majority import why_not_learnt
from adapt_nlp.classifiers import batch_size, load_classifier, logits, softmax
from adapt_nlp.data.inputs import read_inputs
from adapt_nlp.data.preprocessing import Preprocessing
from adapt_nlp.data.streaming import StreamedRows, tell
from adapt_nlp.inspection import as_tokens, cut_marks, train_name, whole
from adapt_nlp.text_classification.card import card
from adapt_nlp.text_classification.data import LabelledTexts, load_classification_data, load_split
from adapt_nlp.text_classification.encoding import EncodedRows, encode, streamed
from adapt_nlp.text_classification.metrics import ClassificationMeter, confusion
from adapt_nlp.text_classification.options import TextClassificationData, TextClassificationOptions
from adapt_nlp.tokenizer import load_tokenizer, longest_by_config, require_known_tokens

PROBE_ROWS = 16
SHOWN_ROWS = 3
REPORTED_ROWS = 20


class TextClassification(Task):
    """One label for a text or a pair of texts, with any encoder or decoder of transformers that can classify."""

    def __init__(self, plan: RunPlan) -> None:
        super().__init__(plan)
        self.max_length = cast(TextClassificationOptions, plan.task.options).max_length
        self.dataset = cast(TextClassificationData, plan.dataset)
        self.stream: StreamedRows[LabelledTexts] | None = None

    # ---- data and model -------------------------------------------------------------------------------------------

    def load_data(self) -> Data:
        """The training and evaluation rows, with their labels as indices into ``info["label_names"]``."""
        rows = load_classification_data(
            self.dataset,
            self.plan.seed,
            evaluate=self.plan.training.do_eval,
            order=partial(label_names, self.plan.model),
        )
        self.stream = rows.stream
        tell(self.plan, rows.info)
        return Data(rows.train, rows.evaluation, rows.info)

    def load_split(self, source: str | None, split: str | None, info: Mapping[str, Any]) -> Data:
        """Rows to evaluate a finished run on, with the labels that it was trained on."""
        rows, name = load_split(self.dataset, source, split, info, self.plan.seed)
        return Data(None, rows, {**info, "evaluation": name})

    def load_model(
        self, info: Mapping[str, Any], path: Path | None = None, quantizer: Quantizer | None = None
    ) -> Model:
        """The classifier with one output a label, and its tokenizer, which carries the length that texts are cut to.

        Raises:
            AdaptError: the model cannot be loaded, or its head knows other labels and is not trained.
        """
        return load_classifier(
            AutoModelForSequenceClassification,
            self.plan,
            info["label_names"],
            self.max_length,
            path,
            quantizer,
            problem_type="single_label_classification",
        )

    def load_processor(self, info: Mapping[str, Any], path: Path | None = None) -> Any:
        """The tokenizer."""
        return load_tokenizer(self.plan.model, path)

    def save_model(self, model: Model, folder: Path) -> None:
        """As a model of transformers, with its tokenizer."""
        save_model(model, folder)

    def engine_inputs(self, data: Data, model: Model) -> TrainerInputs:
        """Encoded rows, padded batch by batch to the longest text in each."""
        train = self._encoded(data.train, model, "training rows") if self.stream is None else None
        stream = self.stream and self.stream.encoded(partial(streamed, model.processor, model.module))
        return TrainerInputs(
            train=stream or train,
            evaluation=self._encoded(data.evaluation, model, "evaluation rows"),
            collate=DataCollatorWithPadding(model.processor),
            meter=ClassificationMeter,
            head_loss=_head_loss,
            lengths=train.lengths if train is not None else None,
        )

    # ---- what a person sees ---------------------------------------------------------------------------------------

    def preview(self, data: Data) -> Sequence[Section]:
        """The first training rows and how many rows each label has."""
        names = data.info["label_names"]
        first = [data.train[index] for index in range(min(SHOWN_ROWS, len(data.train)))]
        rows = [[names[row["label"]], _joined(row)] for row in first]
        counts = sorted(data.info["labels"].items(), key=lambda pair: -pair[1])
        return [
            Section("First training rows", "table", ["label", "text"], rows),
            Section("Training rows by label", "table", ["label", "rows"], [list(pair) for pair in counts]),
        ]

    def inspect(self, data: Data, processor: Any, examples: int) -> Sequence[Inspected]:
        """The lengths of texts, their labels, and the first of each split as tokens, with what is cut off."""
        names = data.info["label_names"]
        limit = longest_by_config(self.max_length, processor, self.plan.model, "task.max_length")
        found = []
        for name, rows in ((train_name(data.info), data.train), (data.info["evaluation"], data.evaluation)):
            if rows is None:
                continue
            ids = whole(processor, rows.texts, rows.pairs)
            shown = [(ids[row], cut_marks(len(ids[row]), limit), names[rows.labels[row]]) for row in range(len(ids))]
            found.append(
                Inspected(
                    name,
                    list(zip(rows.texts, rows.pairs or [None] * len(rows), strict=True)),
                    [len(each) for each in ids],
                    limit,
                    labels=dict(Counter(names[label] for label in rows.labels)),
                    examples=as_tokens(name, processor, shown[:examples]),
                )
            )
        return found

    def sections(self, evaluated: Evaluated, data: Data) -> Sequence[Section]:
        """Sample predictions, mistakes first, and the confusion matrix."""
        names = data.info["label_names"]
        scores = evaluated.outputs
        chosen = scores.argmax(axis=-1)
        truth = np.asarray(data.evaluation.labels)
        order = np.argsort(chosen == truth, kind="stable")
        wrong = int((chosen != truth).sum())
        shown = [*order[:wrong][: REPORTED_ROWS // 2], *order[wrong:][: REPORTED_ROWS // 2]]
        rows = [
            [_joined(data.evaluation[index]), names[truth[index]], names[chosen[index]], f"{scores[index].max():.3f}"]
            for index in map(int, shown)
        ]
        return [
            Section("Sample predictions", "table", ["text", "label", "prediction", "score"], rows),
            confusion(truth, chosen, names),
        ]

    def notices(self, evaluated: Evaluated, data: Data) -> Sequence[str]:
        """That the model has learnt nothing of use, where it seems so."""
        names = data.info["label_names"]
        matrix = confusion(np.asarray(data.evaluation.labels), evaluated.outputs.argmax(axis=-1), names)
        reason = why_not_learnt(matrix.rows, names)
        return [reason] if reason else []

    # ---- using the model ------------------------------------------------------------------------------------------

    def probe_rows(self, data: Data) -> Sequence[Row]:
        """The first evaluation rows, or training rows where there are none."""
        rows = data.evaluation if data.evaluation is not None else data.train
        return [rows[index] for index in range(min(PROBE_ROWS, len(rows)))]

    def outputs(self, model: Model, rows: Sequence[Row], info: Mapping[str, Any]) -> Sequence[np.ndarray]:
        """Logits, float32, of shape (labels,) a row."""
        return [row for batch in self._logits(model, rows) for row in batch]

    def parse_inputs(self, inputs: Sequence[str], file: Path | None, info: Mapping[str, Any]) -> Sequence[Row]:
        """Rows with ``text`` and, for pairs, ``text_pair``; ``columns`` holds all that a file's row holds."""
        return read_inputs(inputs, file, info["columns"])

    def predict(
        self, model: Model, rows: Sequence[Row], info: Mapping[str, Any], options: Any
    ) -> Iterator[dict[str, Any]]:
        """Each row with ``label``, its ``score`` (a probability) and the ``scores`` of all labels."""
        names = info["label_names"]
        scores = (row for batch in self._logits(model, rows) for row in softmax(batch))
        for row, each in zip(rows, scores, strict=True):
            yield {
                **row,
                "label": names[int(each.argmax())],
                "score": float(each.max()),
                "scores": dict(zip(names, map(float, each), strict=True)),
            }

    def card(self, info: Mapping[str, Any], folder: Path) -> str:
        """The README of ``model/``."""
        return card(self.plan, info, folder)

    # ---- helpers --------------------------------------------------------------------------------------------------

    def _encoded(self, rows: LabelledTexts | None, model: Model, what: str) -> EncodedRows | None:
        if rows is None:
            return None
        encoded = encode(model.processor, rows, Preprocessing(self.dataset), what)
        require_known_tokens(model.processor, model.module, encoded.features["input_ids"], rows.texts)
        return encoded

    def _logits(self, model: Model, rows: Sequence[Row]) -> Iterator[np.ndarray]:
        """Logits batch by batch."""
        size = batch_size(self.plan)
        for start in range(0, len(rows), size):
            batch = rows[start : start + size]
            texts = [row["text"] for row in batch]
            pairs = [row["text_pair"] for row in batch] if "text_pair" in batch[0] else None
            encoded = model.processor(texts, pairs, truncation=True, padding=True, return_tensors="pt")
            require_known(model.processor, model.module, encoded["input_ids"].tolist(), texts)
            yield logits(model.module, encoded)


def _head_loss(scores: Any, batch: Mapping[str, Any]) -> Any:
    """The loss that transformers' classifiers compute of one label a row."""
    return functional.cross_entropy(scores, batch["labels"])


def _joined(row: Row) -> str:
    """A row's text, or both of a pair."""
    return f"{row['text']} ⏎ {row['text_pair']}" if "text_pair" in row else str(row["text"])
