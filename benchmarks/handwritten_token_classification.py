"""A hand-written script as people write them with Trainer and PEFT: the reference that Adapt is measured against.

It knows nothing of Adapt, but for the order of rows, which is made as Adapt makes it. Its argument is a JSON object
with ``model``, ``train`` and ``test`` (JSON lines with lists of words and of tags), ``tags`` (their column),
``entities`` (whether entities are measured, or words), ``lr``, ``batch_size``, ``epochs``, ``seed``, ``r``, ``alpha``,
``dropout``, ``group_by_length`` and ``output``. It prints one JSON object with the seconds of training and the score on
the test file: the F1 of entities, or the accuracy of words.
"""

import json
import sys
from pathlib import Path

import numpy as np
from datasets import load_dataset
from handwritten import ordered, seconds_of_training, usual_arguments
from peft import LoraConfig, get_peft_model
from seqeval.metrics import f1_score
from transformers import (
    AutoModelForTokenClassification,
    AutoTokenizer,
    DataCollatorForTokenClassification,
    Trainer,
    TrainingArguments,
    set_seed,
)

settings = json.loads(sys.argv[1])
set_seed(settings["seed"])

data = load_dataset(
    "json",
    data_files={"train": settings["train"], "test": settings["test"]},
    cache_dir=str(Path(settings["output"], "cache")),
)
column = settings["tags"]
labels = sorted({tag for tags in data["train"][column] for tag in tags})
id_of = {label: index for index, label in enumerate(labels)}
tokenizer = AutoTokenizer.from_pretrained(settings["model"])


def encode(rows):
    encoded = tokenizer(rows["tokens"], truncation=True, max_length=512, is_split_into_words=True)
    encoded["labels"] = []
    for row, tags in enumerate(rows[column]):
        words = encoded.word_ids(row)
        before = [None, *words[:-1]]
        encoded["labels"].append(
            [
                -100 if word is None or word == last else id_of[tags[word]]
                for word, last in zip(words, before, strict=True)
            ]
        )
    return encoded


data = data.map(encode, batched=True, remove_columns=data["train"].column_names)
model = AutoModelForTokenClassification.from_pretrained(settings["model"], num_labels=len(labels))
model = get_peft_model(
    model,
    LoraConfig(
        task_type="TOKEN_CLS",
        r=settings["r"],
        lora_alpha=settings["alpha"],
        lora_dropout=settings["dropout"],
        target_modules="all-linear",
        exclude_modules=["classifier"],  # which is trained whole
    ),
)


def measure(output):
    pairs = [
        [(labels[true], labels[own]) for true, own in zip(*row, strict=True) if true != -100]
        for row in zip(output.label_ids, output.predictions.argmax(-1), strict=True)
    ]
    truth, found = ([[pair[side] for pair in row] for row in pairs] for side in (0, 1))
    if settings["entities"]:
        return {"score": float(f1_score(truth, found))}
    right = [true == own for row in pairs for true, own in row]
    return {"score": float(np.mean(right))}


kind = Trainer if settings["group_by_length"] else ordered(Trainer)
trainer = kind(
    model=model,
    args=TrainingArguments(
        **usual_arguments(settings),
        train_sampling_strategy="group_by_length" if settings["group_by_length"] else "random",
    ),
    train_dataset=data["train"],
    eval_dataset=data["test"],
    data_collator=DataCollatorForTokenClassification(tokenizer),
    compute_metrics=measure,
)
seconds = seconds_of_training(trainer)
print(json.dumps({"seconds": seconds, "score": trainer.evaluate()["eval_score"], "rows": len(data["test"])}))
