"""Whole configurations whose parts are each right and cannot work together."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import fake_plugins
import pytest
from fake_plans import BASE, said

from adapt_core.kinds import Kind, TaskSpec
from adapt_core.plan.build import check


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
                "the launcher many does not work with the engine of the task look (fake_plugins:Second); "
                "it works with fake_plugins:First",
            ),
        ),
        (
            "task: read\nmodel: m\ndataset: d\nmethod: one_engine\n",
            (
                4,
                "method",
                "the method one_engine does not work with the engine of the task read (fake_plugins:First); "
                "it works with fake_plugins:Second",
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


def test_a_folder_is_no_name_of_the_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The library would take it for the model, and what the run leaves would be found from this folder alone."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "models" / "m").mkdir(parents=True)
    text = "task: read\nmodel: models/m\ndataset: d\nmethod: whole\n"
    message = "models/m is a folder here, and not a name of the hub: give it as model.path"
    assert said(text, tmp_path) == [(2, "model", message, None)]
    assert said(text.replace("model: models/m", "model: {path: models/m}"), tmp_path) == []
    assert said(text.replace("models/m", "models/other"), tmp_path) == []


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
    hiding = fake_plugins.method("hiding", options="adapt_core.config.sections:MethodSection")
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
        "adapt_core.config.sections:DatasetOptions"
    )


def test_a_key_of_many_plugins_is_not_a_list_of_them_all(tmp_path: Path) -> None:
    names = ["aa", "bb", "cc", "dd"]
    more = [(Kind.METHOD, fake_plugins.method(name, options="fake_plugins:RankOptions")) for name in names]
    file = tmp_path / "f.yaml"
    file.write_text(BASE.replace("low_rank", "whole") + "r: 3\n")
    (problem,) = check(file, (), fake_plugins.registry(*more))
    assert problem.message == "r belongs to method aa, bb, cc and others; the method here is whole"
