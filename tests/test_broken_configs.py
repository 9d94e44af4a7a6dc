"""Configurations with one mistake each, or many: what is said of them, word for word, and exit code 2."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest

from adapt_core.cli import main
from adapt_core.errors import EXIT_USAGE, ConfigError, Problem
from adapt_core.plan.build import build_plan

FOLDER = Path(__file__).parent / "broken_configs"
MESSAGES: dict[str, list[str]] = tomllib.loads((FOLDER / "table.toml").read_text(encoding="utf-8"))["messages"]

GOOD = {
    "nested.yaml": b"task: text_classification\nmodel:\n  path: {model}\ndataset:\n  path: {data}\nmethod: lora\n",
    "flat.yaml": b"TASK: text_classification\nLOCAL_MODEL_PATH: {model}\nCUSTOM_DATASET_PATH: {data}\nmethod: LoRA\n",
    "good.json": b'{"task": "text_classification", "model": {"path": "{model}"}, "dataset": {"path": "{data}"}, '
    b'"method": "lora"}',
}


def place(name: str, content: bytes, folder: Path) -> Path:
    """Writes a configuration into a folder, beside the model and the data that it names."""
    (folder / "model").mkdir()
    (folder / "data.csv").write_text("text,label\ngood,1\nbad,0\n")
    for word, path in (("{model}", folder / "model"), ("{data}", folder / "data.csv"), ("{tmp}", folder)):
        content = content.replace(word.encode(), str(path).encode())
    file = folder / name
    file.write_bytes(content)
    return file


def adapt(*args: str) -> int:
    with pytest.raises(SystemExit) as end:
        main(list(args))
    assert isinstance(end.value.code, int)
    return end.value.code


def test_there_are_at_least_fifty_and_each_has_its_messages() -> None:
    files = {path.name for path in FOLDER.iterdir()} - {"table.toml"}
    assert set(MESSAGES) == files
    assert len(files) >= 50
    assert all(MESSAGES.values())


@pytest.mark.parametrize(("name", "content"), GOOD.items())
def test_without_their_mistakes_they_are_good(
    name: str, content: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert adapt("check", str(place(name, content, tmp_path))) == 0, capsys.readouterr().out


@pytest.mark.parametrize("name", MESSAGES)
def test_a_broken_configuration_gives_its_messages_and_exit_code_2(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = place(name, (FOLDER / name).read_bytes(), tmp_path)
    expected = [line.replace("{file}", str(file)).replace("{tmp}", str(tmp_path)) for line in MESSAGES[name]]

    assert adapt("check", str(file)) == EXIT_USAGE
    assert capsys.readouterr().out.splitlines() == expected

    assert adapt("check", str(file), "--json") == EXIT_USAGE
    answer = json.loads(capsys.readouterr().out)
    assert answer["ok"] is False
    assert [str(Problem(**{"column": None, **problem})) for problem in answer["problems"]] == expected

    with pytest.raises(ConfigError) as caught:
        build_plan(file)
    assert [str(problem) for problem in caught.value.problems] == expected
    assert caught.value.exit_code == EXIT_USAGE


def test_a_file_that_is_not_there_gives_exit_code_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    missing = tmp_path / "missing.yaml"
    assert adapt("check", str(missing)) == EXIT_USAGE
    assert capsys.readouterr().out == f"{missing}: there is no such file (looked at {missing})\n"
    assert adapt("check", str(tmp_path)) == EXIT_USAGE


@pytest.mark.parametrize(
    ("override", "says"),
    [
        ("lr", "command line: expected key=value, such as training.lr=1e-4, got 'lr'"),
        ("training.lr=fast", "command line: training.lr: expected a number, got 'fast'"),
        ("learning_rate=1e-4", "command line: learning_rate: unknown key; did you mean 'LR'?"),
        ("method.r=0", "command line: method.r: must be greater than 0, got 0"),
        ("method=full", "r belongs to method dora, lora, vera and others; the method here is full"),
    ],
)
def test_a_wrong_override_gives_exit_code_2(
    override: str, says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = place("f.yaml", GOOD["nested.yaml"] + b"r: 8\n", tmp_path)
    assert adapt("check", str(file), override) == EXIT_USAGE
    assert says in capsys.readouterr().out
