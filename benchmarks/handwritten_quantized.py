"""A hand-written script with Trainer, PEFT and bitsandbytes: the reference of quantized.py. It knows nothing of Adapt.

Its argument is a JSON object with ``model``, ``data`` (a JSON Lines file), ``method`` (``full`` or ``lora``),
``bits`` (4 or null), ``lr``, ``batch_size``, ``steps``, ``seed``, ``r``, ``alpha``, ``dropout``, ``bf16`` and
``output``. It prints one JSON object with the seconds of training and the most memory that the process had, in bytes.
"""

import json
import sys
import time
from pathlib import Path

import torch
from datasets import load_dataset
from peft import LoraConfig, get_peft_model, prepare_model_for_kbit_training
from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    BitsAndBytesConfig,
    DataCollatorWithPadding,
    Trainer,
    TrainingArguments,
    set_seed,
)

settings = json.loads(sys.argv[1])
set_seed(settings["seed"])

tokenizer = AutoTokenizer.from_pretrained(settings["model"])
data = load_dataset("json", data_files=settings["data"], cache_dir=str(Path(settings["output"], "cache")))["train"]
data = data.map(lambda rows: tokenizer(rows["text"], truncation=True, max_length=512), batched=True)
data = data.remove_columns(["text"]).rename_column("label", "labels")

arguments = {}
if settings["bits"] == 4:
    arguments["quantization_config"] = BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=torch.bfloat16 if settings["bf16"] else torch.float32,
        llm_int8_skip_modules=["score"],
    )
model = AutoModelForSequenceClassification.from_pretrained(
    settings["model"], num_labels=2, pad_token_id=tokenizer.pad_token_id, dtype=torch.float32, **arguments
)
if settings["bits"]:
    model = prepare_model_for_kbit_training(model, use_gradient_checkpointing=False)
if settings["method"] == "lora":
    lora = LoraConfig(
        task_type="SEQ_CLS",
        r=settings["r"],
        lora_alpha=settings["alpha"],
        lora_dropout=settings["dropout"],
        target_modules="all-linear",
    )
    model = get_peft_model(model, lora)

trainer = Trainer(
    model=model,
    args=TrainingArguments(
        output_dir=settings["output"],
        per_device_train_batch_size=settings["batch_size"],
        max_steps=settings["steps"],
        learning_rate=settings["lr"],
        bf16=settings["bf16"],
        seed=settings["seed"],
        logging_steps=10,
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
        optim="adamw_torch",
    ),
    train_dataset=data,
    data_collator=DataCollatorWithPadding(tokenizer),
)
begin = time.perf_counter()
trainer.train()
if torch.cuda.is_available():
    torch.cuda.synchronize()
seconds = time.perf_counter() - begin
if torch.cuda.is_available():
    peak = torch.cuda.max_memory_allocated()
else:
    lines = Path("/proc/self/status").read_text().splitlines()
    peak = next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))
print(json.dumps({"seconds": seconds, "peak": peak}))
