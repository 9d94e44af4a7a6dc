"""Causal models, which go on with an instruction and a text: the target stands behind them in the same row."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import torch
from jinja2 import TemplateError
from torch.utils.data import Dataset
from transformers import DataCollatorForSeq2Seq, PreTrainedTokenizerBase

from adapt_core.errors import AdaptError
from adapt_core.models.positions import configured_positions
from adapt_nlp.generating import generate, settle_generation
from adapt_nlp.instructions import ALPACA_WITH_INPUT
from adapt_nlp.seq2seq.architecture import model_settings
from adapt_nlp.seq2seq.encoding import Encode, EncodedPairs, bare_ids, framed
from adapt_nlp.seq2seq.languages import Languages
from adapt_nlp.seq2seq.writers import IGNORED, Writer

PLACE = "<the text>"
"""Stands for a text where its frame is made."""

USE = """\
before = {before!r}
behind = {behind!r}
text = "a text"
parts = (before, None), (text, {longest}), (behind, None)
ids = [
    token
    for part, longest in parts
    for token in tokenizer(
        part, add_special_tokens=False, truncation=longest is not None, max_length=longest
    )["input_ids"]
]
inputs = tokenizer.pad({{"input_ids": [ids]}}, return_tensors="pt")
generated = model.generate(
    input_ids=inputs["input_ids"],
    attention_mask=inputs["attention_mask"],
    max_new_tokens={tokens},
    do_sample=False,
    pad_token_id=tokenizer.pad_token_id,
)[0, len(ids) :]
print(tokenizer.decode(generated, skip_special_tokens=True))
"""


class Causal(Writer):
    """Llama, Qwen, GPT-2 and their like."""

    auto_class = "AutoModelForCausalLM"
    token_loss = True

    def require_room(self, new_tokens: int | None = None) -> None:
        """A text and what is written behind it share the positions."""
        positions = configured_positions(model_settings(self.model))
        task = self.options
        for written, key in (
            (task.max_target_length, "task.max_target_length (max_target_length)"),
            (task.generation_max_length, "task.generation_max_length (generation_max_length)"),
            (new_tokens or 0, "max_new_tokens"),
        ):
            if positions and task.max_input_length + written > positions:
                asked = f"{task.max_input_length} and {written}"
                raise self.too_long(f"task.max_input_length (max_input_length) and {key}", asked, positions)

    def frame(self, tokenizer: Any, instruction: str) -> dict[str, Any]:
        """The instruction: in Alpaca's words, or as what a user says where the tokenizer has a chat template."""
        instruction = self.options.prefix.strip() or instruction
        if tokenizer.chat_template is None:
            # Written out, since texts, which stand in the middle, are encoded without what begins a row.
            whole = "".join(_beginning(tokenizer)) + ALPACA_WITH_INPUT.format(instruction=instruction, input=PLACE)
        else:
            said = {"role": "user", "content": f"{instruction}\n\n{PLACE}"}
            try:
                whole = str(tokenizer.apply_chat_template([said], tokenize=False, add_generation_prompt=True))
            except TemplateError as error:
                raise AdaptError(
                    f"The chat template of {self.model.source} refuses what a user says: {error}",
                    "Give the model's folder another template, or none: then the prompts are Alpaca's.",
                ) from error
        if whole.count(PLACE) != 1:
            raise AdaptError(
                f"The chat template of {self.model.source} does not write what a user says once, as it stands",
                "Give the model's folder another template, or none: then the prompts are Alpaca's.",
            )
        before, behind = whole.split(PLACE)
        notices = []
        if tokenizer.eos_token_id is None:
            notices.append(
                f"The tokenizer of {self.model.source} has no end token: the model does not learn where to stop, and "
                "what it writes is as long as generation_max_length allows."
            )
        around = sum(len(bare_ids(tokenizer, [part])[0]) for part in (before, behind))
        frame = {"before": before, "behind": behind, "around": around}
        return {"languages": Languages().as_dict(), **frame, "notices": notices}

    def set_on(self, tokenizer: Any, info: Mapping[str, Any]) -> None:
        """What is gone on with is padded before."""
        tokenizer.padding_side = "left"

    def settle(self, module: Any, tokenizer: Any, info: Mapping[str, Any]) -> None:
        """It ends where its tokenizer does."""
        settle_generation(module, tokenizer)

    def inputs(self, tokenizer: Any, info: Mapping[str, Any]) -> Encode:
        """Each between what stands around it, and cut by itself: neither is lost."""
        before, behind = (bare_ids(tokenizer, [info[name]])[0] for name in ("before", "behind"))
        return partial(framed, tokenizer, before, behind)

    def targets(self, tokenizer: Any) -> Encode:
        """Each with the end token behind it."""
        end = [tokenizer.eos_token_id] if tokenizer.eos_token_id is not None else []
        return partial(framed, tokenizer, [], end)

    def rows(self, encoded: EncodedPairs) -> tuple[Dataset[dict[str, Any]], Sequence[int]]:
        """Texts with their targets behind them, of which the targets alone are learnt."""
        lengths = [text + target for text, target in zip(encoded.lengths, encoded.target_lengths, strict=True)]
        return BehindTexts(encoded), lengths

    def collator(self, tokenizer: Any) -> DataCollatorForSeq2Seq:
        """Padded behind: positions are counted from the first token, padding or not."""
        behind = copy.deepcopy(tokenizer)
        behind.padding_side = "right"
        return DataCollatorForSeq2Seq(behind, label_pad_token_id=IGNORED)

    def write(
        self,
        module: Any,
        tokenizer: Any,
        ids: Sequence[Sequence[int]],
        settings: Mapping[str, Any],
        info: Mapping[str, Any],
    ) -> list[list[str]]:
        """Without the text that is gone on with."""
        return generate(module, tokenizer, ids, settings)

    def target_scores(self, module: Any, ids: Sequence[int], labels: Sequence[int]) -> torch.Tensor:
        """Of the logits before each token of the target, and behind the last."""
        device = next(module.parameters()).device
        tokens, target = torch.tensor([[*ids, *labels]], device=device), torch.tensor(labels, device=device)
        with torch.inference_mode():
            logits = module(input_ids=tokens, attention_mask=torch.ones_like(tokens)).logits
            of_words = logits[0, -len(labels) - 1 :].float().log_softmax(-1)
            of_target = of_words[:-1].gather(-1, target[:, None])[:, 0]
            return torch.cat([of_target, of_words[-1:].max(-1).values]).cpu()

    def use(self, info: Mapping[str, Any]) -> str:
        """A text in, a text out."""
        return USE.format(
            before=info["before"],
            behind=info["behind"],
            longest=self.options.max_input_length - info["around"],
            tokens=self.options.generation_max_length,
        )


class BehindTexts(Dataset[dict[str, Any]]):
    """Encoded pairs as rows of a causal model; a map-style data set."""

    def __init__(self, pairs: EncodedPairs) -> None:
        self.pairs = pairs

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, row: int) -> dict[str, Any]:
        """``{"input_ids": […], "labels": […]}``, of one length."""
        text, target = (self.pairs[row][name] for name in ("input_ids", "labels"))
        return {"input_ids": [*text, *target], "labels": [IGNORED] * len(text) + [*target]}


def _beginning(tokenizer: PreTrainedTokenizerBase) -> list[str]:
    """The tokens that a tokenizer puts before each text."""
    whole, bare = list(tokenizer("a")["input_ids"]), bare_ids(tokenizer, ["a"])[0]
    start = next((place for place in range(len(whole)) if whole[place : place + len(bare)] == bare), 0)
    return [str(token) for token in tokenizer.convert_ids_to_tokens(whole[:start])]
