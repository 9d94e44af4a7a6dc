"""Every parameter of the tables of the language tasks, by its flat name: what a run is made with follows it.

What the Trainer does with its arguments is tested beside its engine, what PEFT does with a method's beside the method.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from tiny_language_model import rows as facts
from tiny_language_model import write_llama
from tiny_language_model import write_rows as write_facts
from tiny_seq2seq import DOCUMENTS, PHRASES, write_bart, write_rows
from transformers import GPT2Config, GPT2LMHeadModel

import adapt_core
from adapt_core.api import plan_of
from adapt_core.engines.trainer.arguments import training_arguments
from adapt_core.errors import AdaptError
from adapt_core.interfaces import World
from adapt_core.pipeline.applying import applied

TABLES: dict[str, set[str]] = {
    "common training parameters": {
        "DO_TRAIN", "DO_EVAL", "NUM_WORKERS", "BATCH_SIZE", "EPOCHS", "OPTIMIZER", "LR", "SCHEDULER_TYPE",
        "WEIGHT_DECAY", "BETA1", "BETA2", "ADAM_EPS", "INTERVAL", "INTERVAL_STEPS", "NO_OF_CHECKPOINTS", "FP16",
        "RESUME_FROM_CHECKPOINT", "GRADIENT_ACCUMULATION_STEPS", "GRADIENT_CHECKPOINTING", "SAVE_METHOD",
    },
    "LoRA": {"r", "alpha", "dropout", "target_modules", "fan_in_fan_out", "init_lora_weights"},
    "DoRA": {"r", "alpha", "dropout", "target_modules", "fan_in_fan_out"},
    "other methods": {"FULL_FINE_TUNING", "LAST_LAYER_TUNING"},
    "text generation": {"packing", "dataset_text_field", "max_seq_length", "flash_attention2"},
    "text classification": {"subtask"},
    "summarization": {
        "MAX_TRAIN_SAMPLES", "MAX_EVAL_SAMPLES", "max_input_length", "max_target_length", "eval_metric",
        "generation_max_length",
    },
    "translation": {"max_input_length", "max_target_length", "eval_metric", "source_lang", "target_lang", "PREFIX"},
    "question answering": {"MAX_TRAIN_SAMPLES", "MAX_EVAL_SAMPLES", "max_answer_length", "max_length", "doc_stride"},
}  # fmt: skip
SEEN: dict[str, set[str]] = {name: set() for name in TABLES}

pytestmark = pytest.mark.usefixtures("no_reload")


def sees(table: str, *names: str) -> Callable[[Any], Any]:
    """Marks a test as one that sees the effect of parameters of a table."""
    SEEN[table] |= set(names)
    return lambda test: test


def test_every_parameter_of_the_tables_has_a_test() -> None:
    assert SEEN == TABLES


@pytest.fixture(scope="module")
def flat(
    encoder: Path, texts: Path, sentences: Path, questions: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, dict[str, Any]]:
    """A flat configuration of each task."""
    folder = tmp_path_factory.mktemp("flat")
    llama, bart = write_llama(folder / "llama"), write_bart(folder / "bart", max_position_embeddings=600)
    places = {
        "text_classification": (encoder, texts),
        "token_classification": (encoder, sentences),
        "question_answering": (encoder, questions),
        "text_generation": (llama, write_facts(folder / "facts.jsonl", facts("text"), 3)),
        "summarization": (bart, write_rows(folder / "documents.jsonl", DOCUMENTS, 3)),
        "translation": (bart, write_rows(folder / "phrases.jsonl", PHRASES, 3)),
    }
    kept: dict[str, Any] = {"question_answering": {"max_length": 20, "doc_stride": 4}}
    kept["translation"] = {"target_lang": "sv"}
    return {
        task: {
            "TASK": task,
            "LOCAL_MODEL_PATH": str(model),
            "CUSTOM_DATASET_PATH": str(data),
            "PEFT_METHOD": "lora",
            "NUM_WORKERS": 0,
            "OUTPUT_DIR": str(folder / "unused"),
            **kept.get(task, {}),
        }
        for task, (model, data) in places.items()
    }


def loaded(config: Mapping[str, Any]) -> tuple[Any, Any]:
    """The task of a configuration, and its data."""
    task = plan_of(dict(config)).make_task()
    return task, task.load_data()


# ---- training -------------------------------------------------------------------------------------------------------

ARGUMENTS: dict[str, tuple[Any, str, Any]] = {
    # What is given, and which argument of the Trainer is what then.
    "DO_EVAL": (False, "eval_strategy", "no"),
    "NUM_WORKERS": (3, "dataloader_num_workers", 3),
    "BATCH_SIZE": (5, "per_device_train_batch_size", 5),
    "EPOCHS": (7, "num_train_epochs", 7),
    "OPTIMIZER": ("sgd", "optim", "sgd"),
    "LR": (3e-3, "learning_rate", 3e-3),
    "SCHEDULER_TYPE": ("cosine", "lr_scheduler_type", "cosine"),
    "WEIGHT_DECAY": (0.2, "weight_decay", 0.2),
    "BETA1": (0.8, "adam_beta1", 0.8),
    "BETA2": (0.95, "adam_beta2", 0.95),
    "ADAM_EPS": (1e-6, "adam_epsilon", 1e-6),
    "INTERVAL": ("steps", "save_strategy", "steps"),
    "INTERVAL_STEPS": (9, "save_steps", 9),
    "GRADIENT_ACCUMULATION_STEPS": (4, "gradient_accumulation_steps", 4),
    "GRADIENT_CHECKPOINTING": (True, "gradient_checkpointing", True),
}
DEFAULTS = {"num_train_epochs": 2, "per_device_train_batch_size": 16, "learning_rate": 1e-4, "optim": "adamw_torch"}


@sees("common training parameters", *ARGUMENTS)
def test_the_trainer_of_each_task_is_told(flat: dict[str, dict[str, Any]], tmp_path: Path) -> None:
    for config in flat.values():
        plain = training_arguments(plan_of(config).training, 1, tmp_path, "run", World())
        assert {name: getattr(plain, name) for name in DEFAULTS} == DEFAULTS
        given = plan_of({**config, **{name: value for name, (value, _, _) in ARGUMENTS.items()}})
        told = training_arguments(given.training, 1, tmp_path, "run", World())
        for name, (_, argument, value) in ARGUMENTS.items():
            assert getattr(told, argument) == value, name
            assert getattr(plain, argument) != value or name == "NUM_WORKERS", name


@sees("common training parameters", "FP16")
def test_fp16_needs_a_gpu(flat: dict[str, dict[str, Any]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(AdaptError, match=r"fp16 \(FP16\): this machine has no GPU"):
        adapt_core.run({**flat["text_classification"], "FP16": True, "OUTPUT_DIR": str(tmp_path / "run")})


@sees("common training parameters", "DO_TRAIN", "NO_OF_CHECKPOINTS", "RESUME_FROM_CHECKPOINT", "SAVE_METHOD")
def test_what_a_run_does_and_leaves(flat: dict[str, dict[str, Any]], tmp_path: Path) -> None:
    config = {**flat["summarization"], "OUTPUT_DIR": str(tmp_path / "run"), "generation_max_length": 4}
    steps = {"INTERVAL": "steps", "INTERVAL_STEPS": 1, "BATCH_SIZE": 4, "EPOCHS": 1, "DO_EVAL": False}
    config |= {**steps, "NO_OF_CHECKPOINTS": 2, "SAVE_METHOD": "safetensors"}
    adapt_core.run(config)
    run = tmp_path / "run"
    assert sorted(each.name for each in (run / "checkpoints").iterdir()) == ["checkpoint-4", "checkpoint-5"]
    assert [each.name for each in (run / "export").glob("*.safetensors")]
    (run / "result.json").unlink()  # as if it had been killed before its last step
    shutil.rmtree(run / "checkpoints" / "checkpoint-5")
    written = (run / "checkpoints" / "checkpoint-4").stat().st_mtime_ns
    assert adapt_core.run({**config, "RESUME_FROM_CHECKPOINT": True})["steps"] == 5
    assert (run / "checkpoints" / "checkpoint-4").stat().st_mtime_ns == written, "it went on from there"
    assert (run / "checkpoints" / "checkpoint-5").is_dir()
    other = {**config, "DO_TRAIN": False, "DO_EVAL": True, "OUTPUT_DIR": str(tmp_path / "other")}
    assert adapt_core.run(other)["steps"] == 0


# ---- methods --------------------------------------------------------------------------------------------------------


def adapted(config: Mapping[str, Any]) -> Any:
    """The model of a configuration with its method on it."""
    plan = plan_of(dict(config))
    task = plan.make_task()
    model = task.load_model(task.load_data().info)
    return applied(plan.method.make(), model.module, model.hints)


@sees("LoRA", *TABLES["LoRA"])
@sees("DoRA", *TABLES["DoRA"])
@pytest.mark.parametrize("method", ["LoRA", "DoRA"])
def test_peft_is_told(method: str, flat: dict[str, dict[str, Any]], tmp_path: Path) -> None:
    config = {**flat["text_generation"], "PEFT_METHOD": method}
    given = {"r": 3, "alpha": 5, "dropout": 0.25, "target_modules": ["q_proj", "v_proj"]}
    made = adapted({**config, **given}).peft_config["default"]
    assert (made.r, made.lora_alpha, made.lora_dropout, made.target_modules) == (3, 5, 0.25, {"q_proj", "v_proj"})
    assert made.use_dora == (method == "DoRA")
    plain = adapted(config)
    own = plain.peft_config["default"]
    assert (own.r, own.lora_alpha) == ((8, 16) if method == "LoRA" else (16, 8))
    assert own.lora_dropout == pytest.approx(0.1)
    assert {"q_proj", "down_proj"} <= {name.split(".")[-1] for name in plain.targeted_module_names}
    # GPT-2 stores its weights the other way round.
    write_llama(tmp_path / "gpt2")
    GPT2LMHeadModel(GPT2Config(vocab_size=330, n_embd=16, n_layer=1, n_head=2, n_positions=64)).save_pretrained(
        tmp_path / "gpt2"
    )
    other = {**config, "LOCAL_MODEL_PATH": str(tmp_path / "gpt2"), "target_modules": ["c_attn"], "max_seq_length": 32}
    assert adapted({**other, "fan_in_fan_out": True}).peft_config["default"].fan_in_fan_out is True
    if method == "LoRA":
        started = adapted({**config, "init_lora_weights": False})
        for model, moved in ((plain, False), (started, True)):
            found = [each for name, each in model.named_parameters() if "lora_B" in name]
            assert any(bool(each.any()) for each in found) == moved


@sees("other methods", "FULL_FINE_TUNING", "LAST_LAYER_TUNING")
def test_everything_or_the_head_alone_is_trained(flat: dict[str, dict[str, Any]]) -> None:
    config = {name: value for name, value in flat["text_classification"].items() if name != "PEFT_METHOD"}
    whole, last = (adapted({**config, name: True}) for name in ("FULL_FINE_TUNING", "LAST_LAYER_TUNING"))
    assert all(each.requires_grad for each in whole.parameters())
    trained = {name.split(".")[0] for name, each in last.named_parameters() if each.requires_grad}
    assert trained == {"classifier"}
    beside = adapted({**config, "PEFT_METHOD": "lora", "LAST_LAYER_TUNING": True})
    assert any("classifier" in name for name, each in beside.named_parameters() if each.requires_grad)


# ---- tasks ----------------------------------------------------------------------------------------------------------


@sees("text generation", "packing", "max_seq_length")
def test_rows_of_text_generation(flat: dict[str, dict[str, Any]]) -> None:
    def row_lengths(**given: Any) -> list[int]:
        task, data = loaded({**flat["text_generation"], **given})
        rows = task.engine_inputs(data, task.load_model(data.info)).train
        return [len(rows[row]["input_ids"]) for row in range(len(rows))]

    alone = row_lengths(packing=False, max_seq_length=64)
    together = row_lengths(packing=True, max_seq_length=64)
    assert len(together) < len(alone) == 16
    assert sum(together) == sum(alone)
    assert max(together) <= 64
    assert max(row_lengths(packing=False, max_seq_length=9)) == 9 < max(alone)
    assert len(row_lengths()) < 16, "packing is on by default"
    assert loaded(flat["text_generation"])[1].info["max_seq_length"] == 512


@sees("text generation", "dataset_text_field")
def test_the_field_of_the_text(flat: dict[str, dict[str, Any]], tmp_path: Path) -> None:
    data = write_rows(tmp_path / "rows.jsonl", [{"text": "a", "story": "b"}] * 4)
    config = {**flat["text_generation"], "CUSTOM_DATASET_PATH": str(data)}
    assert loaded(config)[1].train[0]["text"] == "a"
    assert loaded({**config, "dataset_text_field": "story"})[1].train[0]["text"] == "b"


@sees("text generation", "flash_attention2")
def test_flash_attention_is_refused_where_it_cannot_run(
    flat: dict[str, dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(AdaptError, match="flash_attention2: FlashAttention 2 needs a GPU"):
        loaded({**flat["text_generation"], "flash_attention2": True})


@sees("text classification", "subtask")
@pytest.mark.parametrize(("subtask", "kind"), [(None, "text"), ("ner", "token"), ("pos", "token"), ("chunk", "token")])
def test_the_subtask_chooses_what_is_classified(
    subtask: str | None, kind: str, flat: dict[str, dict[str, Any]], tmp_path: Path
) -> None:
    config = {**flat[f"{kind}_classification"], "TASK": "text_classification", "subtask": subtask}
    if subtask is None:
        assert loaded(config)[1].info["label_names"] == ["food", "music", "weather"]
        return
    lines = [json.loads(line) for line in Path(config["CUSTOM_DATASET_PATH"]).read_text().splitlines()]
    data = write_rows(
        tmp_path / "rows.jsonl",
        [{"tokens": line["tokens"], "other": [1], f"{subtask}_tags": line["ner_tags"]} for line in lines],
    )
    task, found = loaded({**config, "CUSTOM_DATASET_PATH": str(data)})
    assert type(task).__name__ == "TokenClassification"
    assert found.info["columns"]["tags"] == f"{subtask}_tags"
    assert task.options.subtask == subtask


@sees("summarization", "max_input_length", "max_target_length")
@sees("translation", "max_input_length", "max_target_length")
@pytest.mark.parametrize(("task", "longest"), [("summarization", 512), ("translation", 128)])
def test_longest_texts_and_targets(task: str, longest: int, flat: dict[str, dict[str, Any]]) -> None:
    _, data = loaded({**flat[task], "max_input_length": 6, "max_target_length": 4})
    rows = [data.train.encoded[row] for row in range(len(data.train.encoded))]
    assert max(len(row["input_ids"]) for row in rows) == 6
    assert max(len(row["labels"]) for row in rows) == 4
    own = plan_of(flat[task]).task.options
    assert (own.max_input_length, own.max_target_length) == (longest, 128)


@sees("summarization", "eval_metric", "generation_max_length", "MAX_TRAIN_SAMPLES", "MAX_EVAL_SAMPLES")
@sees("translation", "eval_metric")
def test_what_is_measured_of_which_texts(flat: dict[str, dict[str, Any]], tmp_path: Path) -> None:
    names = {"rouge": {"rouge1", "rouge2", "rougeL", "rougeLsum"}, "bleu": {"bleu"}, "sacrebleu": {"bleu", "chrf"}}
    for task, metric in (("summarization", "bleu"), ("translation", "sacrebleu"), ("summarization", None)):
        run = tmp_path / f"{task}-{metric}"
        given = {"MAX_TRAIN_SAMPLES": 8, "MAX_EVAL_SAMPLES": 2, "EPOCHS": 1, "generation_max_length": 3}
        config = {**flat[task], **given, "SAVE_METHOD": "none", "OUTPUT_DIR": str(run)}
        result = adapt_core.run(config | ({"eval_metric": metric} if metric else {}))
        assert set(result["metrics"]) == {"train_loss", "loss", *names[metric or "rouge"]}
        info = json.loads((run / "data.json").read_text())["rows"]
        assert (info["train"], info["validation"]) == (8, 2)
    loaded_run = adapt_core.load_run(run)
    (found,) = loaded_run.predict([DOCUMENTS[0]["document"]], min_new_tokens=3)
    written = loaded_run.model.processor(text_target=found["summary"], add_special_tokens=False)["input_ids"]
    assert len(written) <= 3
    assert plan_of(flat["summarization"]).task.options.generation_max_length == 128


@sees("translation", "source_lang", "target_lang", "PREFIX")
def test_languages_and_the_prefix(flat: dict[str, dict[str, Any]]) -> None:
    task, data = loaded({**flat["translation"], "source_lang": "sv", "target_lang": "en", "PREFIX": "översätt: "})
    assert data.train[0] == {"text": "katten", "target": "the cat"}
    tokenizer = task.load_processor(data.info)
    assert tokenizer.decode(data.train.encoded[0]["input_ids"]).startswith("<s>översätt: ")
    own = plan_of({name: value for name, value in flat["translation"].items() if name != "target_lang"}).task.options
    assert (own.source_lang, own.target_lang, own.prefix) == ("en", "ro", "")


@sees("question answering", "max_length", "doc_stride", "MAX_TRAIN_SAMPLES", "MAX_EVAL_SAMPLES")
def test_windows_and_numbers_of_questions(flat: dict[str, dict[str, Any]]) -> None:
    def windows(**given: Any) -> int:
        task, data = loaded({**flat["question_answering"], "MAX_TRAIN_SAMPLES": 30, "MAX_EVAL_SAMPLES": 5, **given})
        assert (len(data.train), len(data.evaluation)) == (30, 5)
        return len(task.engine_inputs(data, task.load_model(data.info)).train)

    few, more, most = windows(max_length=20), windows(max_length=10, doc_stride=2), windows(max_length=10, doc_stride=4)
    assert few == 30 < more < most
    own = plan_of({name: value for name, value in flat["question_answering"].items() if name.isupper()}).task.options
    assert (own.doc_stride, own.max_answer_length) == (128, 30)


@sees("question answering", "max_answer_length")
def test_longest_answers(answered_run: Path) -> None:
    run = adapt_core.load_run(answered_run)
    row = json.dumps({"question": "the song", "context": "rain piano drum song bread"})
    longest = {}
    for most in (1, 3):
        run.task.options = run.task.options.model_copy(update={"max_answer_length": most})
        (found,) = run.predict([row], n_best=20)
        longest[most] = max(len(each["answer"].split()) for each in found["n_best"])
    assert longest == {1: 1, 3: 3}
