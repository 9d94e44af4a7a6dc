"""From a configuration to a plan."""

from __future__ import annotations

import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import fake_plugins
import pytest
from config_strategies import CONFIG
from fake_plans import BASE, REGISTRY, plan_of
from hypothesis import given, settings

from adapt_core.config.file import parse
from adapt_core.config.yaml_writer import to_yaml
from adapt_core.errors import ConfigError
from adapt_core.plan.build import build_plan


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


def test_a_home_folder_is_one_in_the_run_s_folder_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert plan_of(parse(BASE, "f").data, "output_dir=~/runs").output_dir == f"{tmp_path}/runs"


def test_that_a_run_was_resumed_is_no_part_of_what_it_does() -> None:
    plan = plan_of(parse(BASE, "f").data, "training.resume=true")
    assert plan.training.resume
    assert plan.canonical()["training"]["resume"] is False


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
        "name": "low_rank", "train_head": None, "train_batch_norm": False, "r": 8, "alpha": 16, "modules": None,
        "init": True,
    }  # fmt: skip
    assert canonical["quantization"] == {"name": "none"}
    assert canonical["save"] == {"name": "state_dict"}
    assert canonical["model"] == {"name": "hub/model", "path": None, "library": "transformers"}


def test_building_a_plan_imports_nothing_heavy(tmp_path: Path) -> None:
    file = tmp_path / "f.yaml"
    file.write_text("task: read\nmodel: m\ndataset: d\nmethod: low_rank\nxyzzy: 1\n")
    code = (
        "import sys, fake_plugins\nfrom adapt_core.plan.build import check\n"
        f"assert len(check({str(file)!r}, (), fake_plugins.registry())) == 1\n"
        "print([name for name in ('torch', 'transformers', 'peft', 'datasets', 'numpy') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[1], capture_output=True, text=True)
    assert (done.stdout.strip(), done.stderr) == ("[]", "")
