"""A hand-written script as people write them with TRL's SFTTrainer: the reference that Adapt is measured against.

It knows nothing of Adapt. Rows come at random in an order that follows from seed and epoch alone, which is Adapt's.
Its argument is a JSON object with ``model``, ``train`` and ``test`` (JSON lines with a column ``text``), ``lr``,
``batch_size``, ``epochs``, ``seed``, ``max_length``, ``pad_to`` (a multiple of which batches are padded to, or null)
and ``output``. It prints one JSON object with the seconds of training, the perplexity on the test file before and
after, each over all of its tokens, and the tokens trained on.
"""

import hashlib
import json
import math
import sys
import time
from pathlib import Path

import torch
from datasets import load_dataset
from torch.utils.data import DataLoader, Sampler
from transformers import AutoModelForCausalLM, AutoTokenizer, set_seed
from trl import SFTConfig, SFTTrainer

settings = json.loads(sys.argv[1])
set_seed(settings["seed"])
data = load_dataset(
    "json",
    data_files={"train": settings["train"], "test": settings["test"]},
    cache_dir=str(Path(settings["output"], "cache")),
)
tokenizer = AutoTokenizer.from_pretrained(settings["model"])
model = AutoModelForCausalLM.from_pretrained(settings["model"])


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


class OrderedTrainer(SFTTrainer):
    def _get_train_sampler(self, train_dataset=None):
        return Order()


trainer = OrderedTrainer(
    model=model,
    args=SFTConfig(
        output_dir=settings["output"],
        max_length=settings["max_length"],
        pad_to_multiple_of=settings["pad_to"],
        per_device_train_batch_size=settings["batch_size"],
        num_train_epochs=settings["epochs"],
        learning_rate=settings["lr"],
        seed=settings["seed"],
        bf16=False,
        gradient_checkpointing=False,
        logging_steps=10,
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
        optim="adamw_torch",
        use_cpu=True,
    ),
    train_dataset=data["train"],
    eval_dataset=data["test"],
    processing_class=tokenizer,
)


def perplexity():
    """Over all tokens of the test file."""
    model.eval()
    total = count = 0
    for batch in DataLoader(trainer.eval_dataset, batch_size=32, collate_fn=trainer.data_collator):
        tokens = int((batch["labels"][:, 1:] != -100).sum())
        with torch.no_grad():
            total += float(model(**batch).loss) * tokens
        count += tokens
    return math.exp(total / count)


before = perplexity()
begin = time.perf_counter()
trainer.train()
seconds = time.perf_counter() - begin
tokens = sum(len(row["input_ids"]) for row in trainer.train_dataset) * settings["epochs"]
print(json.dumps({"seconds": seconds, "before": before, "perplexity": perplexity(), "tokens": tokens}))
