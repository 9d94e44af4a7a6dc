"""The task text generation."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from transformers import AutoModelForCausalLM, PreTrainedTokenizerBase

from adapt_core.bundles import Data, Evaluated, Inspected, Model, Row, Section
from adapt_core.engines.trainer.inputs import TrainerInputs
from adapt_core.errors import AdaptError
from adapt_core.interfaces import Quantizer, Task
from adapt_core.models.positions import usable_positions
from adapt_core.models.pretrained import load_model, save_model
from adapt_core.models.tokens import require_known
from adapt_core.plan.run_plan import RunPlan
from adapt_nlp.classifiers import batch_size
from adapt_nlp.data.preprocessing import Preprocessing
from adapt_nlp.data.streaming import StreamedRows, tell
from adapt_nlp.generating import generate, seeded, settle_generation
from adapt_nlp.generation_options import GenerationOptions
from adapt_nlp.inspection import train_name
from adapt_nlp.text_generation import report
from adapt_nlp.text_generation.attention import require_flash_attention, use_flash_attention, without_flash_attention
from adapt_nlp.text_generation.card import card
from adapt_nlp.text_generation.chat import read_template, require_template
from adapt_nlp.text_generation.data import Texts, load_generation_data, load_split
from adapt_nlp.text_generation.encoding import EncodedTexts, encode_rows, streamed
from adapt_nlp.text_generation.inputs import read_inputs
from adapt_nlp.text_generation.meter import FirstPerplexity, PerplexityMeter
from adapt_nlp.text_generation.options import TextGenerationData, TextGenerationOptions
from adapt_nlp.text_generation.packing import Collation, Layout, packed, taken_arguments, why_not_in_one_row
from adapt_nlp.text_generation.prompts import encoded_prompts, prompt_of, require_room, shown
from adapt_nlp.text_generation.samples import SampledEvaluation
from adapt_nlp.tokenizer import load_tokenizer, longest_by_config, require_known_tokens

PROBE_ROWS = 8
PROBE_TOKENS = 128


class TextGeneration(Task):
    """Language models that read from left to right, with any causal model of transformers.

    The rows of an evaluation are never packed, so that its loss does not depend on how the training rows were made.
    """

    def __init__(self, plan: RunPlan) -> None:
        super().__init__(plan)
        self.options = cast(TextGenerationOptions, plan.task.options)
        self.dataset = cast(TextGenerationData, plan.dataset)
        self.before = FirstPerplexity()
        self.stream: StreamedRows[Texts] | None = None
        self._evaluated: Texts | None = None

    # ---- data and model -------------------------------------------------------------------------------------------

    def load_data(self) -> Data:
        """The training and evaluation texts, encoded: what is wrong with them is known before the model is loaded.

        Raises:
            AdaptError: the data cannot be trained on, or the machine or the tokenizer cannot do what is asked for.
        """
        if self.options.flash_attention2 and self.plan.training.do_train:
            require_flash_attention(self.plan)
        rows = load_generation_data(self.dataset, self.plan.seed, evaluate=self.plan.training.do_eval)
        self.stream = rows.stream
        tell(self.plan, rows.info)
        kind = rows.info["columns"]["format"]
        self._require_use(kind)
        template = read_template(self.dataset.chat_template) if self.dataset.chat_template else None
        info = {**rows.info, "chat_template": template}
        tokenizer = self.load_processor(info)
        if kind == "chat":
            require_template(tokenizer, self.plan.model.source)
        info["max_seq_length"] = longest_by_config(
            self.options.max_seq_length, tokenizer, self.plan.model, "task.max_seq_length (max_seq_length)"
        )
        train = self._encoded(rows.train, tokenizer, info, "training rows")
        evaluation = rows.evaluation and self._encoded(rows.evaluation, tokenizer, info, "evaluation rows")
        info["notices"] = [
            text for each in (train, evaluation) if each for text in report.notices(each, info["max_seq_length"])
        ]
        if tokenizer.eos_token_id is None:
            info["notices"].append(
                f"The tokenizer of {self.plan.model.source} has no end token: the model does not learn where to stop, "
                "and what it generates is as long as max_new_tokens allows."
            )
        return Data(train, evaluation, info)

    def load_split(self, source: str | None, split: str | None, info: Mapping[str, Any]) -> Data:
        """Rows to evaluate a finished run on, of the format that it was trained on."""
        rows, name = load_split(self.dataset, source, split, info, self.plan.seed)
        return Data(None, rows, {**info, "evaluation": name})

    def load_processor(self, info: Mapping[str, Any], path: Path | None = None) -> Any:
        """The tokenizer, with the chat template that the configuration names."""
        tokenizer = load_tokenizer(self.plan.model, path)
        if info["chat_template"] is not None:
            tokenizer.chat_template = info["chat_template"]
        return tokenizer

    def load_model(
        self, info: Mapping[str, Any], path: Path | None = None, quantizer: Quantizer | None = None
    ) -> Model:
        """The causal language model and its tokenizer.

        Raises:
            AdaptError: the model cannot be loaded.
        """
        model = load_model(
            AutoModelForCausalLM,
            self.plan.model,
            self.load_processor(info, path),
            path=path,
            train_head=self.plan.train_head,
            config={},
            quantizer=quantizer,
        )
        settle_generation(model.module, model.processor)
        return replace(model, notices=(*model.notices, *info["notices"]))

    def save_model(self, model: Model, folder: Path) -> None:
        """As a model of transformers, with its tokenizer."""
        save_model(model, folder)

    def engine_inputs(self, data: Data, model: Model) -> TrainerInputs:
        """Rows of tokens, packed or not, in batches that are padded or laid end to end.

        Raises:
            AdaptError: texts are to be laid end to end, and the model does not keep them apart.
        """
        texts = self._given(data.train, model, data.info, "training rows")
        evaluation = self._given(data.evaluation, model, data.info, "evaluation rows")
        train = texts.encoded if texts is not None else None
        if train is not None and self.options.flash_attention2:
            use_flash_attention(model.module)
        layout = self._layout() if train is not None else "padded"
        if layout != "padded":
            self._require_kept_apart(model)
        self._evaluated = evaluation
        for each in (texts, evaluation):
            self._require_known(model, each)
        limit = data.info["max_seq_length"]
        pack = layout != "padded" and self.options.packing
        sampling = (
            SampledEvaluation(evaluation, model.processor, self.options.samples, self.options.sample_tokens)
            if evaluation is not None
            else None
        )
        return TrainerInputs(
            train=self._rows(train, model, limit, pack),
            evaluation=sampling.rows if sampling else None,
            collate=Collation(model.processor.pad_token_id, layout=layout, takes=taken_arguments(model.module)),
            meter=PerplexityMeter,
            lengths=train.lengths if train is not None and not pack and self.stream is None else None,
            evaluation_step=sampling.step if sampling else None,
            token_loss=True,
            settings={"eval_on_start": True} if train is not None and evaluation else {},
            callbacks=(self.before,),
        )

    # ---- what a person sees ---------------------------------------------------------------------------------------

    def preview(self, data: Data) -> Sequence[Section]:
        """The first training rows, and how many tokens there are to learn."""
        return report.preview(data)

    def sections(self, evaluated: Evaluated, data: Data) -> Sequence[Section]:
        """Perplexity before and after training, and generated texts beside their references."""
        return report.sections(evaluated, self.before.value)

    def notices(self, evaluated: Evaluated, data: Data) -> Sequence[str]:
        """Which rows of other data were cut or left out; a run says it of its own before it starts."""
        if data.train is not None or self._evaluated is None:
            return ()
        return list(report.notices(self._evaluated, data.info["max_seq_length"]))

    def card(self, info: Mapping[str, Any], folder: Path) -> str:
        """The README of ``model/``."""
        return card(self.plan, info, folder)

    def inspect(self, data: Data, processor: Any, examples: int) -> Sequence[Inspected]:
        """Texts of every split, their lengths, and examples in which what is learnt is marked."""
        splits = ((train_name(data.info), data.train), (data.info["evaluation"], data.evaluation))
        limit = data.info["max_seq_length"]
        return [
            report.inspected(name, texts, processor, limit, examples) for name, texts in splits if texts is not None
        ]

    # ---- using the model ------------------------------------------------------------------------------------------

    def probe_rows(self, data: Data) -> Sequence[Row]:
        """What the first evaluation rows go on from, or training rows where there are none."""
        rows = data.evaluation if data.evaluation is not None else data.train
        return [prompt_of(rows[index])[0] for index in range(min(PROBE_ROWS, len(rows)))]

    def outputs(self, model: Model, rows: Sequence[Row], info: Mapping[str, Any]) -> Sequence[np.ndarray]:
        """Log-probabilities, float32, of shape (tokens,): of each next token of a row, and last of the likeliest.

        Of its first 128 tokens; all words' would be large.
        """
        module, found = model.module, []
        most = min(PROBE_TOKENS, usable_positions(module) or PROBE_TOKENS)
        device = next(module.parameters()).device
        training = module.training
        module.eval()
        try:
            for ids in encoded_prompts(model.processor, rows):
                tokens = torch.tensor([ids[:most]], device=device)
                with torch.inference_mode(), without_flash_attention(module):
                    logits = module(input_ids=tokens, attention_mask=torch.ones_like(tokens)).logits
                    of_words = logits[0].float().log_softmax(-1)
                    of_next = of_words[:-1].gather(-1, tokens[0, 1:, None])[:, 0]
                found.append(torch.cat([of_next, of_words[-1:].max(-1).values]).cpu().numpy())
        finally:
            module.train(training)
        return found

    def parse_inputs(self, inputs: Sequence[str], file: Path | None, info: Mapping[str, Any]) -> Sequence[Row]:
        """Rows with ``prompt`` or ``messages``; ``columns`` holds all that a file's row holds."""
        return read_inputs(inputs, file, info["columns"])

    def predict(
        self, model: Model, rows: Sequence[Row], info: Mapping[str, Any], options: Any
    ) -> Iterator[dict[str, Any]]:
        """Each row with ``generated``, a text, or a list of texts where several are asked for."""
        asked = cast(GenerationOptions, options)
        prompts = encoded_prompts(model.processor, rows)
        require_room(model.module, prompts, asked.max_new_tokens)
        require_known(model.processor, model.module, prompts, [shown(row) for row in rows])
        size = batch_size(self.plan)
        seed = self.plan.seed if asked.seed is None else asked.seed
        for start in range(0, len(rows), size):
            with seeded(seed, start):
                batch = generate(model.module, model.processor, prompts[start : start + size], asked.arguments())
            for row, texts in zip(rows[start : start + size], batch, strict=True):
                yield {**row, "generated": texts if asked.num_return_sequences else texts[0]}

    # ---- helpers --------------------------------------------------------------------------------------------------

    def _require_use(self, kind: str) -> None:
        if self.options.completion_only and kind == "text":
            raise AdaptError(
                "task.completion_only: the data are plain texts, which have no completions to learn alone",
                "Remove it, or name the columns of a prompt and its completion.",
            )
        if self.dataset.chat_template is not None and kind != "chat":
            raise AdaptError(
                f"dataset.chat_template: the data are no conversations but of the format {kind}",
                "Remove it, or name the column of conversations in dataset.messages_column.",
            )

    def _layout(self) -> Layout:
        if self.options.padding_free or (self.options.packing and self.options.flash_attention2):
            return "flat"
        return "packed" if self.options.packing else "padded"

    def _require_kept_apart(self, model: Model) -> None:
        reason = why_not_in_one_row(model.module)
        if reason is not None:
            name = "packing" if self.options.packing else "padding_free"
            base = model.module.get_base_model() if hasattr(model.module, "get_base_model") else model.module
            raise AdaptError(
                f"task.{name}: {type(base).__name__} with the method {self.plan.method.spec.name} does not keep texts "
                f"apart that lie in one row: {reason}",
                f"Set task.{name} to false: batches of like length waste little on padding.",
            )

    def _require_known(self, model: Model, texts: Texts | None) -> None:
        if texts is not None and texts.encoded is not None:
            examples = (shown(prompt_of(texts[number])[0]) for number in texts.encoded.numbers)
            require_known_tokens(model.processor, model.module, texts.encoded.input_ids, examples)

    def _rows(self, train: EncodedTexts | None, model: Model, limit: int, pack: bool) -> Any:
        """What is trained on: rows of a text or of several, or a stream of them."""
        if train is None:
            return None
        if self.stream is not None:
            return self.stream.encoded(partial(self._streamed, model, limit, pack))
        return packed(train, limit, Preprocessing(self.dataset)) if pack else train

    def _streamed(self, model: Model, limit: int, pack: bool, texts: Texts) -> Iterator[Any]:
        """Some rows of a stream."""
        made = streamed(model.processor, model.module, limit, self.options.completion_only, texts)
        if made is not None:
            rows: Any = packed(made, limit) if pack else made
            yield from (rows[row] for row in range(len(rows)))

    def _given(self, texts: Texts | None, model: Model, info: Mapping[str, Any], what: str) -> Texts | None:
        return None if texts is None else self._encoded(texts, model.processor, info, what)

    def _encoded(self, texts: Texts, tokenizer: PreTrainedTokenizerBase, info: Mapping[str, Any], what: str) -> Texts:
        limit, only = info["max_seq_length"], self.options.completion_only
        preprocessing = Preprocessing(self.dataset)
        return texts.with_encoded(
            partial(encode_rows, tokenizer, preprocessing, what, limit=limit, completion_only=only)
        )
