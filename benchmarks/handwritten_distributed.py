"""A hand-written script as people start it with torchrun: Trainer and PEFT, the model whole in every process.

It knows nothing of Adapt. Its argument is a JSON object with ``model``, ``train`` (a file), ``rows``, ``lr``,
``batch_size`` (of each process), ``steps``, ``r`` and ``output``. The main process prints one JSON object: seconds of
training, rows a second, and the peak memory of every process.
"""

import json
import sys
import time
from pathlib import Path

import torch.distributed as dist
from datasets import load_dataset
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
set_seed(56)
form = {".csv": "csv", ".jsonl": "json"}[Path(settings["train"]).suffix]
data = load_dataset(form, data_files=settings["train"], cache_dir=f"{settings['output']}/cache")["train"]
data = data.select(range(settings["rows"]))
tokenizer = AutoTokenizer.from_pretrained(settings["model"])
data = data.map(lambda rows: tokenizer(rows["text"], truncation=True, max_length=512), batched=True)
data = data.remove_columns(["text"]).rename_column("label", "labels").class_encode_column("labels")
classes = data.features["labels"].num_classes
model = AutoModelForSequenceClassification.from_pretrained(settings["model"], num_labels=classes)
model = get_peft_model(model, LoraConfig(task_type="SEQ_CLS", r=settings["r"], target_modules="all-linear"))
arguments = TrainingArguments(
    output_dir=settings["output"],
    per_device_train_batch_size=settings["batch_size"],
    max_steps=settings["steps"],
    learning_rate=settings["lr"],
    train_sampling_strategy="group_by_length",
    ddp_find_unused_parameters=False,
    use_cpu=True,
    save_strategy="no",
    report_to="none",
    disable_tqdm=True,
)
trainer = Trainer(model=model, args=arguments, train_dataset=data, data_collator=DataCollatorWithPadding(tokenizer))
begin = time.perf_counter()
trainer.train()
seconds = time.perf_counter() - begin
fields = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines() if ":" in line)
peaks = [None] * dist.get_world_size()
dist.all_gather_object(peaks, int(fields["VmHWM"].split()[0]) * 1024)
if dist.get_rank() == 0:
    rows = settings["steps"] * settings["batch_size"] * len(peaks)
    print(json.dumps({"seconds": seconds, "rows_per_second": rows / seconds, "peaks": peaks}))
