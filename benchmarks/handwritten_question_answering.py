"""A hand-written script as people write them with Trainer and PEFT: the reference that Adapt is measured against.

It knows nothing of Adapt, but for the order of windows, which is made as Adapt makes it. Its argument is a JSON
object with ``model``, ``train`` and ``test`` (JSON lines as of SQuAD 1.1), ``max_length`` (a third of it is shared by
windows), ``lr``, ``batch_size``, ``epochs``, ``seed``, ``r``, ``alpha``, ``dropout`` and ``output``. It prints one JSON
object with the seconds of training, and exact match and F1 on the test file.
"""

import collections
import json
import re
import string
import sys
from pathlib import Path

import numpy as np
from datasets import load_dataset
from handwritten import ordered, seconds_of_training, usual_arguments
from peft import LoraConfig, get_peft_model
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


trainer = ordered(Trainer)(
    model=model,
    args=TrainingArguments(
        **usual_arguments(settings),
        label_names=["start_positions", "end_positions"],
    ),
    train_dataset=train,
    data_collator=DataCollatorWithPadding(tokenizer),
)
seconds = seconds_of_training(trainer)
starts, ends = trainer.predict(test.remove_columns(["row", "offset_mapping"])).predictions[:2]
print(json.dumps({"seconds": seconds, **scores(starts, ends), "rows": len(data["test"])}))
