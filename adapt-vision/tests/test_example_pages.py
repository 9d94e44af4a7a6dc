"""What the pages beside the examples say: where the data comes from, and commands that work as written."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from pathlib import Path

import copies
import pytest
from click.testing import CliRunner

from adapt_core.cli.app import app
from adapt_core.plan.build import check
from adapt_vision.annotations.options import AnnotatedImageOptions
from adapt_vision.annotations.rows import load_rows

EXAMPLES = Path(__file__).parents[2] / "examples"
FOLDERS = ("image_classification", "object_detection", "instance_segmentation", "pose_detection", "openmmlab")


def blocks(page: str) -> list[str]:
    return re.findall(r"```sh\n(.*?)```", page, re.DOTALL)


@pytest.mark.parametrize("name", FOLDERS)
def test_its_commands_put_the_data_where_the_configurations_look(
    name: str, test_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / name
    shutil.copytree(EXAMPLES / name, folder, ignore=shutil.ignore_patterns("data", "runs"))
    page = (folder / "README.md").read_text()
    (linking,) = [block for block in blocks(page) if "ADAPT_TEST_DATA" in block]
    monkeypatch.setenv("ADAPT_TEST_DATA", str(test_data))
    subprocess.run(["bash", "-euc", linking], cwd=folder, check=True)
    monkeypatch.chdir(folder)
    files = sorted(folder.glob("*.yaml"))
    for file in files:
        # With the libraries of OpenMMLab absent, that alone is wrong.
        wrong = [problem for problem in check(file) if problem.code != "package-missing"]
        assert wrong == [], file.name
        assert f"`{file.name}`" in page, "what it is, in the table"
    commands = [shlex.split(line, comments=True) for block in blocks(page) for line in block.splitlines()]
    named = [word for words in commands if words[:1] == ["adapt"] for word in words if word.endswith(".yaml")]
    assert named and all((folder / each).is_file() for each in named)


def test_blood_cells_as_they_are_published_are_read(
    test_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = (EXAMPLES / "object_detection" / "README.md").read_text()
    ((file, *overrides),) = [
        shlex.split(line)[2:] for block in blocks(text) for line in block.splitlines() if "=data/BCCD_Dataset" in line
    ]
    (place,) = [each.removeprefix("dataset.path=") for each in overrides if each.startswith("dataset.path=")]
    coco = copies.subset(test_data / "object_detection" / "bccd", tmp_path / "coco", 4)
    copies.to_voc(coco, tmp_path / place)
    monkeypatch.chdir(tmp_path)
    assert check(EXAMPLES / "object_detection" / file, overrides) == []
    train, evaluation, info = load_rows(AnnotatedImageOptions(path=place), 0, evaluate=True)
    assert info["format"] == "voc" and (len(train), len(evaluation or ())) == (4, 4)


@pytest.mark.parametrize("name", FOLDERS)
def test_its_commands_are_commands_with_options_that_they_have(name: str) -> None:
    text = (EXAMPLES / name / "README.md").read_text()
    commands = [shlex.split(line, comments=True) for block in blocks(text) for line in block.splitlines()]
    for words in commands:
        if words[:1] != ["adapt"]:
            continue
        help_text = CliRunner().invoke(app, [words[1], "--help"]).output
        for option in (word for word in words[2:] if re.fullmatch(r"-{1,2}[A-Za-z-]+", word)):
            assert option in help_text, f"{' '.join(words)}: {option}"
