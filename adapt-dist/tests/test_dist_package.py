"""What is true of the package as it is installed."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import sysconfig
from importlib.metadata import distribution

import adapt_dist


def test_its_version_is_the_one_in_its_metadata() -> None:
    assert adapt_dist.__version__ == distribution("adapt-dist").version


def test_importing_it_imports_neither_torch_nor_the_core() -> None:
    code = "import adapt_dist, sys; print([name for name in ('torch', 'adapt_core') if name in sys.modules])"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


def test_adapt_lists_its_launchers_beside_the_core_s_plugins() -> None:
    adapt = shutil.which("adapt", path=sysconfig.get_path("scripts"))
    assert adapt, "the core's command is not installed"
    result = subprocess.run([adapt, "plugins", "--json"], capture_output=True, text=True, check=True)
    plugins = json.loads(result.stdout)
    own = {plugin["name"]: plugin["status"] for plugin in plugins if plugin["distribution"] == "adapt-dist"}
    assert own == {"ddp": "ok", "fsdp": "ok"}
    assert "local" in {plugin["name"] for plugin in plugins if plugin["distribution"] == "adapt-core"}
