"""Whole configurations whose parts are each right and cannot work together."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import fake_plugins
import pytest
from fake_plans import BASE, problems_of, said
from mistakes import COMBINATIONS, TWO_OF_ONE_NAME, WHOLE

from adapt_core.kinds import Kind, TaskSpec
from adapt_core.plan.build import check


@pytest.mark.parametrize(("text", "expected"), WHOLE)
def test_problems_of_whole_configurations(text: str, expected: list[Any], tmp_path: Path) -> None:
    assert [each[:3] for each in said(text, tmp_path)] == expected


@pytest.mark.parametrize(("text", "line", "key"), COMBINATIONS)
def test_combinations_that_cannot_work_are_refused(text: str, line: int, key: str, tmp_path: Path) -> None:
    assert said(text, tmp_path) == [(line, key, "impossible-combination", None)]


def test_missing_files_are_named_with_the_place_that_was_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    text = "task: read\nmodel:\n  path: models/m\nCUSTOM_DATASET_PATH: ../data\nmethod: whole\n"
    problems = problems_of(text, tmp_path)
    assert [(each.line, each.key, each.code) for each in problems] == [
        (3, "model.path", "no-such-file"),
        (4, "CUSTOM_DATASET_PATH", "no-such-file"),
    ]
    for problem, place in zip(problems, (tmp_path / "models" / "m", tmp_path.parent / "data"), strict=True):
        assert problem.message.endswith(f": {place}")


def test_a_folder_is_no_name_of_the_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The library would take it for the model, and what the run leaves would be found from this folder alone."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "models" / "m").mkdir(parents=True)
    text = "task: read\nmodel: models/m\ndataset: d\nmethod: whole\n"
    (problem,) = problems_of(text, tmp_path)
    assert (problem.line, problem.key, problem.code) == (2, "model", "invalid-value")
    assert problem.message.endswith("model.path")
    assert said(text.replace("model: models/m", "model: {path: models/m}"), tmp_path) == []
    assert said(text.replace("models/m", "models/other"), tmp_path) == []


def test_a_name_that_two_distributions_offer_is_an_error_where_it_is_used(tmp_path: Path) -> None:
    file = tmp_path / "f.yaml"
    file.write_text(BASE)
    (problem,) = check(file, (), TWO_OF_ONE_NAME)
    assert problem.code == "plugin-ambiguous"
    assert "adapt-fake 1.0" in problem.message
    assert "third-party 2.0" in problem.message
    file.write_text(BASE.replace("low_rank", "whole"))
    assert check(file, (), TWO_OF_ONE_NAME) == []


def test_two_methods_that_train_only_the_head_must_be_told_apart_by_name(tmp_path: Path) -> None:
    registry = fake_plugins.registry((Kind.METHOD, fake_plugins.method("other_head", head="only")))
    file = tmp_path / "f.yaml"
    file.write_text("task: read\nmodel: m\ndataset: d\nLAST_LAYER_TUNING: true\n")
    (problem,) = check(file, (), registry)
    assert problem.code == "missing"
    assert "head_only and other_head" in problem.message


def test_a_plugin_whose_option_hides_one_of_the_core_is_refused(tmp_path: Path) -> None:
    hiding = fake_plugins.method("hiding", options="adapt_core.config.sections:MethodSection")
    registry = fake_plugins.registry((Kind.METHOD, hiding))
    file = tmp_path / "f.yaml"
    file.write_text(BASE.replace("low_rank", "hiding"))
    (problem,) = check(file, (), registry)
    assert problem.code == "plugin-broken"
    assert "method hiding of third-party" in problem.message and "'name'" in problem.message


def test_a_task_whose_data_is_no_data_section_is_refused(tmp_path: Path) -> None:
    odd = fake_plugins.spec(
        TaskSpec,
        "odd",
        libraries=fake_plugins.libraries(fake_plugins.ENGINE, "transformers"),
        dataset="fake_plugins:RankOptions",
    )
    registry = fake_plugins.registry((Kind.TASK, odd))
    file = tmp_path / "f.yaml"
    file.write_text(BASE.replace("read", "odd"))
    (problem,) = check(file, (), registry)
    assert problem.code == "plugin-broken"
    assert "task odd of third-party" in problem.message and "fake_plugins:RankOptions" in problem.message


def test_a_key_of_many_plugins_is_not_a_list_of_them_all(tmp_path: Path) -> None:
    names = ["aa", "bb", "cc", "dd"]
    more = [(Kind.METHOD, fake_plugins.method(name, options="fake_plugins:RankOptions")) for name in names]
    file = tmp_path / "f.yaml"
    file.write_text(BASE.replace("low_rank", "whole") + "r: 3\n")
    (problem,) = check(file, (), fake_plugins.registry(*more))
    assert problem.code == "key-of-another-plugin"
    assert "aa, bb, cc and others" in problem.message
