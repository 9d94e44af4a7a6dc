"""Rewriting a configuration in the nested form."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import fake_plugins
import pytest
from config_strategies import CONFIG
from hypothesis import HealthCheck, given, settings

from adapt_core.config.file import parse
from adapt_core.config.yaml_writer import to_yaml
from adapt_core.errors import ConfigError
from adapt_core.plan.build import build_plan
from adapt_core.plan.convert import convert

REGISTRY = fake_plugins.registry()


def converted(text: str, folder: Path) -> tuple[str, Path, Path]:
    """The new text, and the old and the new file, of one name in two folders."""
    old, new = folder / "old" / "run.yaml", folder / "new" / "run.yaml"
    old.parent.mkdir(exist_ok=True)
    new.parent.mkdir(exist_ok=True)
    old.write_text(text, encoding="utf-8")
    new.write_text(convert(old, REGISTRY), encoding="utf-8")
    return new.read_text(encoding="utf-8"), old, new


def test_the_flat_form_becomes_the_nested_one_with_what_each_key_means(tmp_path: Path) -> None:
    text, old, new = converted(
        """\
SEED: 3
TASK: READ
method: Low-Rank
r: "4"
MODEL_PATH: hub/model
LR: 1e-3
FP16: "False"
DATASET: 'no'
LAST_LAYER_TUNING: "True"
FULL_FINE_TUNING: false
DDP: true
""",
        tmp_path,
    )
    assert (
        text
        == """\
task:
  # The task (was TASK).
  name: read

model:
  # Hub name of the pretrained model (was MODEL_PATH).
  name: hub/model

dataset:
  # Hub name of the data set (was DATASET).
  name: 'no'

method:
  # The method.
  name: low_rank
  # Train the head beside the adapter, as by default; with no method named, only the head (was LAST_LAYER_TUNING).
  train_head: true
  # Rank.
  r: 4

training:
  # Peak learning rate (was LR).
  lr: 0.001
  # Mixed precision in float16; needs a GPU (was FP16).
  fp16: false

launch:
  # The launcher; local by default (was DDP).
  name: many

# Seed of every random choice (was SEED).
seed: 3
"""
    )
    assert build_plan(new, (), REGISTRY) == build_plan(old, (), REGISTRY)


@pytest.mark.parametrize(
    "text",
    [
        "TASK: read\nMODEL_PATH: m\nDATASET: d\nFULL_FINE_TUNING: true\n",
        "TASK: read\nMODEL_PATH: m\nDATASET: d\nLAST_LAYER_TUNING: true\nlast_layer: 2\n",
        "TASK: read\nMODEL_PATH: m\nDATASET: d\nmethod: whole\nSAVE_METHOD: none\nload_in_4bit: false\n",
        "task: {name: look, window: {end: 3}}\nsize: 3\nMODEL_PATH: m\nDATASET: d\nmethod: whole\ntrain_ann_file: x\n",
        "TASK: read\nMODEL_PATH: m\nDATASET: d\nmethod: low_rank\nload_in_4bit: true\nbnb_4bit_quant_type: fp4\n",
        '{"TASK": "read", "MODEL_PATH": "m", "dataset": {"name": "d", "names": {"0": "a"}}, "method": "whole"}',
        "TASK: read\nMODEL_PATH: m\ndataset: {name: d, names: {0: a, 1: b}}\nmethod: whole\nMAX_TRAIN_SAMPLES:\n",
    ],
)
def test_what_comes_out_makes_an_equal_plan_and_no_flat_name_is_left(text: str, tmp_path: Path) -> None:
    new_text, old, new = converted(text, tmp_path)
    assert build_plan(new, (), REGISTRY) == build_plan(old, (), REGISTRY)
    assert set(parse(new_text, "f.yaml").data) <= {
        "task",
        "model",
        "dataset",
        "method",
        "quantization",
        "save",
        "launch",
    }


@given(CONFIG)
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_converting_keeps_the_plan_of_any_configuration(tmp_path: Path, config: dict[str, Any]) -> None:
    _, old, new = converted(to_yaml(config), tmp_path)
    assert repr(build_plan(new, (), REGISTRY).canonical()) == repr(build_plan(old, (), REGISTRY).canonical())


def test_converting_twice_changes_nothing_but_the_old_names(tmp_path: Path) -> None:
    once, _, new = converted("TASK: read\nMODEL_PATH: m\nDATASET: d\nmethod: low_rank\nLR: 1\n", tmp_path)
    again = convert(new, REGISTRY)
    assert parse(again, "f.yaml").data == parse(once, "f.yaml").data
    assert convert(new, REGISTRY) == again
    assert "(was" not in again


def test_a_home_folder_stays_as_it_was_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    text, _, _ = converted("TASK: read\nLOCAL_MODEL_PATH: '~'\nDATASET: d\nmethod: whole\n", tmp_path)
    assert parse(text, "f.yaml").data["model"] == {"path": "~"}


def test_what_lies_on_another_machine_can_be_converted(tmp_path: Path) -> None:
    text, _, _ = converted("TASK: read\nLOCAL_MODEL_PATH: /not/here\nDATASET: d\nmethod: whole\n", tmp_path)
    assert parse(text, "f.yaml").data["model"] == {"path": "/not/here"}


def test_a_configuration_with_problems_is_not_converted(tmp_path: Path) -> None:
    file = tmp_path / "f.yaml"
    file.write_text("TASK: read\nLR: x\n")
    with pytest.raises(ConfigError) as caught:
        convert(file, REGISTRY)
    assert ("LR", 2) in [(problem.key, problem.line) for problem in caught.value.problems]
