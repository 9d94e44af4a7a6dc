"""From a configuration to a plan, or to every reason why there is none."""

from __future__ import annotations

import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import fake_plugins
import pytest
from config_strategies import CONFIG
from hypothesis import given, settings

from adapt_core.config_file import parse
from adapt_core.errors import EXIT_USAGE, ConfigError, Problem
from adapt_core.kinds import Kind, TaskSpec
from adapt_core.plan import RunPlan, build_plan, check, validate_options
from adapt_core.yaml_writer import to_yaml

REGISTRY = fake_plugins.registry()
BASE = "task: read\nmodel: hub/model\ndataset: hub-data\nmethod: low_rank\n"


def plan_of(data: Any, *overrides: str) -> RunPlan:
    return build_plan(data, overrides, REGISTRY)


def problems_of(text: str, tmp_path: Path, *overrides: str) -> list[Problem]:
    file = tmp_path / "run.yaml"
    file.write_text(text, encoding="utf-8")
    return check(file, overrides, REGISTRY)


def said(text: str, tmp_path: Path, *overrides: str) -> list[tuple[int | None, str, str, str | None]]:
    return [
        (problem.line, problem.key, problem.message, problem.suggestion)
        for problem in problems_of(text, tmp_path, *overrides)
    ]


# ---- plans ----------------------------------------------------------------------------------------------------


def test_a_plan_has_the_chosen_plugins_and_the_defaults_of_the_rest(tmp_path: Path) -> None:
    file = tmp_path / "first try.yaml"
    file.write_text(BASE + "r: 4\n")
    plan = plan_of(file)
    assert plan.task.spec.name == "read"
    assert plan.method.spec.name == "low_rank"
    assert plan.method.options == fake_plugins.RankOptions(r=4)
    assert plan.quantizer is None
    assert plan.saver is not None
    assert plan.saver.spec.name == "state_dict"
    assert plan.launcher.spec.name == "local"
    assert plan.model.source == "hub/model"
    assert plan.model.library == "transformers"
    assert plan.dataset == fake_plugins.ReadData(name="hub-data")
    assert plan.training.lr == 1e-4
    assert plan.train_head is None
    assert plan.seed == 56
    assert plan.output_dir == "runs/first try"


def test_the_folder_of_a_mapping_is_named_after_what_it_does() -> None:
    assert plan_of(parse(BASE, "f.yaml").data).output_dir == "runs/read-low_rank"


def test_the_flat_and_the_nested_form_give_the_same_plan() -> None:
    flat = {
        "TASK": "Reading",
        "PEFT_METHOD": "Low-Rank",
        "r": "4",
        "MODEL_PATH": "m",
        "DATASET": "d",
        "TEXT_COLUMN": "t",
        "LR": "1e-3",
        "FP16": "True",
        "load_in_4bit": True,
        "bnb_4bit_quant_type": "fp4",
        "DDP": True,
        "num_nodes": 2,
        "SAVE_METHOD": "pretrained",
        "SEED": 3,
        "OUTPUT_DIR": "out",
        "LAST_LAYER_TUNING": "True",
    }
    nested = {
        "task": "read",
        "method": {"name": "low_rank", "r": 4, "train_head": True},
        "model": {"name": "m"},
        "dataset": {"name": "d", "text_column": "t"},
        "training": {"lr": 1e-3, "fp16": True},
        "quantization": {"name": "four_bit", "kind": "fp4"},
        "launch": {"name": "many", "nodes": 2},
        "save": "pretrained",
        "seed": 3,
        "output_dir": "out",
    }
    plan = plan_of(flat)
    assert plan == plan_of(nested)
    assert plan.train_head is True
    assert plan.quantizer is not None
    assert plan.quantizer.options == fake_plugins.FourBitOptions(kind="fp4")


@pytest.mark.parametrize("none", ["none", "None", "NONE"])
def test_no_export_and_no_quantizer_can_be_said(none: str) -> None:
    plan = plan_of({**parse(BASE, "f").data, "SAVE_METHOD": none, "quantization": none})
    assert plan.saver is None
    assert plan.quantizer is None


def test_training_only_the_head_chooses_the_method_that_does(tmp_path: Path) -> None:
    file = tmp_path / "f.yaml"
    file.write_text("task: read\nmodel: m\ndataset: d\nLAST_LAYER_TUNING: 'True'\nlast_layer: 2\n")
    plan = plan_of(file)
    assert plan.method.spec.name == "head_only"
    assert plan.method.options == fake_plugins.HeadOptions(blocks=2)
    file.write_text("task: read\nmodel: m\ndataset: d\nmethod: {name: head_only, blocks: 2}\n")
    assert plan_of(file) == plan


def test_overrides_are_part_of_the_plan(tmp_path: Path) -> None:
    file = tmp_path / "f.yaml"
    file.write_text(BASE + "r: 4\nBATCH_SIZE: 8\n")
    plan = plan_of(file, "method.r=2", "training.batch_size=4", "LR=1e-3", "save=none", "output_dir=x")
    assert plan.method.options == fake_plugins.RankOptions(r=2)
    assert (plan.training.batch_size, plan.training.lr, plan.saver, plan.output_dir) == (4, 1e-3, None, "x")


def test_a_plan_is_the_same_after_pickling() -> None:
    plan = plan_of(parse(BASE, "f").data, "load_in_4bit=true", "training.optimizer_options={a: [1]}")
    assert pickle.loads(pickle.dumps(plan)) == plan


def test_a_home_folder_and_a_path_object_are_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "data").mkdir()
    plan = plan_of({"task": "read", "model": {"path": tmp_path}, "dataset": {"path": "~/data"}, "method": "whole"})
    assert plan.model.path == str(tmp_path)
    assert plan.dataset.path == str(tmp_path / "data")


def test_a_finished_run_is_read_though_its_data_is_gone() -> None:
    config = {"task": "read", "model": "m", "dataset": {"path": "/nowhere/at/all"}, "method": "whole"}
    with pytest.raises(ConfigError, match="/nowhere/at/all"):
        build_plan(config, (), REGISTRY)
    assert build_plan(config, (), REGISTRY, files_must_exist=False).dataset.path == "/nowhere/at/all"


@given(CONFIG)
@settings(max_examples=60, deadline=None)
def test_the_canonical_form_makes_an_equal_plan_also_through_a_file(config: dict[str, Any]) -> None:
    plan = plan_of(config)
    canonical = plan.canonical()
    again, from_file = plan_of(canonical), plan_of(parse(to_yaml(canonical), "f.yaml").data)
    if "nan" not in repr(canonical):  # Not a number, in the optimizer's own arguments, is not equal to itself.
        assert plan == again == from_file
    assert repr(canonical) == repr(again.canonical()) == repr(from_file.canonical())


def test_the_canonical_form_writes_out_every_default() -> None:
    canonical = plan_of(parse(BASE, "f").data).canonical()
    assert list(canonical) == [
        "task", "model", "dataset", "method", "quantization", "training", "save", "launch", "seed", "output_dir",
    ]  # fmt: skip
    assert canonical["method"] == {
        "name": "low_rank", "train_head": None, "r": 8, "alpha": 16, "modules": None, "init": True,
    }  # fmt: skip
    assert canonical["quantization"] == {"name": "none"}
    assert canonical["save"] == {"name": "state_dict"}
    assert canonical["model"] == {"name": "hub/model", "path": None, "library": "transformers"}


# ---- problems -------------------------------------------------------------------------------------------------


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


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "task: look\nmodel: m\ndataset: d\nmethod: low_rank\nsize: 3\nTEXT_COLUMN: x\n",
            [(6, "TEXT_COLUMN", "TEXT_COLUMN belongs to the data of task read; the task here is look", None)],
        ),
        (
            "task: read\nmodel: m\ndataset: {name: d, question_column: x}\nmethod: whole\n",
            [
                (
                    3,
                    "dataset.question_column",
                    "question_column belongs to the data of task answer of adapt-answers, which is not installed; "
                    "install it: pip install adapt-answers",
                    None,
                )
            ],
        ),
        (
            "task: {name: look, window: {strat: 3, end: x}}\nmodel: m\ndataset: d\nmethod: low_rank\nsize: 3\n",
            [
                (1, "task.window.strat", "unknown key", "start"),
                (1, "task.window.end", "expected a whole number, got 'x'", None),
            ],
        ),
        (
            "task: look\nmodel: m\ndataset: d\nmethod: low_rank\n",
            [(1, "task.size", "required, and not given", None)],
        ),
        (
            "task:\n  name: look\nmodel: m\ndataset: d\nmethod: low_rank\n",
            [(1, "task.size", "required, and not given", None)],
        ),
        ("", [(None, "", "the file is empty", None)]),
        (
            "seed: 1\n",
            [
                (None, "task", "a task is required; there are: look, read", None),
                (
                    None,
                    "method",
                    "a method is required; there are: failing, gone, head_only, low_rank, one_engine, whole",
                    None,
                ),
                (
                    None,
                    "model",
                    "exactly one of name (MODEL_PATH) and path (LOCAL_MODEL_PATH) is needed; neither is given",
                    None,
                ),
                (
                    None,
                    "dataset",
                    "exactly one of name (DATASET) and path (CUSTOM_DATASET_PATH) is needed; neither is given",
                    None,
                ),
            ],
        ),
        (
            # What belongs to a plugin that is misnamed is not called unknown.
            "task: raed\nmodel: m\ndataset: {name: d, text_column: x}\nmethod: lowrank\nr: 3\n"
            "TEXT_COLUMN: y\nxyzzy: 1\n",
            [
                (1, "task", "no task named 'raed' is installed; did you mean 'read'?", None),
                (4, "method", "no method named 'lowrank' is installed; did you mean 'low_rank'?", None),
                (7, "xyzzy", "unknown key", None),
            ],
        ),
        (
            "task: read\nmodel: m\ndataset: d\nmethod: gone\n",
            [
                (
                    4,
                    "method",
                    "cannot load fake_plugins_gone:Options: ModuleNotFoundError: No module named 'fake_plugins_gone'",
                    None,
                )
            ],
        ),
        (
            "task: read\nmodel: m\ndataset: d\nmethod: failing\n",
            [(4, "method", "fake_plugins.FailingOptions failed on it: KeyError: 'a bug'", None)],
        ),
        (
            "task: read\nmodel: m\ndataset: d\nmethod: scales\n",
            [
                (
                    4,
                    "method",
                    "the method 'scales' is provided by adapt-extra, which is not installed; pip install adapt-extra",
                    None,
                )
            ],
        ),
        (
            "task: read\nmodel: m\ndataset: d\nmethod: {r: 3}\n",
            [
                (
                    4,
                    "method.name",
                    "a method is required; there are: failing, gone, head_only, low_rank, one_engine, whole",
                    None,
                )
            ],
        ),
        (
            "MODEL_PATH: m\nLOCAL_MODEL_PATH: /\ntask: read\ndataset: d\nmethod: whole\n",
            [
                (
                    1,
                    "MODEL_PATH",
                    "exactly one of name (MODEL_PATH) and path (LOCAL_MODEL_PATH) is needed; both are given",
                    None,
                )
            ],
        ),
    ],
)
def test_problems_of_whole_configurations(text: str, expected: list[Any], tmp_path: Path) -> None:
    assert said(text, tmp_path) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "task: look\nmodel: m\ndataset: d\nmethod: whole\nsize: 1\nDDP: true\n",
            (
                6,
                "DDP",
                "the launcher many does not work with the engine of the task look (engines:Second); "
                "it works with engines:First",
            ),
        ),
        (
            "task: read\nmodel: m\ndataset: d\nmethod: one_engine\n",
            (
                4,
                "method",
                "the method one_engine does not work with the engine of the task read (engines:First); "
                "it works with engines:Second",
            ),
        ),
        (
            "task: look\nmodel: m\ndataset: d\nmethod: low_rank\nsize: 1\nload_in_4bit: true\n",
            (
                6,
                "load_in_4bit",
                "the quantizer four_bit works with models from transformers, and this one is from mmdet",
            ),
        ),
        (
            "task: look\nmodel: {name: m, library: TIMM}\ndataset: d\nmethod: whole\nsize: 1\nsave: pretrained\n",
            (6, "save", "the saver pretrained works with models from transformers, and this one is from timm"),
        ),
        (
            "task: read\nmodel: m\ndataset: d\nmethod: whole\nload_in_4bit: true\n",
            (
                5,
                "load_in_4bit",
                "the method whole cannot train on a base in 4 bits (four_bit); methods that can: low_rank",
            ),
        ),
        (
            "task: read\nmodel: m\ndataset: d\nmethod: whole\nLAST_LAYER_TUNING: false\n",
            (5, "LAST_LAYER_TUNING", "the method whole trains every parameter, the head's too; it cannot be frozen"),
        ),
        (
            "task: read\nmodel: m\ndataset: d\nmethod: head_only\nLAST_LAYER_TUNING: 'False'\n",
            (
                5,
                "LAST_LAYER_TUNING",
                "the method head_only trains the head; with the head frozen nothing would train",
            ),
        ),
        (
            "task: read\nmodel: m\ndataset: d\nFULL_FINE_TUNING: 'True'\nLAST_LAYER_TUNING: 'True'\n",
            (
                5,
                "LAST_LAYER_TUNING",
                "this trains the head beside an adapter or alone, but the method whole, which FULL_FINE_TUNING in line "
                "4 chooses, trains every parameter, the head's too; remove one",
            ),
        ),
        (
            "task: read\nmodel: m\ndataset: d\nmethod: whole\nFULL_FINE_TUNING: false\n",
            (5, "FULL_FINE_TUNING", "false says not whole, which method in line 4 chooses; keep one"),
        ),
    ],
)
def test_combinations_that_cannot_work_are_refused_with_the_reason(text: str, expected: Any, tmp_path: Path) -> None:
    assert [each[:3] for each in said(text, tmp_path)] == [expected]


def test_missing_files_are_named_with_the_place_that_was_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    text = "task: read\nmodel:\n  path: models/m\nCUSTOM_DATASET_PATH: ../data\nmethod: whole\n"
    assert said(text, tmp_path) == [
        (3, "model.path", f"there is no such file or folder: {tmp_path / 'models' / 'm'}", None),
        (4, "CUSTOM_DATASET_PATH", f"there is no such file or folder: {tmp_path.parent / 'data'}", None),
    ]


def test_a_name_that_two_distributions_offer_is_an_error_where_it_is_used(tmp_path: Path) -> None:
    registry = fake_plugins.registry((Kind.METHOD, fake_plugins.method("low_rank")))
    file = tmp_path / "f.yaml"
    file.write_text(BASE)
    (problem,) = check(file, (), registry)
    assert "adapt-fake 1.0" in problem.message
    assert "third-party 2.0" in problem.message
    file.write_text(BASE.replace("low_rank", "whole"))
    assert check(file, (), registry) == []


def test_two_methods_that_train_only_the_head_must_be_told_apart_by_name(tmp_path: Path) -> None:
    registry = fake_plugins.registry((Kind.METHOD, fake_plugins.method("other_head", head="only")))
    file = tmp_path / "f.yaml"
    file.write_text("task: read\nmodel: m\ndataset: d\nLAST_LAYER_TUNING: true\n")
    (problem,) = check(file, (), registry)
    assert problem.message == (
        "no method is named; methods that train only the head: head_only and other_head; name one"
    )


def test_a_plugin_whose_option_hides_one_of_the_core_is_refused(tmp_path: Path) -> None:
    hiding = fake_plugins.method("hiding", options="adapt_core.config:MethodSection")
    registry = fake_plugins.registry((Kind.METHOD, hiding))
    file = tmp_path / "f.yaml"
    file.write_text(BASE.replace("low_rank", "hiding"))
    (problem,) = check(file, (), registry)
    assert problem.message == "the method hiding of third-party is broken: its option 'name' is the core's own"


def test_a_task_whose_data_is_no_data_section_is_refused(tmp_path: Path) -> None:
    odd = fake_plugins.spec(TaskSpec, "odd", engine="a:B", dataset="fake_plugins:RankOptions")
    registry = fake_plugins.registry((Kind.TASK, odd))
    file = tmp_path / "f.yaml"
    file.write_text(BASE.replace("read", "odd"))
    (problem,) = check(file, (), registry)
    assert problem.message == (
        "the task odd of third-party is broken: fake_plugins:RankOptions is no subclass of "
        "adapt_core.config:DatasetOptions"
    )


def test_a_key_of_many_plugins_is_not_a_list_of_them_all(tmp_path: Path) -> None:
    names = ["aa", "bb", "cc", "dd"]
    more = [(Kind.METHOD, fake_plugins.method(name, options="fake_plugins:RankOptions")) for name in names]
    file = tmp_path / "f.yaml"
    file.write_text(BASE.replace("low_rank", "whole") + "r: 3\n")
    (problem,) = check(file, (), fake_plugins.registry(*more))
    assert problem.message == "r belongs to method aa, bb, cc and others; the method here is whole"


def test_a_mapping_has_problems_without_a_file() -> None:
    (problem,) = check(
        {"task": "read", "model": "m", "dataset": "d", "method": {"name": "low_rank", "r": 0}}, (), REGISTRY
    )
    assert problem == Problem("must be greater than 0, got 0", "method.r")
    assert str(problem) == "method.r: must be greater than 0, got 0"


def test_options_given_in_python_are_held_to_their_model() -> None:
    assert validate_options(fake_plugins.RankOptions, {"r": 2}, "method low_rank") == fake_plugins.RankOptions(r=2)
    with pytest.raises(ConfigError) as caught:
        validate_options(fake_plugins.RankOptions, {"r": 0, "alhpa": 1, "modules": 3}, "method low_rank")
    assert [str(problem) for problem in caught.value.problems] == [
        "method low_rank: r: must be greater than 0, got 0",
        "method low_rank: modules: expected a list or text, got 3",
        "method low_rank: alhpa: unknown option; did you mean 'alpha'?",
    ]


def test_building_a_plan_imports_nothing_heavy(tmp_path: Path) -> None:
    file = tmp_path / "f.yaml"
    file.write_text("task: read\nmodel: m\ndataset: d\nmethod: low_rank\nxyzzy: 1\n")
    code = (
        "import sys, fake_plugins\nfrom adapt_core.plan import check\n"
        f"assert len(check({str(file)!r}, (), fake_plugins.registry())) == 1\n"
        "print([name for name in ('torch', 'transformers', 'peft', 'datasets', 'numpy') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parent, capture_output=True, text=True)
    assert (done.stdout.strip(), done.stderr) == ("[]", "")
