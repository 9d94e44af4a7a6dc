"""``adapt new-plugin`` writes the package that the documentation and the example show."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from cli_runner import adapt

from adapt_core.cli.new_plugin import package_files
from adapt_core.errors import EXIT_USAGE

ROOT = Path(__file__).parents[3]


def test_it_writes_a_package(tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    done = adapt("new-plugin", "method", "row_scale", "-o", str(folder))
    assert done.code == 0
    assert done.out == f"pip install {folder} && adapt explain method row_scale\n"
    written = {str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file()}
    assert written == {
        "pyproject.toml",
        "README.md",
        "src/adapt_row_scale/__init__.py",
        "src/adapt_row_scale/plugin.py",
        "src/adapt_row_scale/options.py",
        "src/adapt_row_scale/method.py",
        "tests/test_method.py",
    }
    text = "".join(file.read_text() for file in folder.rglob("*") if file.is_file())
    assert "{{" not in text and "class RowScale(Method):" in text


@pytest.mark.parametrize("further", [(), ("-o", "a folder")])
def test_pip_is_told_of_the_folder_and_not_of_a_name_in_the_index(
    further: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = adapt("new-plugin", "method", "row_scale", *further)
    place = shlex.split(done.out)[2]
    assert place.startswith("./") and (tmp_path / place / "pyproject.toml").is_file()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("Row-Scale",), "'Row-Scale' is no name for a plugin"),
        (("lora",), "A method named lora is installed already"),
        (("p_tuning_v2",), "A method named p_tuning_v2 is installed already"),  # an alias of prefix_tuning
        (("mine", "-o", "."), ". exists and is not overwritten"),
    ],
)
def test_what_it_cannot_write_is_refused(arguments: tuple[str, ...], says: str) -> None:
    done = adapt("new-plugin", "method", *arguments)
    assert done.code == EXIT_USAGE
    assert says in done.err


def test_the_example_is_what_it_writes() -> None:
    example = ROOT / "examples" / "third_party_method"
    for place, text in package_files("biases").items():
        assert (example / place).read_text(encoding="utf-8") == text, place


def test_the_page_shows_what_it_writes() -> None:
    page = (ROOT / "docs" / "writing_a_plugin.md").read_text(encoding="utf-8")
    shown = dict(re.findall(r"^`([\w./]+)`:\n\n```\w+\n(.*?)^```", page, re.MULTILINE | re.DOTALL))
    written = package_files("biases")
    assert {place for place in written if place.startswith("src/") and written[place]} <= set(shown)
    assert all(written[place] == text for place, text in shown.items())


def test_the_method_is_about_thirty_lines() -> None:
    code = package_files("biases")["src/adapt_biases/method.py"].split("class Biases", 1)[1].splitlines()
    assert len([line for line in code if line.strip()]) <= 36
