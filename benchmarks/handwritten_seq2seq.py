"""A hand-written script as people write them with Seq2SeqTrainer: the reference that Adapt is measured against.

It knows nothing of Adapt, but for the order of rows, which is made as Adapt makes it. Its argument is a JSON object
with ``model``, ``train`` and ``test`` (JSON lines with ``source`` and ``target``), ``prefix``, ``longest_input``,
``longest_target``, ``metric`` (``rougeL`` or ``bleu``), ``lr``, ``batch_size``, ``epochs``, ``seed`` and ``output``. It
prints one JSON object with the seconds of training, the first and the last logged loss, and the score on the test file.
"""

import json
import sys
from pathlib import Path

import numpy as np
import sacrebleu
from datasets import load_dataset
from handwritten import ordered, seconds_of_training, usual_arguments
from rouge_score.rouge_scorer import RougeScorer
from transformers import (
    AutoModelForSeq2SeqLM,
    AutoTokenizer,
    DataCollatorForSeq2Seq,
    Seq2SeqTrainer,
    Seq2SeqTrainingArguments,
    set_seed,
)

settings = json.loads(sys.argv[1])
set_seed(settings["seed"])

data = load_dataset(
    "json",
    data_files={"train": settings["train"], "test": settings["test"]},
    cache_dir=str(Path(settings["output"], "cache")),
)
tokenizer = AutoTokenizer.from_pretrained(settings["model"])
model = AutoModelForSeq2SeqLM.from_pretrained(settings["model"])


def encode(rows):
    texts = [settings["prefix"] + text for text in rows["source"]]
    encoded = tokenizer(texts, truncation=True, max_length=settings["longest_input"])
    labels = tokenizer(text_target=rows["target"], truncation=True, max_length=settings["longest_target"])
    return {"input_ids": encoded["input_ids"], "labels": labels["input_ids"]}


references = data["test"]["target"]
data = data.map(encode, batched=True, remove_columns=data["train"].column_names)


def measure(output):
    ids = np.where(output.predictions == -100, tokenizer.pad_token_id, output.predictions)
    texts = tokenizer.batch_decode(ids, skip_special_tokens=True)
    if settings["metric"] == "bleu":
        return {"score": sacrebleu.corpus_bleu(texts, [list(references)]).score}
    scorer = RougeScorer(["rougeL"])
    rows = [scorer.score(reference, text)["rougeL"].fmeasure for text, reference in zip(texts, references, strict=True)]
    return {"score": 100 * float(np.mean(rows))}


trainer = ordered(Seq2SeqTrainer)(
    model=model,
    args=Seq2SeqTrainingArguments(
        **usual_arguments(settings),
        predict_with_generate=True,
        generation_max_length=settings["longest_target"] + 1,  # with the token that a target begins with
    ),
    train_dataset=data["train"],
    eval_dataset=data["test"],
    data_collator=DataCollatorForSeq2Seq(tokenizer, model),
    compute_metrics=measure,
)
seconds = seconds_of_training(trainer)
losses = [line["loss"] for line in trainer.state.log_history if "loss" in line]
score = trainer.evaluate()["eval_score"]
print(json.dumps({"seconds": seconds, "score": score, "losses": [losses[0], losses[-1]]}))
