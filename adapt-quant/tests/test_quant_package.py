"""What adapt-quant registers, and what it costs to have installed."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import sysconfig
from importlib.metadata import distribution

import adapt_quant


def test_its_version_is_the_one_in_its_metadata() -> None:
    assert adapt_quant.__version__ == distribution("adapt-quant").version


def test_its_plugin_and_options_import_no_heavy_library() -> None:
    code = (
        "import adapt_quant.plugin, adapt_quant.bitsandbytes.options, sys; "
        "print([name for name in ('torch', 'transformers', 'bitsandbytes') if name in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


def test_adapt_lists_its_quantizers() -> None:
    adapt = shutil.which("adapt", path=sysconfig.get_path("scripts"))
    assert adapt, "the core's command is not installed"
    result = subprocess.run([adapt, "plugins", "--json"], capture_output=True, text=True, check=True)
    own = [plugin for plugin in json.loads(result.stdout) if plugin["distribution"] == "adapt-quant"]
    assert [(plugin["kind"], plugin["name"], plugin["error"]) for plugin in own] == [
        ("quantizer", "bnb_4bit", None),
        ("quantizer", "bnb_8bit", None),
    ]
