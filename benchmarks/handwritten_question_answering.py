"""A hand-written script as people write them with Trainer and PEFT: the reference that Adapt is measured against.

It knows nothing of Adapt, but for the order of windows, which is made as Adapt makes it. Its argument is a JSON
object with ``model``, ``train`` and ``test`` (JSON lines as of SQuAD 1.1), ``max_length`` (a third of it is shared by
windows), ``lr``, ``batch_size``, ``epochs``, ``seed``, ``r``, ``alpha``, ``dropout`` and ``output``. It prints one JSON
object with the seconds of training, and exact match and F1 on the test file.
"""

import collections
import hashlib
import json
import re
import string
import sys
import time
from pathlib import Path

import numpy as np
import torch
from datasets import load_dataset
from peft import LoraConfig, get_peft_model
from torch.utils.data import Sampler
from transformers import (
    AutoModelForQuestionAnswering,
    AutoTokenizer,
    DataCollatorWithPadding,
    Trainer,
    TrainingArguments,
    set_seed,
)

settings = json.loads(sys.argv[1])
set_seed(settings["seed"])
LONGEST, N_BEST = 30, 20

data = load_dataset(
    "json",
    data_files={"train": settings["train"], "test": settings["test"]},
    cache_dir=str(Path(settings["output"], "cache")),
)
tokenizer = AutoTokenizer.from_pretrained(settings["model"])


def windows(rows):
    encoded = tokenizer(
        rows["question"],
        rows["context"],
        truncation="only_second",
        max_length=settings["max_length"],
        stride=settings["max_length"] // 3,
        return_overflowing_tokens=True,
        return_offsets_mapping=True,
    )
    encoded["row"] = encoded.pop("overflow_to_sample_mapping")
    encoded["offset_mapping"] = [
        [list(span) if part == 1 else [0, 0] for span, part in zip(spans, encoded.sequence_ids(window), strict=True)]
        for window, spans in enumerate(encoded["offset_mapping"])
    ]
    return encoded


def with_places(rows):
    encoded = windows(rows)
    encoded["start_positions"], encoded["end_positions"] = [], []
    for spans, row in zip(encoded.pop("offset_mapping"), encoded.pop("row"), strict=True):
        start = rows["answers"][row]["answer_start"][0]
        end = start + len(rows["answers"][row]["text"][0])
        tokens = [place for place, (a, b) in enumerate(spans) if a < b]
        first, last = 0, 0
        if spans[tokens[0]][0] <= start and spans[tokens[-1]][1] >= end:
            first = max(place for place in tokens if spans[place][0] <= start)
            last = min(place for place in tokens if spans[place][1] >= end)
        encoded["start_positions"].append(first)
        encoded["end_positions"].append(last)
    return encoded


train = data["train"].map(with_places, batched=True, batch_size=None, remove_columns=data["train"].column_names)
test = data["test"].map(windows, batched=True, batch_size=None, remove_columns=data["test"].column_names)
model = AutoModelForQuestionAnswering.from_pretrained(settings["model"])
model = get_peft_model(
    model,
    LoraConfig(
        # No task type: PEFT's class for question answering does not hand on token_type_ids.
        r=settings["r"],
        lora_alpha=settings["alpha"],
        lora_dropout=settings["dropout"],
        target_modules=["query", "key", "value", "dense"],
        modules_to_save=["qa_outputs"],
    ),
)


def derived_seed(*parts):
    """As Adapt makes it, so that both train on the windows in one order."""
    return int.from_bytes(hashlib.sha256(repr(parts).encode()).digest()[:4], "big")


class Order(Sampler):
    """A permutation of the windows that depends on the seed and the epoch alone."""

    epoch = 0

    def set_epoch(self, epoch):
        self.epoch = epoch

    def __len__(self):
        return len(train)

    def __iter__(self):
        generator = torch.Generator().manual_seed(derived_seed(settings["seed"], self.epoch))
        return iter(torch.randperm(len(self), generator=generator).tolist())


class OrderedTrainer(Trainer):
    def _get_train_sampler(self, train_dataset=None):
        return Order()


def words(text):
    text = "".join(letter for letter in text.lower() if letter not in string.punctuation)
    return re.sub(r"\b(a|an|the)\b", " ", text).split()


def f1(own, true):
    same = sum((collections.Counter(own) & collections.Counter(true)).values())
    return 2 * same / (len(own) + len(true)) if same else 0.0


def scores(starts, ends):
    best = {}
    for spans, row, start, end in zip(test["offset_mapping"], test["row"], starts, ends, strict=True):
        for first in np.argsort(start)[-N_BEST:]:
            for last in np.argsort(end)[-N_BEST:]:
                if last < first or last - first >= LONGEST or max(first, last) >= len(spans):
                    continue
                if spans[first][0] == spans[first][1] or spans[last][0] == spans[last][1]:
                    continue
                score = start[first] + end[last]
                if row not in best or score > best[row][0]:
                    best[row] = (score, spans[first][0], spans[last][1])
    exact, overlap = [], []
    for row, each in enumerate(data["test"]):
        own = words(each["context"][best[row][1] : best[row][2]]) if row in best else []
        true = [words(text) for text in each["answers"]["text"]]
        exact.append(max(float(own == text) for text in true))
        overlap.append(max(f1(own, text) for text in true))
    return {"exact_match": float(np.mean(exact)), "f1": float(np.mean(overlap))}


trainer = OrderedTrainer(
    model=model,
    args=TrainingArguments(
        output_dir=settings["output"],
        per_device_train_batch_size=settings["batch_size"],
        per_device_eval_batch_size=2 * settings["batch_size"],
        num_train_epochs=settings["epochs"],
        learning_rate=settings["lr"],
        seed=settings["seed"],
        logging_steps=10,
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
        optim="adamw_torch",
        label_names=["start_positions", "end_positions"],
    ),
    train_dataset=train,
    data_collator=DataCollatorWithPadding(tokenizer),
)
begin = time.perf_counter()
trainer.train()
seconds = time.perf_counter() - begin
starts, ends = trainer.predict(test.remove_columns(["row", "offset_mapping"])).predictions[:2]
print(json.dumps({"seconds": seconds, **scores(starts, ends), "rows": len(data["test"])}))
