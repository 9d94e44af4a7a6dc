"""``adapt check``, ``adapt convert`` and ``adapt schema`` as commands; what they find is tested elsewhere."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from cli_runner import adapt
from fake_distributions import install, method_plugin, task_plugin

GOOD = "task: tested\nmodel: {path: model}\ndataset: {path: data.csv}\nmethod: lora\n"
FLAT = "TASK: tested\nLOCAL_MODEL_PATH: model\nCUSTOM_DATASET_PATH: data.csv\nmethod: LoRA\nLR: 3e-4\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The current folder, with a model, data, and an installed task ``tested``."""
    site, here = tmp_path / "site", tmp_path / "here"
    (here / "model").mkdir(parents=True)
    (here / "data.csv").write_text("text,label\n", encoding="utf-8")
    install(site, "tested-dist", "1.0", task_plugin("tested"), {"tested": "tested_plugin"})
    monkeypatch.syspath_prepend(site)
    monkeypatch.chdir(here)
    before = set(sys.modules)
    yield here
    for module in set(sys.modules) - before:
        del sys.modules[module]


def test_a_good_file_ends_with_0(folder: Path) -> None:
    (folder / "run.yaml").write_text(GOOD, encoding="utf-8")
    done = adapt("check", "run.yaml", "seed=3")
    assert (done.code, done.out) == (0, "run.yaml: no problems found\n")
    assert done.err == "To see the data as the model gets it: adapt data run.yaml seed=3\n"
    assert adapt("check", "run.yaml", "--json").json == {"ok": True, "problems": []}


def test_problems_as_json_have_exactly_these_keys_and_end_with_2(folder: Path) -> None:
    (folder / "run.yaml").write_text(GOOD + "training:\n  lrr: 3\n  epochs: -1\n", encoding="utf-8")
    done = adapt("check", "run.yaml", "--json")
    assert done.code == 2
    assert done.json["ok"] is False
    first, second = done.json["problems"]
    assert list(first) == ["file", "line", "key", "code", "message", "suggestion"]
    assert first == {
        "file": "run.yaml",
        "line": 6,
        "key": "training.lrr",
        "code": "unknown-key",
        "message": first["message"],
        "suggestion": first["suggestion"],
    }
    assert "lr" in first["suggestion"]
    assert (second["line"], second["key"], second["code"]) == (7, "training.epochs", "out-of-range")


def test_problems_for_people_are_one_line_each(folder: Path) -> None:
    (folder / "run.yaml").write_text(GOOD + "training:\n  lrr: 3\n  epochs: -1\n", encoding="utf-8")
    done = adapt("check", "run.yaml")
    assert done.code == 2
    lines = done.out.splitlines()
    assert [line.split(": ")[:2] for line in lines] == [
        ["run.yaml:6", "training.lrr"],
        ["run.yaml:7", "training.epochs"],
    ]
    assert done.err == "2 problems in run.yaml\n"


def test_overrides_are_checked_too(folder: Path) -> None:
    (folder / "run.yaml").write_text(GOOD, encoding="utf-8")
    assert adapt("check", "run.yaml", "training.lr=3e-4", "LAST_LAYER_TUNING=true").code == 0
    (problem,) = adapt("check", "run.yaml", "training.lr=0", "--json").json["problems"]
    assert (problem["file"], problem["line"], problem["key"]) == ("command line", None, "training.lr")


def test_a_file_that_is_not_there_is_a_problem_like_any_other(folder: Path) -> None:
    done = adapt("check", "nowhere.yaml", "--json")
    assert done.code == 2
    (problem,) = done.json["problems"]
    assert (problem["file"], problem["code"]) == ("nowhere.yaml", "no-such-file")


@pytest.mark.parametrize("key", ["method: bad-dist", "method: something_else", "BAD: true"])
def test_a_configuration_that_may_mean_a_broken_plugin_gives_its_reason(folder: Path, key: str) -> None:
    modules = {"bad_plugin": "import not_there_at_all"}
    install(folder.parent / "site", "bad-dist", "0.7", modules, {"bad-dist": "bad_plugin"})
    (folder / "run.yaml").write_text(GOOD.replace("method: lora", key), encoding="utf-8")
    done = adapt("check", "run.yaml")
    assert done.code == 2
    if "method" in key:
        assert "is broken: ModuleNotFoundError: No module named 'not_there_at_all'" in done.out


def test_a_configuration_that_names_a_plugin_without_its_class_gives_the_reason(folder: Path) -> None:
    modules = {"odd_plugin": method_plugin("odd", target="odd_plugin_that_is_gone:Odd")}
    install(folder.parent / "site", "odd-dist", "0.7", modules, {"odd": "odd_plugin"})
    (folder / "run.yaml").write_text(GOOD.replace("lora", "odd"), encoding="utf-8")
    done = adapt("check", "run.yaml")
    assert done.code == 2
    reason = "there is no module odd_plugin_that_is_gone"
    assert f"the method odd of odd-dist is broken: cannot load odd_plugin_that_is_gone:Odd: {reason}" in done.out


def test_a_configuration_that_names_a_clash_gives_both_distributions(folder: Path) -> None:
    for name in ("one", "two"):
        modules = {f"{name}_plugin": method_plugin("same")}
        install(folder.parent / "site", f"{name}-dist", "1.0", modules, {name: f"{name}_plugin"})
    (folder / "run.yaml").write_text(GOOD.replace("lora", "same"), encoding="utf-8")
    assert "one-dist 1.0 and by two-dist 1.0" in adapt("check", "run.yaml").out
    (folder / "run.yaml").write_text(GOOD, encoding="utf-8")
    assert adapt("check", "run.yaml").code == 0


def test_convert_prints_the_nested_form_which_means_the_same(folder: Path) -> None:
    (folder / "flat.yaml").write_text(FLAT, encoding="utf-8")
    done = adapt("convert", "flat.yaml")
    assert done.code == 0
    nested = yaml.safe_load(done.out)
    assert nested["training"]["lr"] == 3e-4
    assert nested["method"]["name"] == "lora"
    assert "#" in done.out
    (folder / "nested.yaml").write_text(done.out, encoding="utf-8")
    assert adapt("check", "nested.yaml").code == 0


@pytest.mark.parametrize("arguments", [("convert", "flat.yaml"), ("schema",)])
def test_output_goes_to_a_new_file_and_never_over_an_old_one(folder: Path, arguments: tuple[str, ...]) -> None:
    (folder / "flat.yaml").write_text(FLAT, encoding="utf-8")
    expected = adapt(*arguments).out
    done = adapt(*arguments, "-o", "new")
    assert (done.code, done.out, done.err) == (0, "", "wrote new\n")
    assert (folder / "new").read_text(encoding="utf-8") == expected
    again = adapt(*arguments, "-o", "new")
    assert again.code == 2
    assert "new exists and is not overwritten" in again.err
    nowhere = adapt(*arguments, "-o", "no/such/folder")
    assert nowhere.code == 2
    assert "cannot write no/such/folder: No such file or directory" in nowhere.err


def test_the_schema_is_json_with_the_options_of_every_plugin(folder: Path) -> None:
    schema = json.loads(adapt("schema").out)
    assert schema["$schema"].startswith("https://json-schema.org/")
    text = json.dumps(schema)
    assert '"init_lora_weights"' in text
    assert '"tested"' in text
