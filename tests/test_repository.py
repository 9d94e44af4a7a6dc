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
