"""A hand-written script as people write them with Trainer and PEFT: the reference that Adapt is measured against.

It knows nothing of Adapt. Rows at random come in an order that follows from seed and epoch alone, which is Adapt's too,
so that what differs is not the luck of the draw. Its argument is a JSON object with ``model``, ``train`` and ``test``
(files), ``lr``, ``batch_size``, ``epochs``, ``seed``, ``r``, ``alpha``, ``dropout``, ``group_by_length`` and
``output``. It prints one JSON object with the seconds of training and the accuracy on the test file.
"""

import json
import sys
from pathlib import Path

import numpy as np
from datasets import load_dataset
from handwritten import ordered, seconds_of_training, usual_arguments
from peft import LoraConfig, get_peft_model
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

kind = Trainer if settings["group_by_length"] else ordered(Trainer)
trainer = kind(
    model=model,
    args=TrainingArguments(
        **usual_arguments(settings),
        train_sampling_strategy="group_by_length" if settings["group_by_length"] else "random",
    ),
    train_dataset=data["train"],
    eval_dataset=data["test"],
    data_collator=DataCollatorWithPadding(tokenizer),
    compute_metrics=lambda output: {"accuracy": float(np.mean(output.predictions.argmax(-1) == output.label_ids))},
)
seconds = seconds_of_training(trainer)
print(json.dumps({"seconds": seconds, "accuracy": trainer.evaluate()["eval_accuracy"], "rows": len(data["test"])}))
