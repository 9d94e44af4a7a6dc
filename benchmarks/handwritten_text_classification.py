"""A hand-written script as people write them with Trainer and PEFT: the reference that Adapt is measured against.

It knows nothing of Adapt. Rows at random come in an order that follows from seed and epoch alone, which is Adapt's too,
so that what differs is not the luck of the draw. Its argument is a JSON object with ``model``, ``train`` and ``test``
(files), ``lr``, ``batch_size``, ``epochs``, ``seed``, ``r``, ``alpha``, ``dropout``, ``group_by_length`` and
``output``. It prints one JSON object with the seconds of training and the accuracy on the test file.
"""

import hashlib
import json
import sys
import time
from pathlib import Path

import numpy as np
import torch
from datasets import load_dataset
from peft import LoraConfig, get_peft_model
from torch.utils.data import Sampler
from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    DataCollatorWithPadding,
    Trainer,
    TrainingArguments,
    set_seed,
)

settings = json.loads(sys.argv[1])
set_seed(settings["seed"])

form = {".csv": "csv", ".jsonl": "json"}[Path(settings["train"]).suffix]
data = load_dataset(
    form,
    data_files={"train": settings["train"], "test": settings["test"]},
    cache_dir=str(Path(settings["output"], "cache")),
)
labels = sorted(set(data["train"]["label"]))

tokenizer = AutoTokenizer.from_pretrained(settings["model"])
data = data.map(lambda rows: tokenizer(rows["text"], truncation=True, max_length=512), batched=True)
data = data.remove_columns(["text"]).rename_column("label", "labels")

model = AutoModelForSequenceClassification.from_pretrained(settings["model"], num_labels=len(labels))
model = get_peft_model(
    model,
    LoraConfig(
        task_type="SEQ_CLS",
        r=settings["r"],
        lora_alpha=settings["alpha"],
        lora_dropout=settings["dropout"],
        target_modules="all-linear",
    ),
)


def derived_seed(*parts):
    """As Adapt makes it, so that both train on the rows in one order."""
    return int.from_bytes(hashlib.sha256(repr(parts).encode()).digest()[:4], "big")


class Order(Sampler):
    """A permutation of the rows that depends on the seed and the epoch alone."""

    epoch = 0

    def set_epoch(self, epoch):
        self.epoch = epoch

    def __len__(self):
        return len(data["train"])

    def __iter__(self):
        generator = torch.Generator().manual_seed(derived_seed(settings["seed"], self.epoch))
        return iter(torch.randperm(len(self), generator=generator).tolist())


class OrderedTrainer(Trainer):
    def _get_train_sampler(self, train_dataset=None):
        return super()._get_train_sampler(train_dataset) if settings["group_by_length"] else Order()


trainer = OrderedTrainer(
    model=model,
    args=TrainingArguments(
        output_dir=settings["output"],
        per_device_train_batch_size=settings["batch_size"],
        per_device_eval_batch_size=2 * settings["batch_size"],
        num_train_epochs=settings["epochs"],
        learning_rate=settings["lr"],
        seed=settings["seed"],
        train_sampling_strategy="group_by_length" if settings["group_by_length"] else "random",
        logging_steps=10,
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
        optim="adamw_torch",
    ),
    train_dataset=data["train"],
    eval_dataset=data["test"],
    data_collator=DataCollatorWithPadding(tokenizer),
    compute_metrics=lambda output: {"accuracy": float(np.mean(output.predictions.argmax(-1) == output.label_ids))},
)
begin = time.perf_counter()
trainer.train()
seconds = time.perf_counter() - begin
print(json.dumps({"seconds": seconds, "accuracy": trainer.evaluate()["eval_accuracy"], "rows": len(data["test"])}))
