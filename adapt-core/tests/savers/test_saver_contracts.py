"""Every saver and launcher of the core keeps the promises of its contract suite."""

from __future__ import annotations

from adapt_core.testing import LauncherContract, SaverContract


class TestStateDict(SaverContract):
    saver = "state_dict"


class TestSafetensors(SaverContract):
    saver = "safetensors"


class TestSavePretrained(SaverContract):
    saver = "save_pretrained"


class TestFullTorchModel(SaverContract):
    saver = "full_torch_model"


class TestLocal(LauncherContract):
    launcher = "local"
