"""What summarization and translation share: from rows of a text and a target to texts that a model writes."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence, Sized
from dataclasses import replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any, ClassVar, cast

import numpy as np
import transformers
from torch.utils.data import Dataset
from transformers import PreTrainedTokenizerBase

from adapt_core.bundles import Data, Evaluated, Inspected, Model, Row, Section
from adapt_core.engines.trainer.inputs import TrainerInputs
from adapt_core.interfaces import Quantizer, Task
from adapt_core.models.pretrained import load_model, save_model
from adapt_core.models.tokens import require_known
from adapt_core.plan.run_plan import RunPlan
from adapt_nlp.classifiers import batch_size
from adapt_nlp.data.inputs import read_inputs
from adapt_nlp.data.options import TextDataOptions
from adapt_nlp.data.preprocessing import Preprocessing, tokenizer_key
from adapt_nlp.data.streaming import StreamedRows, tell
from adapt_nlp.data.table import Table
from adapt_nlp.generating import evaluating, seeded
from adapt_nlp.inspection import train_name
from adapt_nlp.seq2seq import report
from adapt_nlp.seq2seq.architecture import is_causal
from adapt_nlp.seq2seq.causal import Causal
from adapt_nlp.seq2seq.columns import PairColumns
from adapt_nlp.seq2seq.data import Pairs, load_pairs, load_split
from adapt_nlp.seq2seq.encoder_decoder import EncoderDecoder
from adapt_nlp.seq2seq.encoding import EncodedPairs, encode_pairs, encode_texts, streamed
from adapt_nlp.seq2seq.meter import GENERATED, ROW, GenerationMeter
from adapt_nlp.seq2seq.metrics import score, signatures
from adapt_nlp.seq2seq.options import Seq2SeqGeneration, Seq2SeqOptions
from adapt_nlp.seq2seq.writers import Writer
from adapt_nlp.tokenizer import load_tokenizer, require_known_tokens

PROBE_ROWS = 8
PROBE_TOKENS = 128


class Seq2Seq(Task):
    """Writes a text out of a text, with a model of an encoder and a decoder or with a causal one.

    Attributes:
        answer: what a prediction calls the text that was written.
    """

    answer: ClassVar[str]

    @property
    @abstractmethod
    def instruction(self) -> str:
        """What is to be done, in words, for models that are told so."""

    @cached_property
    def writer(self) -> Writer:
        """What the model's kind is given, and how it writes. Raises AdaptError for one that does not write."""
        kind = Causal if is_causal(self.plan.model) else EncoderDecoder
        return kind(self.plan.model, self.options)

    def __init__(self, plan: RunPlan) -> None:
        super().__init__(plan)
        self.options = cast(Seq2SeqOptions, plan.task.options)
        self.dataset = cast(TextDataOptions, plan.dataset)
        self.stream: StreamedRows[Pairs] | None = None

    @abstractmethod
    def find_columns(self, table: Table) -> PairColumns:
        """The columns of the text and the target."""

    # ---- data and model -------------------------------------------------------------------------------------------

    def load_data(self) -> Data:
        """The training and evaluation rows, encoded: what is wrong with them is known before the model is loaded.

        Raises:
            AdaptError: the data cannot be trained on, the model does not write texts or is too short for what is asked
                for, or its tokenizer does not know a language.
        """
        self.writer.require_room()
        rows = load_pairs(self.dataset, self.plan.seed, self.find_columns, evaluate=self.plan.training.do_eval)
        self.stream = rows.stream
        tell(self.plan, rows.info)
        tokenizer = load_tokenizer(self.plan.model)
        info = {
            **rows.info,
            **self.writer.frame(tokenizer, self.instruction),
            "signatures": signatures(self.options.eval_metric, self.options.target_lang or self.options.source_lang),
        }
        train = self._encoded(rows.train, tokenizer, info, "training rows")
        evaluation = rows.evaluation and self._encoded(rows.evaluation, tokenizer, info, "evaluation rows")
        limits = self.options.max_input_length, self.options.max_target_length
        cut = [text for each in (train, evaluation) if each for text in report.cut_notices(each, *limits)]
        info["notices"] = [*info["notices"], *cut]
        return Data(train, evaluation, info)

    def load_split(self, source: str | None, split: str | None, info: Mapping[str, Any]) -> Data:
        """Rows to evaluate a finished run on, with the columns that it was trained on."""
        rows, name = load_split(self.dataset, source, split, info, self.plan.seed, self.find_columns)
        return Data(None, rows, {**info, "evaluation": name})

    def load_processor(self, info: Mapping[str, Any], path: Path | None = None) -> Any:
        """The tokenizer, which marks texts and targets with their languages where it has tokens for them."""
        tokenizer = load_tokenizer(self.plan.model, path)
        self.writer.set_on(tokenizer, info)
        return tokenizer

    def load_model(
        self, info: Mapping[str, Any], path: Path | None = None, quantizer: Quantizer | None = None
    ) -> Model:
        """The model and its tokenizer; it generates from the token that its training begins with.

        Raises:
            AdaptError: the model cannot be loaded, or does not know what a target begins with.
        """
        model = load_model(
            getattr(transformers, self.writer.auto_class),
            self.plan.model,
            self.load_processor(info, path),
            path=path,
            train_head=self.plan.train_head,
            config={},
            quantizer=quantizer,
        )
        settings = model.module.generation_config
        settings.max_length, settings.max_new_tokens = None, self.options.generation_max_length
        self.writer.settle(model.module, model.processor, info)
        return replace(model, notices=(*model.notices, *info["notices"]))

    def save_model(self, model: Model, folder: Path) -> None:
        """As a model of transformers, with its tokenizer."""
        save_model(model, folder)

    def engine_inputs(self, data: Data, model: Model) -> TrainerInputs:
        """Encoded rows, padded batch by batch; padding counts in no loss. An evaluation generates."""
        train = self._checked(data.train, model, data.info, "training rows")
        evaluation = self._checked(data.evaluation, model, data.info, "evaluation rows")
        rows, lengths = self.writer.rows(train.encoded) if train and train.encoded else (None, None)
        measured = evaluation.encoded if evaluation else None
        encode_part = partial(
            streamed,
            self.writer.inputs(model.processor, data.info),
            self.writer.targets(model.processor),
            model.processor,
            model.module,
            self.options.max_input_length,
            self.options.max_target_length,
            around(data.info),
            self.writer.rows,
        )
        stream = self.stream and self.stream.encoded(encode_part)
        return TrainerInputs(
            train=stream or rows,
            evaluation=NumberedRows(self.writer.rows(measured)[0]) if measured else None,
            collate=self.writer.collator(model.processor),
            meter=partial(GenerationMeter, evaluation, self._score) if evaluation else None,
            lengths=lengths if stream is None else None,
            evaluation_step=partial(self._evaluated, model.processor, data.info, measured) if measured else None,
            items=None if self.writer.token_loss else self.writer.items,
            token_loss=self.writer.token_loss,
        )

    # ---- what a person sees ---------------------------------------------------------------------------------------

    def preview(self, data: Data) -> Sequence[Section]:
        """The first training rows, and how many tokens there are to learn."""
        return report.preview(data, self.answer)

    def sections(self, evaluated: Evaluated, data: Data) -> Sequence[Section]:
        """Generated texts beside their references, and how the metrics are computed."""
        return report.sections(evaluated, data.info["signatures"])

    def inspect(self, data: Data, processor: Any, examples: int) -> Sequence[Inspected]:
        """The lengths of texts, and the first of each split and their targets as tokens, with what is cut off."""
        encode, limit = self.writer.inputs(processor, data.info), self.options.max_input_length
        behind = len(processor(data.info["behind"], add_special_tokens=False)["input_ids"])
        return [
            report.inspected(name, pairs, processor, encode, limit, behind, examples)
            for name, pairs in ((train_name(data.info), data.train), (data.info["evaluation"], data.evaluation))
            if pairs is not None
        ]

    # ---- using the model ------------------------------------------------------------------------------------------

    def probe_rows(self, data: Data) -> Sequence[Row]:
        """The first evaluation rows with their targets, or training rows where there are none."""
        rows = data.evaluation if data.evaluation is not None else data.train
        return [rows[index] for index in range(min(PROBE_ROWS, len(rows)))]

    def outputs(self, model: Model, rows: Sequence[Row], info: Mapping[str, Any]) -> Sequence[np.ndarray]:
        """Log-probabilities, float32, of shape (tokens + 1,): of the target's first 128 tokens, and of the likeliest.

        A row without a target has its own text for one.
        """
        texts = self._inputs(model.processor, [row["text"] for row in rows], info)
        longest = min(PROBE_TOKENS, self.options.max_target_length)
        wanted = [row.get("target", row["text"]) for row in rows]
        targets, _ = encode_texts(self.writer.targets(model.processor), wanted, longest, "max_target_length")
        with evaluating(model.module):
            return [self.writer.target_scores(model.module, *row).numpy() for row in zip(texts, targets, strict=True)]

    def parse_inputs(self, inputs: Sequence[str], file: Path | None, info: Mapping[str, Any]) -> Sequence[Row]:
        """Rows with ``text``; ``columns`` holds all that a file's row holds."""
        return read_inputs(inputs, file, info["columns"], PairColumns.from_dict(info["columns"]).apart)

    def predict(
        self, model: Model, rows: Sequence[Row], info: Mapping[str, Any], options: Any
    ) -> Iterator[dict[str, Any]]:
        """Each row with the text that was written, or a list of them where several are asked for."""
        longest = self.options.generation_max_length
        asked = cast(Seq2SeqGeneration, options).asked_or(longest)
        self.writer.require_room(asked.max_new_tokens)
        settings = {"do_sample": False, **asked.arguments()}
        texts = [row["text"] for row in rows]
        ids = self._inputs(model.processor, texts, info)
        require_known(model.processor, model.module, ids, texts)
        size = batch_size(self.plan)
        seed = self.plan.seed if asked.seed is None else asked.seed
        for start in range(0, len(rows), size):
            with seeded(seed, start), evaluating(model.module):
                found = self.writer.write(model.module, model.processor, ids[start : start + size], settings, info)
            for row, own in zip(rows[start : start + size], found, strict=True):
                yield {**row, self.answer: own if asked.num_return_sequences else own[0]}

    # ---- helpers --------------------------------------------------------------------------------------------------

    def _inputs(self, tokenizer: PreTrainedTokenizerBase, texts: Sequence[str], info: Mapping[str, Any]) -> Any:
        encode, longest = self.writer.inputs(tokenizer, info), self.options.max_input_length
        return encode_texts(encode, texts, longest, "max_input_length", around(info))[0]

    def _score(self, texts: Sequence[str], references: Sequence[str]) -> dict[str, float]:
        return score(self.options.eval_metric, texts, references, self.options.target_lang or self.options.source_lang)

    def _encoded(self, pairs: Pairs, tokenizer: PreTrainedTokenizerBase, info: Mapping[str, Any], what: str) -> Pairs:
        encode = partial(
            encode_pairs,
            self.writer.inputs(tokenizer, info),
            self.writer.targets(tokenizer),
            Preprocessing(self.dataset),
            what,
            made_of=(self.writer.auto_class, tokenizer_key(tokenizer), info["before"], info["behind"]),
            around=around(info),
            longest_input=self.options.max_input_length,
            longest_target=self.options.max_target_length,
        )
        return pairs.with_encoded(encode)

    def _checked(self, pairs: Pairs | None, model: Model, info: Mapping[str, Any], what: str) -> Pairs | None:
        """Encoded rows of which the model has an embedding for every token."""
        if pairs is None:
            return None
        found = self._encoded(pairs, model.processor, info, what)
        assert found.encoded is not None
        require_known_tokens(model.processor, model.module, found.encoded.input_ids, found.texts)
        require_known_tokens(model.processor, model.module, found.encoded.labels, found.targets)
        return found

    def _evaluated(
        self,
        tokenizer: PreTrainedTokenizerBase,
        info: Mapping[str, Any],
        encoded: EncodedPairs,
        module: Any,
        batch: Mapping[str, Any],
    ) -> dict[str, Any]:
        """The loss of a batch, and what the model writes for it."""
        given = {name: value for name, value in batch.items() if name != ROW}
        ids = [encoded[row]["input_ids"] for row in batch[ROW].tolist()]
        settings = {"do_sample": False, "max_new_tokens": self.options.generation_max_length}
        found = self.writer.write(module, tokenizer, ids, settings, info)
        return {"loss": module(**given).loss, GENERATED: [own[0] for own in found]}


def around(info: Mapping[str, Any]) -> str:
    """What stands around each text, for messages."""
    if info["behind"]:
        return "the instruction"
    return f"the prefix {info['before']!r}" if info["before"] else ""


class NumberedRows(Dataset[dict[str, Any]]):
    """Encoded rows, each with its number."""

    def __init__(self, rows: Dataset[dict[str, Any]]) -> None:
        self.rows = rows

    def __len__(self) -> int:
        return len(cast(Sized, self.rows))

    def __getitem__(self, row: int) -> dict[str, Any]:
        return {**self.rows[row], ROW: row}
