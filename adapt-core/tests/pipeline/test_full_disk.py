"""A disk that fills up during a run: whichever library finds out, the error says so, and the run can go on."""

from __future__ import annotations

import subprocess
import sys
from collections import namedtuple
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from toy_runs import QUICK, stopped_at

import adapt_core
from adapt_core.errors import AdaptError
from adapt_core.pipeline import resources
from adapt_core.runs.checkpoints import Checkpoints
from adapt_core.savers.state_dict import StateDict
from adapt_core.utils.disk import told_when_full


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 8 MB."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(place)]
    if sys.platform != "linux" or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("mounting a small disk is not allowed here")
    yield place
    subprocess.run(["umount", "--lazy", str(place)], check=True)


def fill(disk: Path, left: int) -> None:
    """Leaves room for so many bytes, to the next block."""
    from shutil import disk_usage

    with (disk / "ballast").open("wb") as file:
        file.write(bytes(max(disk_usage(disk).free - left, 0)))


@pytest.mark.usefixtures("no_reload")
@pytest.mark.parametrize(("left", "cause"), [(0, "OSError"), (16_000, "SafetensorError"), (48_000, "RuntimeError")])
def test_a_checkpoint_that_finds_no_room_says_so_and_the_run_resumes(
    toy_config: Any, disk: Path, monkeypatch: pytest.MonkeyPatch, left: int, cause: str
) -> None:
    original = Checkpoints.mark_incomplete

    def filling(self: Checkpoints, step: int) -> None:
        original(self, step)
        if step == 4:
            fill(disk, left)

    monkeypatch.setattr(Checkpoints, "mark_incomplete", filling)
    run = disk / "run"
    config = toy_config(training={**QUICK, "interval": "steps", "interval_steps": 2}, output_dir=str(run))
    with pytest.raises(AdaptError, match=r"The disk is full: .* free in ") as refused:
        adapt_core.run(config)
    assert refused.value.hint == f"Free some of it, then continue with: adapt run {run} --resume"
    assert type(refused.value.__cause__).__name__ == cause
    (disk / "ballast").unlink()
    monkeypatch.undo()
    assert adapt_core.run(config, resume=True)["steps"] == QUICK["max_steps"]


@pytest.mark.usefixtures("no_reload")
def test_an_export_that_finds_no_room_says_so(toy_config: Any, disk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    original = StateDict.save

    def filled(self: StateDict, model: Any, folder: Path, task: Any) -> Path:
        fill(disk, 0)
        return original(self, model, folder, task)

    monkeypatch.setattr(StateDict, "save", filled)
    config = toy_config(training=QUICK, save="state_dict", output_dir=str(disk / "run"))
    with pytest.raises(AdaptError, match="The disk is full"):
        adapt_core.run(config)


@pytest.mark.usefixtures("no_reload")
def test_a_merged_model_that_finds_no_room_says_so_and_leaves_nothing(toy_config: Any, disk: Path) -> None:
    config = toy_config(training=QUICK)
    adapt_core.run(config)
    fill(disk, 8_000)
    with pytest.raises(AdaptError, match="The disk is full") as refused:
        adapt_core.merge_run(config["output_dir"], disk / "merged")
    assert "--output" in refused.value.hint
    assert not (disk / "merged").exists()


def test_other_errors_go_on_as_they_came_or_as_the_systems_own(tmp_path: Path) -> None:
    for error in (AdaptError("a"), ValueError("b"), PermissionError(13, "c"), RuntimeError("inline_container.cc: d")):
        with pytest.raises(type(error)) as raised, told_when_full(tmp_path, lambda: ""):
            raise error
        assert raised.value is error
    with pytest.raises(OSError, match="Input/output error"), told_when_full(tmp_path, lambda: ""):
        raise RuntimeError("I/O error: Input/output error (os error 5)")


# ---- before a run ---------------------------------------------------------------------------------------------------

Usage = namedtuple("Usage", "total used free")


def test_a_full_disk_is_noticed_before_training(toy_config: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _: Usage(10**9, 10**9 - 1000, 1000))
    with pytest.raises(AdaptError, match=r"(?s)disk is too full.*1 checkpoint .*model/"):
        adapt_core.run(toy_config(save="state_dict"))
    assert not Path(toy_config()["output_dir"]).exists()


def test_a_resumed_run_needs_no_room_for_the_checkpoints_that_are_there(
    toy_config: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of an adapter of n bytes, a checkpoint takes 3 n: with Adam's two numbers for each."""
    steps = {"interval": "steps", "interval_steps": 2, "checkpoints": 3, "max_steps": 12}
    config = toy_config(training=steps)
    with stopped_at(10), pytest.raises(adapt_core.Interrupted):
        adapt_core.run(config)
    module = adapt_core.apply_method(model_of(config), "lora")
    size = sum(each.numel() * each.element_size() for each in module.parameters() if each.requires_grad)
    for free, enough in ((4 * size - 1, False), (4 * size, True)):  # one more checkpoint, and model/
        monkeypatch.setattr(resources.shutil, "disk_usage", lambda _, free=free: Usage(10**9, 0, free))
        if enough:
            adapt_core.run(config, resume=True)
        else:
            with pytest.raises(AdaptError, match=r"The disk is too full(?s:.*)\n  1 checkpoint  .*\n  model/ "):
                adapt_core.run(config, resume=True)
    monkeypatch.setattr(resources.shutil, "disk_usage", lambda _: Usage(10**9, 0, 13 * size - 1))
    with pytest.raises(AdaptError, match=r"\n  4 checkpoints  "):
        adapt_core.run(config, overwrite=True)


def model_of(config: dict[str, Any]) -> torch.nn.Module:
    from transformers import AutoModelForSequenceClassification

    model: torch.nn.Module = AutoModelForSequenceClassification.from_pretrained(config["model"]["path"])
    return model
