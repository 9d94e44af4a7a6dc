"""``adapt doctor``."""

from __future__ import annotations

import importlib.metadata
import platform
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cli_runner import adapt
from fake_distributions import install, method_plugin

from adapt_core.cli import diagnosis
from adapt_core.plugins.installation import install_command


def test_it_shows_versions_devices_and_disk() -> None:
    found = adapt("doctor", "--json").json
    assert set(found) == {"ok", "versions", "devices", "free_disk_bytes", "faults", "not_installed"}
    assert found["versions"]["python"] == platform.python_version()
    for name in ("adapt-core", "torch", "transformers", "peft"):
        assert found["versions"][name] == importlib.metadata.version(name)
    assert found["devices"][0]["name"] == "cpu"
    assert found["free_disk_bytes"] > 0


def test_it_lists_every_device_that_torch_has() -> None:
    import torch

    names = [device["name"] for device in adapt("doctor", "--json").json["devices"]]
    assert names[1 : 1 + torch.cuda.device_count()] == [f"cuda:{index}" for index in range(torch.cuda.device_count())]


def test_for_people_it_says_the_same() -> None:
    text = adapt("doctor").out
    assert f"torch         {importlib.metadata.version('torch')}" in text
    assert "free disk space here: " in text
    assert "cpu" in text


@pytest.mark.parametrize(
    ("name", "modules", "requires", "what", "remedy"),
    [
        (
            "bad-dist",
            {"bad_plugin": "import not_there_at_all"},
            (),
            "the plugin 'x' of bad-dist 1.0 is broken: ModuleNotFoundError: No module named 'not_there_at_all'",
            "pip install --force-reinstall bad-dist, or report it to its authors",
        ),
        (
            "hollow-dist",
            {"hollow_plugin": method_plugin("hollow", target="hollow_gone:Hollow")},
            (),
            "the method 'hollow' of hollow-dist 1.0 cannot be used: cannot load hollow_gone:Hollow: "
            "there is no module hollow_gone",
            "pip install --force-reinstall hollow-dist",
        ),
        (
            "needy-dist",
            {"needy_plugin": method_plugin("needy")},
            ("no-such-library>=3,<4", "pytest", 'another-one; python_version < "3"', 'a-third; extra == "more"'),
            "needy-dist needs no-such-library<4,>=3; it is not installed",
            "pip install 'no-such-library<4,>=3'",
        ),
        (
            "old-dist",
            {"old_plugin": method_plugin("old")},
            ("pluggy>=1000",),
            f"old-dist needs pluggy>=1000; {importlib.metadata.version('pluggy')} is installed",
            "pip install 'pluggy>=1000'",
        ),
    ],
)
def test_it_says_what_is_broken_and_what_puts_it_right(
    site: Path, name: str, modules: dict[str, str], requires: tuple[str, ...], what: str, remedy: str
) -> None:
    install(site, name, "1.0", modules, {"x": next(iter(modules))}, requires)
    found = adapt("doctor", "--json").json
    assert found["ok"] is False
    assert [fault for fault in found["faults"] if name in fault["what"]] == [{"what": what, "remedy": remedy}]
    text = adapt("doctor").out
    assert f"{what}\n  to put it right: {remedy}\n" in text
    assert "Nothing is broken." not in text


def test_a_clash_is_put_right_by_uninstalling_one(site: Path) -> None:
    for name in ("one", "two"):
        install(site, f"{name}-dist", "1.0", {f"{name}_plugin": method_plugin("same")}, {name: f"{name}_plugin"})
    faults = [fault for fault in adapt("doctor", "--json").json["faults"] if "'same'" in fault["what"]]
    assert [fault["remedy"] for fault in faults] == ["uninstall one of them"] * 2


def test_a_distribution_of_ours_that_is_not_installed_gets_the_command_that_installs_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Not a finder's own function: importing importlib_metadata, as some library does, adds a finder of its own.
    discover = importlib.metadata.Distribution.discover

    def others(**context: Any) -> Iterator[importlib.metadata.Distribution]:
        return (found for found in discover(**context) if found.metadata["Name"] != "adapt-nlp")

    monkeypatch.setattr(importlib.metadata.Distribution, "discover", others)
    found = adapt("doctor", "--json").json
    assert found["versions"]["adapt-nlp"] == "not installed"
    (missing,) = [one for one in found["not_installed"] if one["distribution"] == "adapt-nlp"]
    assert missing["command"] == install_command("adapt-nlp")
    assert "task text_classification" in missing["offers"]
    shown = adapt("doctor").out
    assert "not installed: adapt-nlp (task " in shown and "task text_classification" in shown


def test_a_torch_that_cannot_be_imported_is_a_fault_and_no_crash(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    done = adapt("doctor", "--json")
    assert done.code == 0
    (fault,) = [fault for fault in done.json["faults"] if "PyTorch" in fault["what"]]
    assert fault["remedy"] == "pip install --force-reinstall torch"
    assert [device.name for device in diagnosis.diagnose().devices] == ["cpu"]
