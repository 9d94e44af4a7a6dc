"""What is true of the repository as a whole: its packages, its pins and its commands."""

from __future__ import annotations

import importlib.util
import re
import tomllib
from importlib.metadata import distribution
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("core", "nlp", "vision", "quant", "dist")


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_has_all_that_it_ships_with(package: str) -> None:
    folder = ROOT / f"adapt-{package}"
    version = distribution(f"adapt-{package}").version
    assert f"## {version} " in (folder / "CHANGELOG.md").read_text()
    assert (folder / "LICENSE").read_bytes() == (ROOT / "LICENSE").read_bytes()
    assert (folder / "README.md").read_text().startswith(f"# adapt-{package}\n")
    assert (folder / "src" / f"adapt_{package}" / "py.typed").is_file()


def test_no_package_ships_a_module_called_adapt() -> None:
    assert importlib.util.find_spec("adapt") is None


def test_every_direct_dependency_is_pinned_to_a_plain_version() -> None:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pins = [line for line in lines if line and not line.startswith("#")]
    assert all(re.fullmatch(r"[\w.-]+==[\w.]+", pin) for pin in pins)
    names = {pin.partition("==")[0].lower() for pin in pins}
    for package in PACKAGES:
        metadata = tomllib.loads((ROOT / f"adapt-{package}" / "pyproject.toml").read_text())
        requirements = metadata["project"]["dependencies"] + metadata["dependency-groups"]["test"]
        needed = {re.match(r"[\w.-]+", requirement)[0].lower() for requirement in requirements}  # type: ignore[index]
        assert needed - {f"adapt-{other}" for other in PACKAGES} <= names


def test_continuous_integration_runs_the_readme_s_test_command() -> None:
    commands = re.findall(r"```sh\n(python3 -m venv .*)\n```", (ROOT / "README.md").read_text())
    assert len(commands) == 2
    assert commands[1] in (ROOT / ".ci" / "run").read_text().splitlines()


def test_the_architecture_page_has_the_rooms_in_the_order_that_is_enforced() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    (layers,) = [each["layers"] for each in contracts if each.get("containers") == ["adapt_core"]]
    page = (ROOT / "docs" / "architecture.md").read_text()
    table = page.partition("| rooms |")[2].partition("\n\n")[0].splitlines()[2:]
    rows = [re.findall(r"`(\w+)`", row.split("|")[1]) for row in table]
    assert [" | ".join(row) for row in rows] == layers


@pytest.mark.parametrize("page", ["architecture.md", "CONTRIBUTING.md"])
def test_the_files_that_a_page_names_are_there(page: str) -> None:
    """By their path in the repository, in the core, or in the folder of one of its packages."""
    text = (ROOT / "docs" / page).read_text()
    named = [name for name in re.findall(r"`(?:python )?([\w/-]+/[\w.]+)(?: --\w+)?`", text) if "NAME" not in name]
    core = ROOT / "adapt-core" / "src" / "adapt_core"
    assert named
    assert [name for name in named if not (ROOT / name).exists() and not (core / name).exists()] == []
