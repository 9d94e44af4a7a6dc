"""A hand-written script as people write them with TRL's SFTTrainer: the reference that Adapt is measured against.

It knows nothing of Adapt. Rows come at random in an order that follows from seed and epoch alone, which is Adapt's.
Its argument is a JSON object with ``model``, ``train`` and ``test`` (JSON lines with a column ``text``), ``lr``,
``batch_size``, ``epochs``, ``seed``, ``max_length``, ``pad_to`` (a multiple of which batches are padded to, or null)
and ``output``. It prints one JSON object with the seconds of training, the perplexity on the test file before and
after, each over all of its tokens, and the tokens trained on.
"""

import json
import math
import sys
from pathlib import Path

import torch
from datasets import load_dataset
from handwritten import ordered, seconds_of_training, usual_arguments
from torch.utils.data import DataLoader
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

trainer = ordered(SFTTrainer)(
    model=model,
    args=SFTConfig(
        **usual_arguments(settings),
        max_length=settings["max_length"],
        pad_to_multiple_of=settings["pad_to"],
        bf16=False,
        gradient_checkpointing=False,
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
seconds = seconds_of_training(trainer)
tokens = sum(len(row["input_ids"]) for row in trainer.train_dataset) * settings["epochs"]
print(json.dumps({"seconds": seconds, "before": before, "perplexity": perplexity(), "tokens": tokens}))
