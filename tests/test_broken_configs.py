"""Configurations with one mistake each, or many: where each is, its code, what is said of it, and exit code 2."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest
from write_messages import FOLDER, GOLDEN, NOT_BROKEN, golden, mistakes, place

from adapt_core.cli import main
from adapt_core.errors import CODES, EXIT_USAGE, ConfigError
from adapt_core.plan.build import build_plan

PROBLEMS: dict[str, list[list[object]]] = tomllib.loads((FOLDER / "table.toml").read_text(encoding="utf-8"))["problems"]

GOOD = {
    "nested.yaml": b"task: text_classification\nmodel:\n  path: {model}\ndataset:\n  path: {data}\nmethod: lora\n",
    "flat.yaml": b"TASK: text_classification\nLOCAL_MODEL_PATH: {model}\nCUSTOM_DATASET_PATH: {data}\nmethod: LoRA\n",
    "good.json": b'{"task": "text_classification", "model": {"path": "{model}"}, "dataset": {"path": "{data}"}, '
    b'"method": "lora"}',
}


def adapt(*args: str) -> int:
    with pytest.raises(SystemExit) as end:
        main(list(args))
    assert isinstance(end.value.code, int)
    return end.value.code


def test_there_are_at_least_fifty_and_each_has_its_problems() -> None:
    files = {path.name for path in FOLDER.iterdir()} - set(NOT_BROKEN)
    assert set(PROBLEMS) == files
    assert len(files) >= 50
    assert all(PROBLEMS.values())


def test_the_wording_is_that_of_the_golden_file_and_every_code_is_used() -> None:
    found = list(mistakes())
    assert GOLDEN.read_text(encoding="utf-8") == golden(found), "python tests/write_messages.py --write"
    elsewhere = {"package-missing"}  # adapt-core/tests/plan/test_libraries.py
    assert {problem.code for _, problems, _ in found for problem in problems} == set(CODES) - elsewhere


@pytest.mark.parametrize(("name", "content"), GOOD.items())
def test_without_their_mistakes_they_are_good(
    name: str, content: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert adapt("check", str(place(name, content, tmp_path))) == 0, capsys.readouterr().out


@pytest.mark.parametrize("name", PROBLEMS)
def test_a_broken_configuration_gives_its_problems_and_exit_code_2(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = place(name, (FOLDER / name).read_bytes(), tmp_path)
    with pytest.raises(ConfigError) as caught:
        build_plan(file)
    problems = caught.value.problems
    assert [[each.line or 0, each.key, each.code] for each in problems] == PROBLEMS[name]
    assert {each.file for each in problems} == {str(file)}
    assert caught.value.exit_code == EXIT_USAGE

    assert adapt("check", str(file)) == EXIT_USAGE
    assert capsys.readouterr().out.splitlines() == [str(each) for each in problems]

    assert adapt("check", str(file), "--json") == EXIT_USAGE
    assert json.loads(capsys.readouterr().out) == {"ok": False, "problems": [each.as_dict() for each in problems]}


def test_a_file_that_is_not_there_gives_exit_code_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    missing = tmp_path / "missing.yaml"
    assert adapt("check", str(missing), "--json") == EXIT_USAGE
    (problem,) = json.loads(capsys.readouterr().out)["problems"]
    assert (problem["file"], problem["code"]) == (str(missing), "no-such-file")
    assert adapt("check", str(tmp_path)) == EXIT_USAGE


@pytest.mark.parametrize(
    ("override", "key", "code"),
    [
        ("lr", "", "invalid-override"),
        ("training.lr=fast", "training.lr", "wrong-type"),
        ("learning_rate=1e-4", "learning_rate", "unknown-key"),
        ("method.r=0", "method.r", "out-of-range"),
    ],
)
def test_a_wrong_override_gives_exit_code_2(
    override: str, key: str, code: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = place("f.yaml", GOOD["nested.yaml"] + b"r: 8\n", tmp_path)
    assert adapt("check", str(file), override, "--json") == EXIT_USAGE
    (problem,) = json.loads(capsys.readouterr().out)["problems"]
    assert (problem["file"], problem["key"], problem["code"]) == ("command line", key, code)


def test_an_override_may_make_a_key_of_the_file_wrong(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = place("f.yaml", GOOD["nested.yaml"] + b"r: 8\n", tmp_path)
    assert adapt("check", str(file), "method=full", "--json") == EXIT_USAGE
    (problem,) = json.loads(capsys.readouterr().out)["problems"]
    assert (problem["file"], problem["key"], problem["code"]) == (str(file), "r", "key-of-another-plugin")
