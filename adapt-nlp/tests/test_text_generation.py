"""Text generation from a file to a used model, with a tiny Llama built on the spot."""

from __future__ import annotations

import io
import json
import math
import os
import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_language_model import FACTS, MARKED, configuration, rows, write_llama, write_rows, write_split
from transformers import AutoModelForCausalLM, AutoTokenizer, BloomConfig, LlamaForCausalLM

import adapt_core
from adapt_core.api import plan_of
from adapt_core.cli.app import command_line
from adapt_core.errors import AdaptError, ConfigError, Interrupted
from adapt_core.testing import TaskContract
from adapt_nlp.text_generation import attention
from adapt_nlp.text_generation import task as task_module

QUESTION = "What colour is the sky?"


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_llama(tmp_path_factory.mktemp("llama"))


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("data")
    return {
        kind: write_split(folder / kind, kind)
        for kind in ("text", "prompt_completion", "instruction", "chat", "sharegpt")
    }


@pytest.fixture(scope="module")
def run_folder(llama: Path, data: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run with LoRA on prompts and completions."""
    folder = tmp_path_factory.mktemp("run") / "run"
    method = {"name": "lora", "r": 16, "dropout": 0.0}
    adapt_core.run(configuration(llama, data["prompt_completion"], folder, method=method, training={"lr": 2e-2}))
    return folder


@pytest.fixture
def quick(llama: Path, data: dict[str, Path], tmp_path: Path, no_reload: None) -> Any:
    """Runs two steps of a changed configuration."""

    def run(kind: str = "prompt_completion", **changes: Any) -> dict[str, Any]:
        training = {"max_steps": 2, "logging_steps": 1, **changes.pop("training", {})}
        config = configuration(llama, data[kind], tmp_path / "quick", training=training, **changes)
        return adapt_core.run(config, overwrite=True)

    return run


@pytest.mark.parametrize("kind", ["text", "instruction", "sharegpt"])
class TestContract(TaskContract):
    @pytest.fixture
    def configuration(self, kind: str, llama: Path, data: dict[str, Path], tmp_path: Path) -> dict[str, Any]:
        made = configuration(llama, data[kind], tmp_path / "unused", method="lora", training={"max_steps": 3})
        return {key: value for key, value in made.items() if key != "output_dir"}


# ---- loss, perplexity, reports ----------------------------------------------------------------------------------


def test_loss_and_perplexity_are_of_all_tokens_however_they_are_batched(
    llama: Path, data: dict[str, Path], tmp_path: Path, no_reload: None
) -> None:
    """Held to transformers alone, text by text."""
    tokenizer, model = AutoTokenizer.from_pretrained(llama), AutoModelForCausalLM.from_pretrained(llama).eval()
    total = tokens = 0.0
    for row in [*rows("text")[:3], {"text": "the sky"}]:
        ids = torch.tensor([[*tokenizer(row["text"])["input_ids"], tokenizer.eos_token_id]])
        with torch.no_grad():
            total += float(model(ids, labels=ids).loss) * (ids.shape[1] - 1)
        tokens += ids.shape[1] - 1
    folder = tmp_path / "data"
    folder.mkdir()
    write_rows(folder / "train.jsonl", rows("text"))
    write_rows(folder / "validation.jsonl", [*rows("text")[:3], {"text": "the sky"}])
    for size in (1, 3, 4):
        training = {"do_train": False, "eval_batch_size": size}
        config = configuration(llama, folder, tmp_path / f"run{size}", training=training)
        metrics = adapt_core.run(config)["metrics"]
        assert metrics["loss"] == pytest.approx(total / tokens, abs=1e-5)
        assert metrics["perplexity"] == pytest.approx(math.exp(total / tokens), rel=1e-4)


def test_the_report_shows_perplexity_before_and_after_and_texts_beside_references(run_folder: Path) -> None:
    page = (run_folder / "report.html").read_text()
    for part in ("before training", "after training", "Generated texts", "reference", QUESTION, "It is blue."):
        assert part in page, part


def test_as_many_texts_are_generated_as_are_asked_for(quick: Any, tmp_path: Path) -> None:
    page = tmp_path / "quick" / "report.html"
    quick(task={"samples": 0})
    assert "Generated texts" not in page.read_text()
    quick("chat", task={"samples": 1, "sample_tokens": 1})
    assert f"user: {QUESTION}" in page.read_text() and "the grass?" not in page.read_text().split("Generated texts")[1]


def test_other_data_can_be_evaluated_on(run_folder: Path, tmp_path: Path) -> None:
    other = write_rows(tmp_path / "other.jsonl", rows("prompt_completion")[:2])
    found = adapt_core.evaluate_run(run_folder, data=str(other))
    assert found["rows"] == 2
    assert set(found["metrics"]) == {"loss", "perplexity"}
    with pytest.raises(AdaptError, match="no column 'prompt'"):
        adapt_core.evaluate_run(run_folder, data=str(write_rows(tmp_path / "texts.jsonl", rows("text"))))


def test_adapt_data_shows_what_is_learnt(llama: Path, data: dict[str, Path], tmp_path: Path) -> None:
    config = configuration(llama, data["chat"], tmp_path / "run", task={"completion_only": True, "max_seq_length": 20})
    train, evaluation = adapt_core.inspect_data(config, examples=1)
    assert (train.name, len(train.keys), len(set(train.keys))) == ("training rows", 48, 6)
    assert train.limit == 20 and len(evaluation.lengths) == 6
    text, ((start, end, mark),), remark = evaluation.examples[0].rows[0]
    assert text.startswith("<|user|> ")
    assert mark == "learnt" and text[:start].endswith("<|assistant|> ") and text[start:end].startswith("It ")
    assert "tokens are learnt" in remark


def test_adapt_data_counts_rows_of_which_nothing_is_learnt(llama: Path, tmp_path: Path) -> None:
    """Those that a limit leaves out are beyond it, and told."""
    given = rows("prompt_completion")
    long = [{**row, "prompt": " ".join([row["prompt"]] * 20)} for row in given[:2]]
    path = write_rows(tmp_path / "long.jsonl", [*given, *long])
    config = configuration(llama, path, tmp_path / "run", task={"completion_only": True, "max_seq_length": 30})
    splits = adapt_core.inspect_data(config, examples=0)
    assert sum(len(split.lengths) for split in splits) == sum(len(split.keys) for split in splits) == len(given) + 2
    assert sum(length > 30 for split in splits for length in split.lengths) == 2
    assert any("no token to learn" in text for split in splits for text in split.notices)


def test_other_rows_that_are_left_out_are_told(run_folder: Path, tmp_path: Path) -> None:
    given = rows("prompt_completion")[:2]
    given.append({**given[0], "completion": " ".join([given[0]["completion"]] * 200)})
    (notice,) = adapt_core.evaluate_run(run_folder, data=str(write_rows(tmp_path / "long.jsonl", given)))["notices"]
    assert "1 of 3 rows are longer than" in notice


# ---- options ----------------------------------------------------------------------------------------------------


def test_packing_makes_fewer_rows_of_the_same_tokens(quick: Any) -> None:
    """``packing`` is on by default, as the parameter's table has it."""
    packed = quick(task={"max_seq_length": 128}, training={"max_steps": 1, "batch_size": 64})
    padded = quick(task={"max_seq_length": 128, "packing": False}, training={"max_steps": 1, "batch_size": 64})
    assert packed["metrics"]["train_loss"] == pytest.approx(padded["metrics"]["train_loss"], abs=1e-4)
    steps = [quick(task={"packing": packing}, training={"max_steps": None, "epochs": 1})["steps"] for packing in (0, 1)]
    assert steps[1] < steps[0] == 12


def test_grouping_by_length_that_changes_nothing_is_told(quick: Any, capsys: pytest.CaptureFixture[str]) -> None:
    for packing in (True, False):
        quick(task={"packing": packing}, training={"group_by_length": True, "do_eval": False})
        said = " ".join(capsys.readouterr().err.split())
        assert ("training.group_by_length changes nothing: these rows are packed" in said) == packing
    quick(training={"do_eval": False})
    assert "group_by_length" not in capsys.readouterr().err, "it is on by default, and nobody asked for it"


def test_dataset_text_field_names_the_text(llama: Path, tmp_path: Path, no_reload: None) -> None:
    path = write_rows(tmp_path / "rows.jsonl", [{"text": "a", "story": row["text"]} for row in rows("text")], 4)
    flat = {
        "TASK": "text_generation",
        "LOCAL_MODEL_PATH": str(llama),
        "CUSTOM_DATASET_PATH": str(path),
        "PEFT_METHOD": "lora",
        "packing": False,
        "max_seq_length": 16,
        "flash_attention2": False,
        "EPOCHS": 1,
        "NUM_WORKERS": 0,
        "SAVE_METHOD": "none",
        "OUTPUT_DIR": str(tmp_path / "run"),
    }
    adapt_core.run(flat)
    assert adapt_core.load_run(tmp_path / "run").info["columns"]["text"] == "text"
    adapt_core.run({**flat, "dataset_text_field": "story"}, overwrite=True)
    info = adapt_core.load_run(tmp_path / "run").info
    assert (info["columns"]["text"], info["max_seq_length"]) == ("story", 16)


def test_long_texts_are_cut_at_max_seq_length_and_counted(quick: Any, capsys: pytest.CaptureFixture[str]) -> None:
    quick("text", task={"max_seq_length": 6})
    said = " ".join(capsys.readouterr().err.split())
    assert "48 of 48 rows are longer than 6 tokens and are cut (task.max_seq_length)" in said


def test_rows_without_a_token_to_learn_are_left_out_with_their_lines(
    quick: Any, data: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    long = {"prompt": "the sky " * 20, "completion": "blue"}
    path = write_rows(tmp_path / "some.jsonl", [*rows("prompt_completion"), long])
    task = {"completion_only": True, "max_seq_length": 32}
    quick(dataset={"path": str(path), "validation_share": 0.2}, task=task, seed=1)
    said = " ".join(capsys.readouterr().err.split())
    assert (
        "1 of" in said and "rows have no token to learn within their first 32 tokens and are left out: line 7" in said
    )


def test_completions_alone_give_another_loss(quick: Any) -> None:
    whole, alone = (
        quick(task={"completion_only": only}, training={"do_train": False})["metrics"]["loss"] for only in (False, True)
    )
    assert whole != pytest.approx(alone, abs=1e-3)


def test_flash_attention_is_for_training_alone(quick: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another attention stands for it, which runs here: it computes the steps, and not the texts that are generated."""
    monkeypatch.setattr(task_module, "require_flash_attention", lambda _: None)
    monkeypatch.setattr(attention, "FLASH", "eager")
    seen: dict[bool, set[str]] = {True: set(), False: set()}
    original = LlamaForCausalLM.forward

    def forward(self: Any, *args: Any, **given: Any) -> Any:
        seen[self.training].add(self.config._attn_implementation)
        return original(self, *args, **given)

    monkeypatch.setattr(LlamaForCausalLM, "forward", forward)
    quick(task={"flash_attention2": True})
    assert seen[True] == {"eager"}
    seen[False].clear()
    run = adapt_core.load_run(tmp_path / "quick")
    run.predict([QUESTION], max_new_tokens=2)
    assert seen[False] == {"sdpa"}
    monkeypatch.setattr(attention, "FLASH", "flash_attention_2")
    with pytest.raises(ImportError, match=r"(?i)flash"):
        attention.use_flash_attention(run.model.module)


@pytest.mark.parametrize(
    ("cuda", "package", "training", "says"),
    [
        (False, True, {"bf16": True}, "needs a GPU with CUDA"),
        (True, False, {"bf16": True}, "flash-attn is not installed"),
        (True, True, {}, "computes in 16 bits only; set training.bf16"),
        (True, True, {"bf16": True}, None),
    ],
)
def test_why_flash_attention_cannot_run_is_told(
    cuda: bool,
    package: bool,
    training: dict[str, Any],
    says: str | None,
    llama: Path,
    data: dict[str, Path],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    plan = plan_of(configuration(llama, data["text"], tmp_path / "run", training=training))
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setattr(attention, "is_flash_attn_2_available", lambda: package)
    reason = attention.why_not_flash_attention(plan)
    assert reason is None if says is None else says in str(reason)


def test_a_model_without_flash_attention_is_told(
    data: dict[str, Path], llama: Path, tmp_path: Path, monkeypatch: Any
) -> None:
    bloom = tmp_path / "bloom"
    shutil.copytree(llama, bloom)
    BloomConfig(vocab_size=330, hidden_size=8, n_layer=1, n_head=1).save_pretrained(bloom)
    plan = plan_of(configuration(bloom, data["text"], tmp_path / "run", training={"bf16": True}))
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(attention, "is_flash_attn_2_available", lambda: True)
    assert attention.why_not_flash_attention(plan) == "BloomForCausalLM does not support it"


def test_a_chat_template_from_a_file_goes_with_the_model(quick: Any, llama: Path, tmp_path: Path) -> None:
    (tmp_path / "chat.jinja").write_text(MARKED)
    quick("sharegpt", dataset={"chat_template": str(tmp_path / "chat.jinja")}, task={"completion_only": True})
    (tmp_path / "chat.jinja").unlink()
    run = adapt_core.load_run(tmp_path / "quick")
    assert run.model.processor.chat_template == MARKED
    assert AutoTokenizer.from_pretrained(tmp_path / "quick" / "model").chat_template == MARKED


def test_a_soft_prompt_trains_on_padded_rows(quick: Any) -> None:
    method = {"name": "prompt_tuning", "num_virtual_tokens": 4}
    with pytest.raises(AdaptError, match="prompt_tuning does not keep texts apart"):
        quick(method=method)
    assert quick(method=method, task={"packing": False})["steps"] == 2


# ---- predictions ------------------------------------------------------------------------------------------------


def test_prompts_are_gone_on_with(run_folder: Path) -> None:
    run = adapt_core.load_run(run_folder)
    prompts = [f"What colour is {thing}?" for thing in FACTS]
    found = run.predict(prompts, max_new_tokens=12)
    assert [each["generated"] for each in found] == [f" It is {colour}." for colour in FACTS.values()]
    assert [each["prompt"] for each in found] == prompts


def test_options_go_to_generate_by_their_names(run_folder: Path) -> None:
    run = adapt_core.load_run(run_folder)

    def said(**options: Any) -> Any:
        return run.predict([QUESTION], **options)[0]["generated"]

    assert len(run.model.processor(said(max_new_tokens=2), add_special_tokens=False)["input_ids"]) == 2
    assert said(stop_strings=["is"], max_new_tokens=12) == " It is"
    drawn = {"do_sample": True, "temperature": 5.0, "top_k": 0, "max_new_tokens": 12}
    assert said(**drawn, seed=1) == said(**drawn, seed=1) != said(**drawn, seed=2)
    assert said(**drawn) == said(**drawn), "the run's seed"
    assert said(do_sample=True, temperature=5.0, top_k=1, max_new_tokens=12) == " It is blue."
    several = said(num_beams=3, num_return_sequences=3, max_new_tokens=12)
    assert len(several) == 3 and several[0] == " It is blue."
    assert len(said(min_new_tokens=30, max_new_tokens=30)) > len(said(max_new_tokens=30))
    state = torch.random.get_rng_state()
    said(**drawn)
    assert torch.equal(state, torch.random.get_rng_state()), "the caller's draws are left alone"


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"temperature": 0.5}, "do_sample=true"),
        ({"max_new_tokens": 0}, "max_new_tokens"),
        ({"min_new_tokens": 9, "max_new_tokens": 3}, "more than max_new_tokens=3"),
        ({"num_return_sequences": 3}, "as many beams"),
        ({"length_penalty": 2.0}, "is for a beam search"),
        ({"max_tokens": 3}, "max_tokens"),
    ],
)
def test_options_that_mean_nothing_are_refused(run_folder: Path, options: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        adapt_core.load_run(run_folder).predict([QUESTION], **options)


def test_a_prompt_without_room_behind_it_is_refused(run_folder: Path) -> None:
    with pytest.raises(AdaptError, match=r"Row 2 has \d+ tokens, and up to 400 .* has 512 positions"):
        adapt_core.load_run(run_folder).predict([QUESTION, QUESTION * 20], max_new_tokens=400)


def test_the_command_reads_texts_a_file_and_standard_input(
    run_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    file = write_rows(tmp_path / "prompts.jsonl", [{"prompt": QUESTION, "id": 7}])
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{QUESTION}\n"))
    for given in ((QUESTION,), ("--input", str(file)), ("--input", "-")):
        assert command_line(["predict", str(run_folder), *given, "-O", "max_new_tokens=12", "--jsonl"]) == 0
        (line,) = map(json.loads, capsys.readouterr().out.splitlines())
        assert line["generated"] == " It is blue."
        assert line.get("columns", {"id": 7})["id"] == 7


def test_a_conversation_is_answered(quick: Any, tmp_path: Path) -> None:
    training = {"max_steps": None, "epochs": 12}
    quick("chat", task={"completion_only": True}, training=training)
    run = adapt_core.load_run(tmp_path / "quick")
    found = run.predict([f"What colour is {thing}?" for thing in FACTS], max_new_tokens=12)
    assert [each["generated"] for each in found] == [f"It is {colour}." for colour in FACTS.values()]
    spoken = json.dumps(rows("chat")[0]["messages"])
    assert run.predict([spoken], max_new_tokens=12)[0]["generated"] == "It is blue."


def test_an_assistant_that_speaks_first_and_alone_samples_nothing(quick: Any, tmp_path: Path) -> None:
    """There is nothing to go on from: its own answer would be the prompt."""
    alone = {"messages": [{"role": "assistant", "content": "Hello, you."}, {"role": "user", "content": "Hm."}]}
    data = tmp_path / "data"
    data.mkdir()
    write_rows(data / "train.jsonl", rows("chat"))
    write_rows(data / "validation.jsonl", [alone, *rows("chat")])
    quick("chat", dataset={"path": str(data)}, task={"samples": 1})
    page = (tmp_path / "quick" / "report.html").read_text()
    generated = page[page.index("Generated texts") :]
    assert "Hello, you." not in generated
    assert "It is blue." in generated


# ---- resuming ---------------------------------------------------------------------------------------------------


@contextmanager
def stopped_at(step: int) -> Iterator[None]:
    """A real SIGTERM to this process, when the optimizer is about to take that step."""
    original, taken = torch.optim.AdamW.step, 0

    def counted(self: Any, *args: Any, **kwargs: Any) -> Any:
        nonlocal taken
        taken += len(self.param_groups[0]["params"]) > 1  # not the trial step that checks the machine
        if taken == step:
            os.kill(os.getpid(), signal.SIGTERM)
        return original(self, *args, **kwargs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.optim.AdamW, "step", counted)
        yield


def test_a_run_that_was_stopped_ends_as_one_that_was_not(
    llama: Path, data: dict[str, Path], tmp_path: Path, no_reload: None
) -> None:
    """With packed rows and dropout: the same weights, log, metrics and report of perplexity."""

    def config(name: str) -> dict[str, Any]:
        training = {"max_steps": 10, "interval": "steps", "interval_steps": 4, "logging_steps": 1, "batch_size": 1}
        method = {"name": "lora", "dropout": 0.2}
        return configuration(llama, data["text"], tmp_path / name, method=method, training=training)

    adapt_core.run(config("whole"))
    with stopped_at(6), pytest.raises(Interrupted):
        adapt_core.run(config("stopped"))
    adapt_core.run(config("stopped"), resume=True)
    whole, stopped = (
        (
            (tmp_path / name / "model" / "adapter_model.safetensors").read_bytes(),
            (tmp_path / name / "metrics.jsonl").read_text(),
            json.loads((tmp_path / name / "result.json").read_text())["metrics"],
        )
        for name in ("whole", "stopped")
    )
    assert whole == stopped
    assert "before training" in (tmp_path / "stopped" / "report.html").read_text()


# ---- real data --------------------------------------------------------------------------------------------------


@pytest.mark.e2e
def test_a_pretrained_model_learns_real_texts(test_data: Path, tmp_path: Path, no_reload: None) -> None:
    """BabyLlama, which has only read children's stories, on grade-school maths; its end token pads."""
    run = tmp_path / "run"
    config = {
        "task": {"name": "text_generation", "max_seq_length": 128, "samples": 1, "sample_tokens": 8},
        "model": {"path": str(test_data / "weights" / "babyllama_tok105")},
        "dataset": {
            "path": str(test_data / "text_generation" / "gsm8k"),
            "validation_split": "test",
            "format_string": "{question}\n{answer}",
            "format_names": ["question", "answer"],
            "max_train_samples": 160,
            "max_eval_samples": 40,
        },
        "method": "full",
        "training": {"lr": 1e-3, "epochs": 2, "batch_size": 8, "num_workers": 0, "logging_steps": 5},
        "save": "none",
        "output_dir": str(run),
    }
    after = adapt_core.run(config)["metrics"]["perplexity"]
    lines = adapt_core.load_run(run).folder.read_metrics()
    before = lines[0]["eval_perplexity"]
    assert (lines[0]["step"], after < 0.7 * before) == (0, True), (before, after)
    losses = [line["loss"] for line in lines if "loss" in line]
    assert losses[-1] < losses[0]


def test_adapt_explain_lists_the_options_of_predicting(capsys: pytest.CaptureFixture[str]) -> None:
    assert command_line(["explain", "task", "text_generation"]) == 0
    shown = capsys.readouterr().out
    assert "Options of a prediction (adapt predict RUN -O NAME=VALUE):" in shown and "max_new_tokens" in shown
