"""Tiny checkpoints of many architectures, written on the spot, with tokenizers that know a few words."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from tokenizers import Tokenizer, models, pre_tokenizers, trainers
from tokenizers.processors import TemplateProcessing
from transformers import AutoModel, AutoModelForCausalLM, PreTrainedTokenizerBase, PreTrainedTokenizerFast

from adapt_core.api import plan_of
from adapt_core.bundles import Model

WORDS = (
    "rain", "sun", "wind", "cloud", "storm", "snow", "bread", "cheese", "soup", "apple", "rice", "salt", "piano",
    "drum", "song", "choir", "tune", "violin",
)  # fmt: skip

SIZES = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64}

INFO = {"label_names": ["a", "b", "c"]}
"""The part of ``data.json`` that a classifier is made from."""


def write_tokenizer(
    folder: Path,
    special: Sequence[str] = ("<unk>", "<s>", "</s>"),
    template: str | None = None,
    byte_level: bool = False,
    **names: Any,
) -> PreTrainedTokenizerBase:
    """Writes a tokenizer of the words above, behind the special tokens, whose ids are their places.

    Args:
        folder: where to.
        special: all special tokens.
        template: what it makes of one text, such as ``"<s> $A </s>"``; the text alone by default.
        byte_level: parts of words, of 300 tokens in all, and no unknown ones, as GPT-2 and Qwen2 have it.
        names: which special token is which: ``pad_token="<pad>"``.
    """
    vocabulary = {token: index for index, token in enumerate((*special, *WORDS))}
    if byte_level:
        made = Tokenizer(models.BPE())
        made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        alphabet = pre_tokenizers.ByteLevel.alphabet()
        trainer = trainers.BpeTrainer(
            vocab_size=300, special_tokens=list(special), initial_alphabet=alphabet, show_progress=False
        )
        made.train_from_iterator([" ".join(WORDS)], trainer)
    else:
        made = Tokenizer(models.WordLevel(vocabulary, unk_token=names.get("unk_token", special[0])))
        made.pre_tokenizer = pre_tokenizers.Whitespace()
    if template:
        added = [(token, vocabulary[token]) for token in special if token in template.split()]
        pair = f"{template} {template.replace('$A', '$B')}"
        made.post_processor = TemplateProcessing(single=template, pair=pair, special_tokens=added)
    names.setdefault("unk_token", special[0])
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=made, **names)
    tokenizer.save_pretrained(folder)
    return tokenizer


def write_model(folder: Path, kind: str, *, causal: bool = False, seed: int = 0, **settings: Any) -> Any:
    """Writes a model of a type of transformers (``"llama"``) with random weights, large enough to tell inputs apart.

    Returns the model.
    """
    torch.manual_seed(seed)
    config = transformers.AutoConfig.for_model(kind, **settings)
    model = (AutoModelForCausalLM if causal else AutoModel).from_config(config)
    with torch.no_grad():
        for each in model.parameters():
            each.normal_(0, 0.2)
    model.save_pretrained(folder)
    return model


def classifier(folder: Path, **task: Any) -> tuple[Any, Model]:
    """The task and the model that a run on a checkpoint begins with; it needs no data."""
    plan = plan_of(
        {
            "task": {"name": "text_classification", **task},
            "model": {"path": str(folder)},
            "dataset": {"path": str(folder / "config.json")},
            "method": "full",
            "output_dir": str(folder.parent / "run"),
        }
    )
    made = plan.make_task()
    torch.manual_seed(1)
    return made, made.load_model(INFO)


def scores(task: Any, model: Model, *texts: str) -> np.ndarray:
    """The logits of texts in one batch, of shape (texts, labels)."""
    return np.stack(task.outputs(model, [{"text": text} for text in texts], INFO))
