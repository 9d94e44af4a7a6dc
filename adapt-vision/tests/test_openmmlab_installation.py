"""Where MMDet and MMPose are not installed, the command that installs them is named; and what that command looks at."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import adapt_core.plugins.registry
from adapt_core.cli.diagnosis import diagnose
from adapt_core.errors import ConfigError
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


def test_a_compiled_package_of_this_python_is_used_again_and_no_other(tmp_path: Path) -> None:
    version, tag = mmlab.OPERATORS.partition("==")[2], f"cp{sys.version_info.major}{sys.version_info.minor}"
    assert mmlab.built(tmp_path) is None and mmlab.built(tmp_path / "nothing") is None
    import sysconfig

    platform = sysconfig.get_platform().replace("-", "_").replace(".", "_")
    (tmp_path / f"onedl_mmcv-{version}-cp39-cp39-{platform}.whl").touch()
    (tmp_path / f"onedl_mmcv-0.0.1-{tag}-{tag}-{platform}.whl").touch()
    assert mmlab.built(tmp_path) is None
    own = tmp_path / f"onedl_mmcv-{version}-{tag}-{tag}-{platform}.whl"
    own.touch()
    assert mmlab.built(tmp_path) == own
