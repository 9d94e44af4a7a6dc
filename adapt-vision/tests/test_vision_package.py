"""What is true of the package as it is installed."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import sysconfig
from importlib.metadata import distribution

import adapt_vision


def test_its_version_is_the_one_in_its_metadata() -> None:
    assert adapt_vision.__version__ == distribution("adapt-vision").version


def test_importing_it_imports_neither_torch_nor_the_core() -> None:
    code = "import adapt_vision, sys; print([name for name in ('torch', 'adapt_core') if name in sys.modules])"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


def test_adapt_lists_its_plugins_beside_the_core_s() -> None:
    adapt = shutil.which("adapt", path=sysconfig.get_path("scripts"))
    assert adapt, "the core's command is not installed"
    result = subprocess.run([adapt, "plugins", "--json"], capture_output=True, text=True, check=True)
    plugins = json.loads(result.stdout)
    distributions = {plugin["distribution"] for plugin in plugins}
    assert "adapt-core" in distributions
    own = [plugin["name"] for plugin in plugins if plugin["distribution"] == "adapt-vision"]
    assert own == ["image_classification", "instance_segmentation", "object_detection", "pose_detection"]
