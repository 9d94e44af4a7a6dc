"""TRL's SFTTrainer and transformers' Seq2SeqTrainer through the Trainer engine, which a task has use them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import datasets
import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import (
    DataCollatorForSeq2Seq,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
    Seq2SeqTrainer,
    Seq2SeqTrainingArguments,
    T5Config,
    T5ForConditionalGeneration,
    set_seed,
)
from trl import SFTConfig, SFTTrainer

from adapt_core.bundles import Evaluated, Hints, Model
from adapt_core.engines.spec import TRAINER
from adapt_core.engines.trainer import TrainerInputs
from adapt_core.interfaces import World
from adapt_core.methods.full.method import Full
from adapt_core.options import NoOptions
from adapt_core.runs.folder import RunFolder
from adapt_core.terminal.progress import progress_for
from adapt_core.testing.engine import SPEC
from adapt_core.testing.engines import plan_for

WORDS = [*"abcdefghij", "one", "two", "three", "four", "five", "six", "seven", "eight"]
TEXTS = [" ".join(WORDS[start : start + 3 + start % 5]) for start in range(12)]


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerFast:
    vocabulary = {word: number for number, word in enumerate(["<pad>", "</s>", "<unk>", *WORDS])}
    made = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    return PreTrainedTokenizerFast(tokenizer_object=made, pad_token="<pad>", eos_token="</s>", unk_token="<unk>")


def llama() -> LlamaForCausalLM:
    set_seed(0)
    sizes: Any = {"vocab_size": 24, "hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2}
    return LlamaForCausalLM(LlamaConfig(**sizes, num_attention_heads=2, num_key_value_heads=1, pad_token_id=0))


def trained(module: Any, inputs: TrainerInputs, folder: Path, **options: Any) -> tuple[Any, Any, list[dict[str, Any]]]:
    """What the engine says, its engine, and the log, after all parameters were trained."""
    folder.mkdir()
    given = {"max_steps": 3, "logging_steps": 1, "lr": 1e-2, "optimizer": "sgd", "scheduler": "constant", **options}
    plan = plan_for(TRAINER, SPEC, folder, **given)
    engine = plan.make_engine(RunFolder(folder), World(), progress_for(quiet=True))
    method = Full(NoOptions())
    model = Model(method.apply(module, Hints()), None, Hints())
    done = engine.train(model, method, inputs, None)
    return done, lambda: engine.evaluate(model, inputs), RunFolder(folder).read_metrics()


class Tokens:
    """The share of next tokens that are the likeliest."""

    def __init__(self) -> None:
        self.right = self.all = 0

    def update(self, batch: Mapping[str, Any], outputs: Mapping[str, Any]) -> None:
        labels = batch["labels"][..., 1:]
        counted = labels != -100
        self.right += int(((outputs["logits"][..., :-1, :].argmax(-1) == labels) & counted).sum())
        self.all += int(counted.sum())

    def result(self, world: World) -> Evaluated:
        return Evaluated({"token_accuracy": self.right / self.all}, None)


def sft_inputs(tokenizer: Any, rows: Any, **settings: Any) -> TrainerInputs:
    return TrainerInputs(
        rows,
        datasets.Dataset.from_dict({"text": TEXTS[:5]}),
        None,
        Tokens,
        token_loss=True,
        trainer=SFTTrainer,
        arguments=SFTConfig,
        settings={"max_length": 16, **settings},
        keywords={"processing_class": tokenizer},
    )


def test_sft_trains_with_the_losses_of_a_script_of_its_own(tokenizer: Any, tmp_path: Path) -> None:
    """On batches of all rows, so that their order says nothing."""
    rows = datasets.Dataset.from_dict({"text": TEXTS})
    _, evaluate, log = trained(llama(), sft_inputs(tokenizer, rows), tmp_path / "run", batch_size=len(TEXTS))
    arguments = SFTConfig(
        output_dir=str(tmp_path / "script"),
        max_steps=3,
        per_device_train_batch_size=len(TEXTS),
        learning_rate=1e-2,
        optim="sgd",
        lr_scheduler_type="constant",
        logging_steps=1,
        max_length=16,
        report_to="none",
        save_strategy="no",
        use_cpu=True,
        bf16=False,
        disable_tqdm=True,
    )
    script = SFTTrainer(llama(), arguments, train_dataset=rows, processing_class=tokenizer)
    script.train()
    expected = [entry["loss"] for entry in script.state.log_history if "loss" in entry]
    assert [line["loss"] for line in log if "loss" in line] == pytest.approx(expected, abs=1e-5)
    metrics = evaluate().metrics
    assert set(metrics) == {"loss", "token_accuracy"}
    script.model.eval()
    batch = tokenizer([f"{text} </s>" for text in TEXTS[:5]], padding=True, return_tensors="pt")
    labels = batch["input_ids"].masked_fill(batch["attention_mask"] == 0, -100)
    with torch.no_grad():
        loss = script.model(batch["input_ids"], batch["attention_mask"], labels=labels).loss
    assert metrics["loss"] == pytest.approx(float(loss), abs=1e-4), "a mean over all tokens of all rows"


@pytest.mark.parametrize("packing", [False, True])
def test_sft_trains_on_a_stream(tokenizer: Any, tmp_path: Path, packing: bool) -> None:
    """More steps than the stream has batches in one pass."""
    rows = datasets.Dataset.from_dict({"text": TEXTS}).to_iterable_dataset()
    inputs = sft_inputs(tokenizer, rows, packing=packing)
    done, _, log = trained(llama(), inputs, tmp_path / "run", batch_size=4, max_steps=7)
    assert done.steps == 7
    assert done.samples == (7 if packing else 28), "a packed batch is one long row"
    assert [line["step"] for line in log if "loss" in line] == list(range(1, 8))


class Answers:
    """The share of answers that were generated as they should be."""

    def __init__(self) -> None:
        self.right = self.rows = 0

    def update(self, batch: Mapping[str, Any], outputs: Mapping[str, Any]) -> None:
        for answer, labels in zip(outputs["generated"], batch["labels"], strict=True):
            wanted = labels[labels != -100].tolist()
            self.right += answer.tolist()[1 : 1 + len(wanted)] == wanted
            self.rows += 1

    def result(self, world: World) -> Evaluated:
        return Evaluated({"exact": self.right / self.rows}, self.rows)


def test_seq2seq_generates_while_it_is_evaluated(tokenizer: Any, tmp_path: Path) -> None:
    """It learns to copy words, and its evaluation counts what it generates."""
    set_seed(0)
    sizes: Any = {"vocab_size": 24, "d_model": 32, "d_ff": 64, "d_kv": 16, "num_layers": 1, "num_heads": 2}
    module = T5ForConditionalGeneration(
        T5Config(**sizes, pad_token_id=0, eos_token_id=1, decoder_start_token_id=0, dropout_rate=0.0)
    )
    rows = [{"input_ids": [3 + n, 1], "labels": [3 + n, 1]} for n in range(12)]

    def with_answers(model: Any, batch: Mapping[str, Any]) -> dict[str, Any]:
        asked = {name: batch[name] for name in ("input_ids", "attention_mask")}
        return {"loss": model(**batch).loss, "generated": model.generate(**asked, max_new_tokens=3)}

    inputs = TrainerInputs(
        rows,
        rows[:7],
        DataCollatorForSeq2Seq(tokenizer),
        Answers,
        evaluation_step=with_answers,
        token_loss=True,
        trainer=Seq2SeqTrainer,
        arguments=Seq2SeqTrainingArguments,
    )
    options = {"max_steps": 60, "batch_size": 12, "lr": 2e-2, "optimizer": "adamw_torch", "do_eval": True}
    _, evaluate, log = trained(module, inputs, tmp_path / "run", **options, interval_steps=30, eval_batch_size=3)
    exact = [line["eval_exact"] for line in log if "eval_exact" in line]
    assert len(exact) == 2
    assert evaluate().metrics["exact"] == exact[-1] > 0.9
    assert evaluate().outputs == 7
