"""What is said of a wrong value, an unknown key and options given in Python."""

from __future__ import annotations

from pathlib import Path

import fake_plugins
import pytest
from fake_plans import BASE, REGISTRY, problems_of, said

from adapt_core.config.validate import validate_options
from adapt_core.errors import EXIT_USAGE, ConfigError, Problem
from adapt_core.options import option
from adapt_core.plan.build import build_plan, check


def test_all_problems_are_reported_at_once_in_the_order_of_the_file(tmp_path: Path) -> None:
    text = """\
TASK: read
MODEL_PATH: m
DATASET: d
method: low_rank
r: none
BATCH_SIZE: eight
BATCH_SIZE: 9
training:
  lr: 0
  epochs: true
  optimzer: sgd
dataset:
  path: nowhere
save: safetensor
seed: -1
"""
    found = problems_of(text, tmp_path, "LR=x", "bogus=1")
    assert [(problem.line, problem.key) for problem in found] == [
        (3, "DATASET"),
        (5, "r"),
        (6, "BATCH_SIZE"),
        (7, "BATCH_SIZE"),
        (10, "training.epochs"),
        (11, "training.optimzer"),
        (13, "dataset.path"),
        (14, "save"),
        (15, "seed"),
        (None, "LR"),
        (None, "bogus"),
    ]
    assert {problem.file for problem in found[:-2]} == {str(tmp_path / "run.yaml")}
    assert {problem.file for problem in found[-2:]} == {"command line"}
    with pytest.raises(ConfigError) as caught:
        build_plan(tmp_path / "run.yaml", ["LR=x", "bogus=1"], REGISTRY)
    assert list(caught.value.problems) == found
    assert caught.value.exit_code == EXIT_USAGE
    assert str(caught.value).startswith("The configuration has 11 problems.\n  ")


@pytest.mark.parametrize(
    ("line", "key", "message"),
    [
        ("LR: x", "LR", "expected a number, got 'x'"),
        ("LR: ", "LR", "expected a number, got nothing"),
        ("LR: .inf", "LR", "expected a finite number, got inf"),
        ("LR: -1", "LR", "must be greater than 0, got -1"),
        ("LR: [1]", "LR", "expected a number, got a list"),
        ("BATCH_SIZE: 2.5", "BATCH_SIZE", "expected a whole number, got 2.5"),
        ("BATCH_SIZE: eight", "BATCH_SIZE", "expected a whole number, got 'eight'"),
        ("BATCH_SIZE: true", "BATCH_SIZE", "expected a whole number, got true"),
        ("LR: true", "LR", "expected a number, got true"),
        ("MAX_TRAIN_SAMPLES: false", "MAX_TRAIN_SAMPLES", "expected a whole number, got false"),
        ("BETA1: 1", "BETA1", "must be less than 1, got 1"),
        ("BETA1: -0.5", "BETA1", "must be at least 0, got -0.5"),
        ("FP16: maybe", "FP16", "expected true or false, got 'maybe'"),
        ("FP16: 2", "FP16", "expected true or false, got 2"),
        ("INTERVAL: epochs", "INTERVAL", "must be 'epoch' or 'steps', got 'epochs'; did you mean 'epoch'?"),
        ("INTERVAL: 3", "INTERVAL", "must be 'epoch' or 'steps', got 3"),
        ("OPTIMIZER: adamw", "OPTIMIZER", "unknown optimizer 'adamw'; did you mean 'adamw_torch'?"),
        ("OPTIMIZER: 3", "OPTIMIZER", "expected text, got 3; write it in quotes: '3'"),
        ("SCHEDULER_TYPE: liner", "SCHEDULER_TYPE", "unknown schedule 'liner'; did you mean 'linear'?"),
        ("TEXT_COLUMN: 3", "TEXT_COLUMN", "expected text, got 3; write it in quotes: '3'"),
        ("OUTPUT_DIR: ''", "OUTPUT_DIR", "must not be empty"),
        ("SEED: 4294967296", "SEED", "must be less than 4294967296, got 4294967296"),
        ("target_modules: 5", "target_modules", "expected a list or text, got 5"),
        ("target_modules: [a, 5]", "target_modules[1]", "expected text, got 5; write it in quotes: '5'"),
        ("training: {trackers: mlflow}", "training.trackers", "expected a list, got 'mlflow'"),
        ("training: {trackers: [mlfow]}", "training.trackers", "unknown tracker 'mlfow'; did you mean 'mlflow'?"),
        ("training: {optimizer_options: 3}", "training.optimizer_options", "expected a mapping, got 3"),
        (
            "training: {optimizer_options: {1: 2}}",
            "training.optimizer_options[1]",
            "as a key: expected text, got 1; write it in quotes: '1'",
        ),
        (
            "training: {fp16: true, bf16: true}",
            "training.fp16",
            "fp16 (FP16) and bf16 exclude each other; choose one",
        ),
        ("Library: mmdet", "Library", "the task read takes models from transformers, not from mmdet"),
        ("load_in_8bit: true", "load_in_8bit", "the method low_rank cannot train on a base in 8 bits (eight_bit)"),
        ("LAST_LAYER_TUNING: 3", "LAST_LAYER_TUNING", "expected true or false, got 3"),
        ("save: 5", "save", "this is a section: its keys stand below it, indented; got 5"),
        ("SAVE_METHOD: 5", "SAVE_METHOD", "expected the name of a saver, got 5"),
        ("save: state_dct", "save", "no saver named 'state_dct' is installed; did you mean 'state_dict'?"),
    ],
)
def test_a_wrong_value_is_said_in_plain_words(line: str, key: str, message: str, tmp_path: Path) -> None:
    assert said(BASE + line + "\n", tmp_path) == [(5, key, message, None)]


@pytest.mark.parametrize(
    ("line", "key", "message", "suggestion"),
    [
        ("BATCH: 3", "BATCH", "unknown key", "BATCH_SIZE"),
        ("Batch_Sise: 3", "Batch_Sise", "unknown key", "BATCH_SIZE"),
        ("trainig: {lr: 3}", "trainig", "unknown key", "training"),
        ("xyzzy: 3", "xyzzy", "unknown key", None),
        ("12: 3", "12", "unknown key", None),
        ("batch_size: 3", "batch_size", "unknown key here; batch_size belongs to training", "training.batch_size"),
        ("path: x", "path", "unknown key here; path belongs to model or dataset", None),
        ("training: {learning_rate: 3}", "training.learning_rate", "unknown key", "lr"),
        ("learning_rate: 3", "learning_rate", "unknown key", "LR"),
        ("rank: 3", "rank", "unknown key", "r"),
        ("training: {weight_deca: 3}", "training.weight_deca", "unknown key", "weight_decay"),
        ("training: {modles: 3}", "training.modles", "unknown key", "method.modules"),
        (
            "training: {LR: 3}",
            "training.LR",
            "LR is the name for the top level; in this section it is lr",
            "lr",
        ),
        ("training: {r: 3}", "training.r", "unknown key here; r belongs to method", "method.r"),
        ("training: {seed: 3}", "training.seed", "unknown key here; seed belongs to the top level", "seed"),
        (
            "training: {method: whole}",
            "training.method",
            "unknown key here; method is a section of the top level",
            "method",
        ),
        ("training: {1: 3}", "training[1]", "unknown key", None),
        ("save: {name: state_dict, half: true}", "save.half", "unknown key; known here: name", None),
        ("last_layer: 2", "last_layer", "last_layer belongs to method head_only; the method here is low_rank", None),
        ("num_nodes: 2", "num_nodes", "num_nodes belongs to launcher many; the launcher here is local", None),
        (
            "bnb_4bit_quant_type: nf4",
            "bnb_4bit_quant_type",
            "bnb_4bit_quant_type belongs to quantizer four_bit; no quantizer is chosen",
            None,
        ),
        (
            "quantization: {kind: nf4}",
            "quantization.kind",
            "kind belongs to quantizer four_bit; no quantizer is chosen",
            None,
        ),
        (
            "train_ann_file: x",
            "train_ann_file",
            "train_ann_file belongs to the data of task look; the task here is read",
            None,
        ),
        (
            "SSF_SCALE: 2",
            "SSF_SCALE",
            "SSF_SCALE belongs to method scales of adapt-extra, which is not installed; "
            "install it: pip install adapt-extra",
            None,
        ),
        (
            "SCALE_TUNING: true",
            "SCALE_TUNING",
            "SCALE_TUNING belongs to method scales of adapt-extra, which is not installed; "
            "install it: pip install adapt-extra",
            None,
        ),
    ],
)
def test_an_unknown_key_is_explained(line: str, key: str, message: str, suggestion: str | None, tmp_path: Path) -> None:
    assert said(BASE + line + "\n", tmp_path) == [(5, key, message, suggestion)]


def test_a_mapping_has_problems_without_a_file() -> None:
    (problem,) = check(
        {"task": "read", "model": "m", "dataset": "d", "method": {"name": "low_rank", "r": 0}}, (), REGISTRY
    )
    assert problem == Problem("must be greater than 0, got 0", "method.r")
    assert str(problem) == "method.r: must be greater than 0, got 0"


def test_a_constraint_that_does_not_exist_is_refused_where_it_is_written() -> None:
    """Pydantic would take it for a part of the JSON Schema, and hold nothing to it."""
    with pytest.raises(TypeError, match="option\\(\\) got gtt, which pydantic's Field does not have"):
        option(1.0, gtt=0, help="Above nothing.")


def test_options_given_in_python_are_held_to_their_model() -> None:
    assert validate_options(fake_plugins.RankOptions, {"r": 2}, "method low_rank") == fake_plugins.RankOptions(r=2)
    with pytest.raises(ConfigError) as caught:
        validate_options(fake_plugins.RankOptions, {"r": 0, "alhpa": 1, "modules": 3}, "method low_rank")
    assert [str(problem) for problem in caught.value.problems] == [
        "method low_rank: r: must be greater than 0, got 0",
        "method low_rank: modules: expected a list or text, got 3",
        "method low_rank: alhpa: unknown option; did you mean 'alpha'?",
    ]
