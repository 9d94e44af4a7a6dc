"""Where MMDet and MMPose are not installed, the command that installs them is named; and what that command looks at."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch

import adapt_core.plugins.registry
from adapt_core.cli.diagnosis import diagnose
from adapt_core.errors import AdaptError, ConfigError
from adapt_core.plan.build import build_plan
from adapt_vision import mmlab

COMMAND = "python -m adapt_vision.mmlab"


@pytest.fixture
def without_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """As where none of them is installed."""
    exists = adapt_core.plugins.registry.module_exists
    monkeypatch.setattr(
        adapt_core.plugins.registry,
        "module_exists",
        lambda name: not name.startswith(("mmengine", "mmcv", "mmdet", "mmpose")) and exists(name),
    )


@pytest.mark.parametrize(
    ("task", "library"),
    [("object_detection", "mmdet"), ("instance_segmentation", "mmdet"), ("pose_detection", "mmpose")],
)
def test_a_configuration_that_names_them_says_how_to_install_them(
    without_them: None, tmp_path: Path, task: str, library: str
) -> None:
    config: dict[str, Any] = {
        "task": task,
        "model": {"library": library, "name": "x"},
        "dataset": {"path": str(tmp_path)},
        "method": "full",
    }
    with pytest.raises(ConfigError) as caught:
        build_plan(config)
    (problem,) = [each for each in caught.value.problems if each.code == "package-missing"]
    assert COMMAND in problem.message and library in problem.message


def test_adapt_doctor_names_them_with_the_command(without_them: None) -> None:
    found = {each.distribution: each for each in diagnose().not_installed}
    assert found["mmdet"].command == found["mmpose"].command == COMMAND
    assert "object_detection" in found["mmdet"].offers and "instance_segmentation" in found["mmdet"].offers
    assert "pose_detection" in found["mmpose"].offers


def test_the_command_explains_itself_and_reads_the_extra() -> None:
    said = subprocess.run(
        [sys.executable, "-m", "adapt_vision.mmlab", "--help"], capture_output=True, text=True, check=True
    )
    assert "--wheels" in said.stdout and "--cpu" in said.stdout
    names = [each.split(">")[0] for each in mmlab.extra()]
    assert {"addict", "shapely", "opencv-python-headless"} <= set(names)
    assert "torch" not in names, "what adapt-vision needs anyway is no part of the extra"


def _name(version: str, tag: str) -> str:
    return f"onedl_mmcv-{version}-{tag}-{tag}-{sysconfig.get_platform().replace('-', '_').replace('.', '_')}.whl"


VERSION, TAG = mmlab.OPERATORS.partition("==")[2], f"cp{sys.version_info.major}{sys.version_info.minor}"


def test_a_compiled_package_of_this_python_is_found_and_no_other(tmp_path: Path) -> None:
    assert mmlab.built(tmp_path) is None and mmlab.built(tmp_path / "nothing") is None
    (tmp_path / _name(VERSION, "cp39")).touch()
    (tmp_path / _name("0.0.1", TAG)).touch()
    assert mmlab.built(tmp_path) is None
    own = tmp_path / _name(VERSION, TAG)
    own.touch()
    assert mmlab.built(tmp_path) == own


class Commands:
    """Stands in for pip: notes what it is told, and leaves an empty wheel where one is compiled."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.compiled: list[tuple[str, bool]] = []
        self.installed: list[str] = []
        monkeypatch.setattr(mmlab, "_run", self._run)
        monkeypatch.setattr(mmlab, "_installed", lambda *_: None)
        monkeypatch.setattr(mmlab, "_has_cuda", lambda: True)
        monkeypatch.setattr(mmlab, "_loads", lambda: True)

    def _run(self, command: list[str], environment: Mapping[str, str] | None = None) -> None:
        if "wheel" in command and "--wheel-dir" in command:
            folder = Path(command[command.index("--wheel-dir") + 1])
            (folder / _name(VERSION, TAG)).touch()
            assert environment is not None
            self.compiled.append((environment["FORCE_CUDA"], "--no-cache-dir" in command))
        elif command[-1].endswith(".whl"):
            assert "--force-reinstall" in command and Path(command[-1]).is_file()
            self.installed.append(command[-1])


def test_a_compiled_package_is_used_again_where_it_was_compiled_alike(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beside the same torch, and as much for a GPU, for which pip's cache is not asked."""
    commands = Commands(monkeypatch)
    for cpu in (True, True, False, False, True):
        mmlab.install(tmp_path, cpu=cpu)
    assert commands.compiled == [("0", False), ("1", True)]
    monkeypatch.setattr(torch, "__version__", "0.1+cpu")
    mmlab.install(tmp_path, cpu=True)
    assert commands.compiled == [("0", False), ("1", True), ("0", False)]
    assert len(commands.installed) == 6
    assert len(set(commands.installed)) == 3


def test_what_does_not_load_is_compiled_anew_and_then_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """pip's cache may have what was compiled beside another torch."""
    commands = Commands(monkeypatch)
    answers = iter([False, True, False, False])
    monkeypatch.setattr(mmlab, "_loads", lambda: next(answers))
    mmlab.install(tmp_path, cpu=True)
    assert commands.compiled == [("0", False), ("0", True)]
    with pytest.raises(AdaptError, match=r"onedl-mmcv==.* was compiled, and does not load"):
        mmlab.install(tmp_path, cpu=True)
