"""A tiny encoder, and texts and sentences that it can learn."""

from __future__ import annotations

import csv
import json
import random
from pathlib import Path

from transformers import BertConfig, BertModel, BertTokenizerFast, set_seed

WORDS = {
    "weather": ["rain", "sun", "wind", "cloud", "storm", "snow"],
    "food": ["bread", "cheese", "soup", "apple", "rice", "salt"],
    "music": ["piano", "drum", "song", "choir", "tune", "violin"],
}


def write_encoder(folder: Path, width: int = 32) -> Path:
    """A BERT of two layers that knows the words above."""
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "the", *(word for each in WORDS.values() for word in each)]
    folder.mkdir(exist_ok=True)
    (folder / "vocab.txt").write_text("\n".join(words))
    BertTokenizerFast(vocab={word: index for index, word in enumerate(words)}).save_pretrained(folder)
    set_seed(0)
    settings = BertConfig(
        vocab_size=len(words),
        hidden_size=width,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=2 * width,
        max_position_embeddings=24,
        initializer_range=0.1,  # at the usual 0.02 the frozen words of so narrow a model are nearly alike
    )
    BertModel(settings).save_pretrained(folder)
    return folder


def write_texts(path: Path, rows: int = 300) -> Path:
    """Rows of a few words of one kind among ``the``; the kind is the label."""
    draw = random.Random(3)
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["text", "label"])
        for _ in range(rows):
            label = draw.choice(sorted(WORDS))
            words = [draw.choice([*WORDS[label], "the"]) for _ in range(draw.randrange(2, 12))] + [WORDS[label][0]]
            writer.writerow([" ".join(words), label])
    return path


def write_sentences(path: Path, rows: int = 200) -> Path:
    """Sentences: runs of words of one kind are entities of it, and ``the`` stands between them."""
    draw = random.Random(3)
    with path.open("w") as file:
        for _ in range(rows):
            tokens, tags = ["the"], ["O"]
            for _ in range(draw.randrange(1, 4)):
                kind, length = draw.choice(sorted(WORDS)), draw.randrange(1, 4)
                tokens += [*draw.choices(WORDS[kind], k=length), "the"]
                tags += [f"B-{kind}", *[f"I-{kind}"] * (length - 1), "O"]
            file.write(json.dumps({"tokens": tokens, "ner_tags": tags}) + "\n")
    return path
