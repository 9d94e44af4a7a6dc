"""The task token classification."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, cast

import numpy as np
from transformers import AutoModelForTokenClassification, DataCollatorForTokenClassification

from adapt_core.bundles import Data, Evaluated, Inspected, Model, Row, Section
from adapt_core.engines.trainer.inputs import TrainerInputs
from adapt_core.errors import AdaptError
from adapt_core.interfaces import Quantizer, Task
from adapt_core.models.pretrained import label_names, save_model
from adapt_core.plan.run_plan import RunPlan
from adapt_nlp.classifiers import batch_size, load_classifier, logits, softmax
from adapt_nlp.data.preprocessing import Preprocessing
from adapt_nlp.data.streaming import StreamedRows, tell
from adapt_nlp.inspection import as_tokens, token_lengths, train_name
from adapt_nlp.token_classification.card import card
from adapt_nlp.token_classification.data import TaggedSentences, load_split, load_tagged_data
from adapt_nlp.token_classification.encoding import IGNORED, EncodedSentences, encode, encode_rows, streamed
from adapt_nlp.token_classification.inputs import read_inputs, words_of
from adapt_nlp.token_classification.metrics import TagMeter, usual_tag
from adapt_nlp.token_classification.options import TokenClassificationData, TokenClassificationOptions
from adapt_nlp.token_classification.report import preview, sections, token_marks
from adapt_nlp.token_classification.tags import entities
from adapt_nlp.token_classification.words import joined
from adapt_nlp.tokenizer import load_tokenizer, longest_by_config, require_known_tokens

PROBE_ROWS = 16


class TokenClassification(Task):
    """A tag for every word, with any encoder or decoder of transformers that can classify tokens.

    A sentence is read as its words with spaces between them, in training as in prediction, and the tag of a word is
    that of its first token. Where a plain text is given, its words are found as :data:`WORD
    <adapt_nlp.token_classification.words.WORD>` says. A sentence that is longer than a model can take is read in
    windows that overlap, and each word where it has the most context.
    """

    def __init__(self, plan: RunPlan) -> None:
        super().__init__(plan)
        self.options = cast(TokenClassificationOptions, plan.task.options)
        self.dataset = cast(TokenClassificationData, plan.dataset)
        self.stream: StreamedRows[TaggedSentences] | None = None

    # ---- data and model -------------------------------------------------------------------------------------------

    def load_data(self) -> Data:
        """The training and evaluation sentences, with their words' tags as indices into ``info["label_names"]``."""
        rows = load_tagged_data(
            self.dataset,
            self.options.subtask,
            self.plan.seed,
            evaluate=self.plan.training.do_eval,
            order=partial(label_names, self.plan.model),
        )
        self.stream = rows.stream
        tell(self.plan, rows.info)
        return Data(rows.train, rows.evaluation, rows.info)

    def load_split(self, source: str | None, split: str | None, info: Mapping[str, Any]) -> Data:
        """Rows to evaluate a finished run on, with the tags that it was trained on."""
        rows, name = load_split(self.dataset, self.options.subtask, source, split, info, self.plan.seed)
        return Data(None, rows, {**info, "evaluation": name})

    def load_processor(self, info: Mapping[str, Any], path: Path | None = None) -> Any:
        """The tokenizer."""
        return load_tokenizer(self.plan.model, path)

    def load_model(
        self, info: Mapping[str, Any], path: Path | None = None, quantizer: Quantizer | None = None
    ) -> Model:
        """The model with one output a tag, and its tokenizer, which carries the size of a window.

        Raises:
            AdaptError: the model cannot be loaded, or its head knows other tags and is not trained.
        """
        model = load_classifier(
            AutoModelForTokenClassification, self.plan, info["label_names"], self.options.max_length, path, quantizer
        )
        return replace(model, notices=(*model.notices, *info["notices"]))

    def save_model(self, model: Model, folder: Path) -> None:
        """As a model of transformers, with its tokenizer."""
        save_model(model, folder)

    def engine_inputs(self, data: Data, model: Model) -> TrainerInputs:
        """Windows of encoded sentences, padded batch by batch; the loss is a mean over words."""
        train = self._encoded(data.train, model, "training rows") if self.stream is None else None
        encode_part = partial(streamed, model.processor, model.module, self.options.overlap)
        stream = self.stream and self.stream.encoded(encode_part)
        evaluation = self._encoded(data.evaluation, model, "evaluation rows")
        names = data.info["label_names"]
        usual = usual_tag(names, data.info["tags"])
        return TrainerInputs(
            train=stream or train,
            evaluation=evaluation,
            collate=DataCollatorForTokenClassification(model.processor, label_pad_token_id=IGNORED),
            meter=partial(TagMeter, evaluation, names, data.info["scheme"], usual) if evaluation is not None else None,
            lengths=train.lengths if train is not None else None,
            items=lambda batch: int((batch["labels"] != IGNORED).sum()),
        )

    # ---- what a person sees ---------------------------------------------------------------------------------------

    def preview(self, data: Data) -> Sequence[Section]:
        """The first training sentences with their tags, and how many words each tag has."""
        return preview(data)

    def inspect(self, data: Data, processor: Any, examples: int) -> Sequence[Inspected]:
        """The lengths of sentences, their tags, and the first of each split as tokens, each with its word's tag.

        Sentences beyond the limit are read in windows.
        """
        names = data.info["label_names"]
        limit = longest_by_config(self.options.max_length, processor, self.plan.model, "task.max_length")
        processor.model_max_length = limit
        found = []
        for name, rows in ((train_name(data.info), data.train), (data.info["evaluation"], data.evaluation)):
            if rows is None:
                continue
            encoded = encode(processor, rows.tokens[:examples], rows.tags[:examples], overlap=self.options.overlap)
            shown = [token_marks(encoded, window, names) for window in range(len(encoded))]
            found.append(
                Inspected(
                    name,
                    [(tuple(words), tuple(tags)) for words, tags in zip(rows.tokens, rows.tags, strict=True)],
                    token_lengths(processor, [joined(words)[0] for words in rows.tokens]),
                    limit,
                    labels=dict(Counter(names[tag] for tags in rows.tags for tag in tags)),
                    examples=as_tokens(name, processor, shown),
                )
            )
        return found

    def sections(self, evaluated: Evaluated, data: Data) -> Sequence[Section]:
        """Sentences with what was found in them, mistakes first; entities by type; the confusion matrix of tags."""
        return sections(evaluated.outputs, data)

    def card(self, info: Mapping[str, Any], folder: Path) -> str:
        """The README of ``model/``."""
        return card(self.plan, info, folder)

    # ---- using the model ------------------------------------------------------------------------------------------

    def probe_rows(self, data: Data) -> Sequence[Row]:
        """The first evaluation sentences, or training sentences where there are none."""
        rows = data.evaluation if data.evaluation is not None else data.train
        return [{"tokens": rows[index]["tokens"]} for index in range(min(PROBE_ROWS, len(rows)))]

    def outputs(self, model: Model, rows: Sequence[Row], info: Mapping[str, Any]) -> Sequence[np.ndarray]:
        """Logits, float32, of shape (words, tags) a row; without words of which the tokenizer makes no token."""
        return [
            np.stack([scores[word] for word in sorted(scores)])
            if scores
            else np.zeros((0, len(info["label_names"])), np.float32)
            for _, scores in self._scored(model, rows)
        ]

    def parse_inputs(self, inputs: Sequence[str], file: Path | None, info: Mapping[str, Any]) -> Sequence[Row]:
        """Rows with ``text`` or ``tokens``; ``columns`` holds all that a file's row holds."""
        return read_inputs(inputs, file, info["columns"])

    def predict(
        self, model: Model, rows: Sequence[Row], info: Mapping[str, Any], options: Any
    ) -> Iterator[dict[str, Any]]:
        """Each row with its ``text`` and ``tokens``, and what was found.

        For ``ner`` and ``chunk`` that is ``entities``: each one's ``type``, ``start`` and ``end`` in characters of
        ``text``, ``text``, and ``score``, the mean probability of its words' tags. For ``pos`` it is ``tags``, one a
        word, and ``scores``, their probabilities, None for a word of which the tokenizer makes no token.
        """
        names = info["label_names"]
        usual = usual_tag(names, info["tags"])
        for row, (words, scores) in zip(rows, self._scored(model, rows), strict=True):
            _, text, spans = words_of(row)
            of_word = {word: softmax(each) for word, each in scores.items()}
            tags = [names[int(of_word[n].argmax()) if n in of_word else usual] for n in range(len(words))]
            certain = [float(of_word[n].max()) if n in of_word else None for n in range(len(words))]
            found: dict[str, Any] = {"tags": tags, "scores": certain}
            if self.options.subtask != "pos":
                found = {
                    "entities": [
                        {
                            "type": kind,
                            "start": spans[first][0],
                            "end": spans[last][1],
                            "text": text[spans[first][0] : spans[last][1]],
                            "score": _mean(certain[first : last + 1]),
                        }
                        for kind, first, last in entities(tags, info["scheme"])
                    ]
                }
            yield {**row, "text": text, "tokens": words, **found}

    # ---- helpers --------------------------------------------------------------------------------------------------

    def _encoded(self, rows: TaggedSentences | None, model: Model, what: str) -> EncodedSentences | None:
        if rows is None:
            return None
        preprocessing = Preprocessing(self.dataset)
        encoded = encode_rows(model.processor, rows, preprocessing, what, overlap=self.options.overlap)
        self._require_known(model, encoded, rows.tokens)
        if not len(encoded):
            raise AdaptError(
                f"{type(model.processor).__name__} makes no token of any word: there is nothing to tag",
                "Is it the right tokenizer for these sentences?",
            )
        return encoded

    def _require_known(self, model: Model, encoded: EncodedSentences, words: Sequence[Sequence[str]]) -> None:
        ids = encoded.features["input_ids"]
        require_known_tokens(model.processor, model.module, ids, encoded.texts(words))

    def _scored(self, model: Model, rows: Sequence[Row]) -> Iterator[tuple[list[str], dict[int, np.ndarray]]]:
        """The words of each row, and their logits by their numbers, of shape (tags,) each."""
        size = batch_size(self.plan)
        collate = DataCollatorForTokenClassification(model.processor)
        for start in range(0, len(rows), size):
            words = [words_of(row)[0] for row in rows[start : start + size]]
            encoded = encode(model.processor, words, overlap=self.options.overlap)
            self._require_known(model, encoded, words)
            scores: list[dict[int, np.ndarray]] = [{} for _ in words]
            for begin in range(0, len(encoded), size):
                windows = range(begin, min(begin + size, len(encoded)))
                values = logits(model.module, collate([encoded[window] for window in windows]))
                for line, window in zip(values, windows, strict=True):
                    before = len(line) - encoded.lengths[window] if model.processor.padding_side == "left" else 0
                    for token, row, word in encoded.places[window]:
                        scores[row][word] = line[before + token]
            yield from zip(words, scores, strict=True)


def _mean(values: Sequence[float | None]) -> float | None:
    """Of those that are there; None without any."""
    there = [value for value in values if value is not None]
    return sum(there) / len(there) if there else None
