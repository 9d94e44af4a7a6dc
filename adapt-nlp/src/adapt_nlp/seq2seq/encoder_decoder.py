"""Models of an encoder, which reads a text, and a decoder, which writes another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import torch
from torch.utils.data import Dataset
from transformers import DataCollatorForSeq2Seq

from adapt_core.models.positions import configured_positions
from adapt_nlp.seq2seq.architecture import model_settings
from adapt_nlp.seq2seq.encoding import Encode, EncodedPairs, as_one_text
from adapt_nlp.seq2seq.languages import Languages, move_to_start, settle_languages
from adapt_nlp.seq2seq.writers import IGNORED, Writer

USE = """\
{languages}text = "a text"
inputs = tokenizer({before}text, truncation=True, max_length={longest}, return_tensors="pt")
generated = model.generate(
    input_ids=inputs["input_ids"],
    attention_mask=inputs["attention_mask"],
    max_new_tokens={tokens},
    do_sample=False,
{start})[0]
{decode}
"""

OTHERS = "[token for token in generated if token != {}]"
DECODE = "print(tokenizer.decode({ids}, skip_special_tokens=True))"


class EncoderDecoder(Writer):
    """T5, BART, mBART, Marian, NLLB and their like."""

    auto_class = "AutoModelForSeq2SeqLM"
    # These models take the number of tokens of a step, and divide by the batch's own: their loss is counted here.
    token_loss = False

    def require_room(self, new_tokens: int | None = None) -> None:
        """Texts and targets have positions of their own."""
        settings, task = model_settings(self.model), self.options
        reads = configured_positions(settings)
        writes = getattr(settings, "max_decoder_position_embeddings", None) or reads  # LED's kind
        for asked, positions, key in (
            (task.max_input_length, reads, "task.max_input_length (max_input_length)"),
            (task.max_target_length, writes, "task.max_target_length (max_target_length)"),
            (task.generation_max_length, writes, "task.generation_max_length (generation_max_length)"),
            (new_tokens or 0, writes, "max_new_tokens"),
        ):
            if positions and asked > positions:
                raise self.too_long(key, str(asked), positions)

    def frame(self, tokenizer: Any, instruction: str) -> dict[str, Any]:
        """The prefix, behind the target's mark where a model is told it so; what the tokenizer adds comes by itself."""
        source, target = self.options.source_lang, self.options.target_lang
        languages = settle_languages(tokenizer, source, target, self.model.source)
        before = languages.before + self.options.prefix
        return {"languages": languages.as_dict(), "before": before, "behind": "", "notices": []}

    def set_on(self, tokenizer: Any, info: Mapping[str, Any]) -> None:
        """Texts are padded behind, and marked with their languages."""
        tokenizer.padding_side = "right"
        Languages.from_dict(info["languages"]).set_on(tokenizer)

    def settle(self, module: Any, tokenizer: Any, info: Mapping[str, Any]) -> None:
        """A model generates from the token that its training begins with."""
        module.generation_config.pad_token_id = tokenizer.pad_token_id
        move_to_start(module, tokenizer, Languages.from_dict(info["languages"]))

    def inputs(self, tokenizer: Any, info: Mapping[str, Any]) -> Encode:
        """With what stands before each, as one text."""
        return partial(as_one_text, tokenizer, "text", info["before"])

    def targets(self, tokenizer: Any) -> Encode:
        """As targets, which tokenizers with languages mark otherwise."""
        return partial(as_one_text, tokenizer, "text_target", "")

    def rows(self, encoded: EncodedPairs) -> tuple[Dataset[dict[str, Any]], Sequence[int]]:
        """The pairs as they are, as long as their texts."""
        return encoded, encoded.lengths

    def collator(self, tokenizer: Any) -> DataCollatorForSeq2Seq:
        """The library's own."""
        return DataCollatorForSeq2Seq(tokenizer, label_pad_token_id=IGNORED)

    def write(
        self,
        module: Any,
        tokenizer: Any,
        ids: Sequence[Sequence[int]],
        settings: Mapping[str, Any],
        info: Mapping[str, Any],
    ) -> list[list[str]]:
        """Without the token of the target's language, which is no part of a text."""
        device = next(module.parameters()).device
        batch = tokenizer.pad({"input_ids": [list(each) for each in ids]}, return_tensors="pt")
        given = {name: batch[name].to(device) for name in ("input_ids", "attention_mask")}
        stops = {"tokenizer": tokenizer} if settings.get("stop_strings") else {}
        with torch.no_grad():
            found = module.generate(**given, **stops, **settings).tolist()
        # M2M100's tokenizer does not count its languages among the special tokens.
        language = info["languages"]["token"]
        kept = [[token for token in own if token != language] for own in found]
        texts = tokenizer.batch_decode(kept, skip_special_tokens=True)
        each = len(texts) // len(ids)
        return [texts[start : start + each] for start in range(0, len(texts), each)]

    def target_scores(self, module: Any, ids: Sequence[int], labels: Sequence[int]) -> torch.Tensor:
        """Of the decoder's logits, one for each token of the target."""
        device = next(module.parameters()).device
        tokens, target = (torch.tensor([list(each)], device=device) for each in (ids, labels))
        with torch.inference_mode():
            logits = module(input_ids=tokens, attention_mask=torch.ones_like(tokens), labels=target).logits
            of_words = logits[0, -target.shape[1] :].float().log_softmax(-1)  # a soft prompt stands before them
            of_target = of_words.gather(-1, target[0, :, None])[:, 0]
            return torch.cat([of_target, of_words[-1:].max(-1).values]).cpu()

    def use(self, info: Mapping[str, Any]) -> str:
        """A text in, a text out."""
        languages = Languages.from_dict(info["languages"])
        start = {name: value for name, value in languages.start.items() if value is not None}
        return USE.format(
            languages=f"tokenizer.src_lang = {languages.source!r}\n" if languages.source else "",
            before=f"{info['before']!r} + " if info["before"] else "",
            longest=self.options.max_input_length,
            tokens=self.options.generation_max_length,
            start="".join(f"    {name}={value},\n" for name, value in start.items()),
            decode=DECODE.format(ids="generated" if languages.token is None else OTHERS.format(languages.token)),
        )
