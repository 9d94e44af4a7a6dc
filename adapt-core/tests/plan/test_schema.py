"""The JSON Schema agrees with what a configuration may hold."""

from __future__ import annotations

import json
from typing import Any

import fake_plugins
import pytest
from config_strategies import CONFIG
from hypothesis import given, settings
from jsonschema import Draft202012Validator

from adapt_core.config.flat import core_table
from adapt_core.config.sections import ROOT, SECTIONS
from adapt_core.plan.build import build_plan, check
from adapt_core.plan.schema import json_schema
from adapt_core.plugins.registry import Registry

REGISTRY = fake_plugins.registry()
SCHEMA = json_schema(REGISTRY)
VALIDATOR = Draft202012Validator(SCHEMA)

BASE: dict[str, Any] = {"task": "read", "model": {"name": "m"}, "dataset": {"name": "d"}, "method": "low_rank"}


def accepts(config: Any) -> bool:
    return not list(VALIDATOR.iter_errors(config))


def test_it_is_a_schema_of_the_draft_that_it_names() -> None:
    assert SCHEMA["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    Draft202012Validator.check_schema(SCHEMA)
    json.dumps(SCHEMA, allow_nan=False)


def test_the_installed_plugins_give_a_schema_too() -> None:
    schema = json_schema(Registry.load())
    Draft202012Validator.check_schema(schema)
    assert Draft202012Validator(schema["properties"]["method"]).is_valid("LoRA")


@given(CONFIG)
@settings(max_examples=40, deadline=None)
def test_it_accepts_what_makes_a_plan_and_its_canonical_form(config: dict[str, Any]) -> None:
    plan = build_plan(config, (), REGISTRY)
    assert accepts(json.loads(json.dumps(config)))
    assert accepts(plan.canonical())


@pytest.mark.parametrize(
    "config",
    [
        BASE,
        {"TASK": "Reading", "MODEL_PATH": "m", "DATASET": "d", "PEFT_METHOD": "Low-Rank", "r": 4, "LR": "1e-3"},
        {
            "TASK": "READ",
            "LOCAL_MODEL_PATH": "m",
            "CUSTOM_DATASET_PATH": "d",
            "FULL_FINE_TUNING": "True",
            "FP16": "False",
        },
        {"task": "read", "model": "m", "dataset": "d", "LAST_LAYER_TUNING": True, "last_layer": 2},
        {**BASE, "load_in_4bit": True, "bnb_4bit_quant_type": "nf4", "DDP": "true", "num_nodes": "2"},
        {**BASE, "quantization": {"name": "four_bit", "kind": "fp4"}, "launch": {"name": "many", "nodes": 2}},
        {**BASE, "method": {"r": 3}, "PEFT_METHOD": "low_rank"},
        {**BASE, "method": {"name": "LOW RANK", "train_head": True, "r": 3, "modules": ["a"]}},
        {**BASE, "dataset": {"name": "d", "text_column": "t", "names": {"a": "b"}}, "save": "none"},
        {
            **BASE,
            "task": {"name": "look", "size": 3, "window": {"start": 1}},
            "dataset": {"name": "d", "train_ann_file": "x"},
        },
        {**BASE, "training": {"optimizer_options": {"anything": [1, {"x": None}]}, "trackers": ["mlflow"]}},
        {**BASE, "quantization": "none", "save": {"name": "none"}, "seed": 3, "output_dir": "x"},
    ],
)
def test_it_accepts_good_configurations(config: dict[str, Any]) -> None:
    assert accepts(config)


@pytest.mark.parametrize(
    "config",
    [
        {**BASE, "BATCH": 3},
        {**BASE, "trainig": {}},
        {**BASE, "training": {"learning_rate": 3}},
        {**BASE, "training": {"lr": 0}},
        {**BASE, "training": {"lr": "fast"}},
        {**BASE, "training": {"batch_size": 2.5}},
        {**BASE, "training": {"interval": "epochs"}},
        {**BASE, "training": 3},
        {**BASE, "LR": "fast"},
        {**BASE, "FP16": "maybe"},
        {**BASE, "method": "lowrank"},
        {**BASE, "method": {"name": "whole", "r": 3}},
        {**BASE, "method": {"name": "low_rank", "rank": 3}},
        {**BASE, "method": {"name": "low_rank", "r": 0}},
        {**BASE, "dataset": {"name": "d", "train_ann_file": "x"}},
        {**BASE, "task": "look", "dataset": {"name": "d", "text_column": "x"}},
        {**BASE, "task": {"name": "look", "size": 3, "window": {"strat": 1}}},
        {**BASE, "save": "safetensor"},
        {**BASE, "launch": "none"},
        {**BASE, "method": "none"},
        {**BASE, "quantization": {"name": "eight_bit", "kind": "nf4"}},
        {**BASE, "seed": -1},
        {key: value for key, value in BASE.items() if key != "task"},
        {key: value for key, value in BASE.items() if key != "model"},
        {key: value for key, value in BASE.items() if key != "dataset"},
        {key: value for key, value in BASE.items() if key != "method"},
        [],
        "task",
    ],
)
def test_it_refuses_mistakes_that_the_check_refuses(config: Any) -> None:
    assert not accepts(config)
    if isinstance(config, dict):
        assert check(config, (), REGISTRY)


def test_every_key_of_the_top_level_is_described() -> None:
    table = core_table(fake_plugins.PLUGINS)
    assert {*SECTIONS, *ROOT.model_fields, *table.names, *table.switches} <= set(SCHEMA["properties"])
    for name in table.names:
        schema = SCHEMA["properties"][name]
        assert schema.get("description") or all(each["description"] for each in schema["anyOf"]), name


def test_an_editor_is_offered_names_and_defaults() -> None:
    training = SCHEMA["properties"]["training"]["anyOf"][0]["properties"]
    assert training["lr"]["default"] == 1e-4
    assert "adamw_torch" in training["optimizer"]["examples"]
    names = SCHEMA["properties"]["method"]["anyOf"][0]["anyOf"]
    assert {"low_rank", "whole"} <= {name["anyOf"][0]["const"] for name in names}
