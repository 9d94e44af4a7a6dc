"""What is said of a wrong value, an unknown key and options given in Python."""

from __future__ import annotations

from pathlib import Path

import fake_plugins
import pytest
from fake_plans import BASE, REGISTRY, problems_of, said
from mistakes import UNKNOWN_KEYS, WRONG_VALUES

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


@pytest.mark.parametrize(("line", "key", "code"), WRONG_VALUES)
def test_a_wrong_value_is_a_problem_at_its_place(line: str, key: str, code: str, tmp_path: Path) -> None:
    assert said(f"{BASE}{line}\n", tmp_path) == [(5, key, code, None)]


@pytest.mark.parametrize(("line", "key", "code", "suggestion"), UNKNOWN_KEYS)
def test_an_unknown_key_is_explained(line: str, key: str, code: str, suggestion: str | None, tmp_path: Path) -> None:
    assert said(f"{BASE}{line}\n", tmp_path) == [(5, key, code, suggestion)]


def test_a_mapping_has_problems_without_a_file() -> None:
    (problem,) = check(
        {"task": "read", "model": "m", "dataset": "d", "method": {"name": "low_rank", "r": 0}}, (), REGISTRY
    )
    assert problem == Problem("out-of-range", problem.message, "method.r")
    assert str(problem) == f"method.r: {problem.message}"


def test_a_code_that_does_not_exist_is_refused_where_it_is_written() -> None:
    with pytest.raises(ValueError, match="'unknown_key' is none of the codes of problems: no-such-file, "):
        Problem("unknown_key", "unknown key")


def test_a_constraint_that_does_not_exist_is_refused_where_it_is_written() -> None:
    """Pydantic would take it for a part of the JSON Schema, and hold nothing to it."""
    with pytest.raises(TypeError, match="option\\(\\) got gtt, which pydantic's Field does not have"):
        option(1.0, gtt=0, help="Above nothing.")


def test_options_given_in_python_are_held_to_their_model() -> None:
    assert validate_options(fake_plugins.RankOptions, {"r": 2}, "method low_rank") == fake_plugins.RankOptions(r=2)
    with pytest.raises(ConfigError) as caught:
        validate_options(fake_plugins.RankOptions, {"r": 0, "alhpa": 1, "modules": 3}, "method low_rank")
    assert [(each.file, each.key, each.code, each.suggestion) for each in caught.value.problems] == [
        ("method low_rank", "r", "out-of-range", None),
        ("method low_rank", "modules", "wrong-type", None),
        ("method low_rank", "alhpa", "unknown-key", "alpha"),
    ]
