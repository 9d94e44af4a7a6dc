"""Checkpoints whose files have changed since they were written: they are named, and the run goes on from an earlier."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from run_folders import everything_in, names_in, new, save_checkpoint
from toy_runs import checkpoints as steps_in
from toy_runs import lines, stopped_at

import adapt_core
from adapt_core.errors import AdaptError
from adapt_core.runs.checkpoints import Checkpoints


def flip(file: Path, bit: int) -> None:
    content = bytearray(file.read_bytes())
    content[bit // 8] ^= 1 << bit % 8
    file.write_bytes(content)


def halve(file: Path) -> None:
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def blank(file: Path) -> None:
    """As a power cut leaves a file whose length had been written, and its content had not."""
    file.write_bytes(bytes(file.stat().st_size))


@pytest.fixture
def two(tmp_path: Path) -> Checkpoints:
    """Checkpoints 10 and 20."""
    made = Checkpoints(tmp_path)
    for step in (10, 20):
        save_checkpoint(made, step)
    return made


@pytest.mark.parametrize(
    ("name", "damage", "says"),
    [
        ("weights", lambda file: flip(file, 40), "weights is damaged: its checksum is not the one in complete.json"),
        ("part/optimizer", blank, "part/optimizer is damaged: its checksum is not the one in complete.json"),
        ("part/optimizer", halve, "part/optimizer is damaged: it has 10 bytes, and 20 were written"),
        ("weights", Path.unlink, "weights is missing"),
        ("complete.json", blank, "complete.json is damaged"),
        ("complete.json", lambda file: file.write_text('{"files": {"weights": 20}}'), "complete.json is damaged"),
        ("complete.json", lambda file: file.write_text('{"files": 3}'), "complete.json is damaged"),
    ],
)
def test_the_newest_whole_checkpoint_is_that_before_the_damaged_one(
    two: Checkpoints, name: str, damage: Callable[[Path], Any], says: str
) -> None:
    damage(two.at(20) / name)
    assert two.remove_unusable() == {two.at(20): says}
    assert two.newest() == two.at(10)
    assert names_in(two.path) == ["checkpoint-10"]


def test_every_bit_of_a_checkpoint_counts(two: Checkpoints) -> None:
    """Those of its marker, too; the checkpoint is not deleted, being the only one."""
    shutil.rmtree(two.at(10))
    whole = everything_in(two.path)
    assert len(whole) == 3
    for name, content in whole.items():
        file = two.path / name
        for bit in range(8 * len(content)):
            flip(file, bit)
            with pytest.raises(AdaptError, match=r"(?s)Every checkpoint in .* is damaged:.*checkpoint-20: "):
                two.remove_unusable()
            file.write_bytes(content)
    assert everything_in(two.path) == whole
    assert two.remove_unusable() == {}


def test_where_every_checkpoint_is_damaged_nothing_is_deleted_and_each_is_named(two: Checkpoints) -> None:
    flip(two.at(10) / "part" / "optimizer", 3)
    blank(two.at(20) / "weights")
    save_checkpoint(two, 30, complete=False)
    before = everything_in(two.path)
    with pytest.raises(AdaptError) as refused:
        two.remove_unusable()
    assert refused.value.message.splitlines()[1:] == [
        "  checkpoint-10: part/optimizer is damaged: its checksum is not the one in complete.json",
        "  checkpoint-20: weights is damaged: its checksum is not the one in complete.json",
    ]
    assert "--overwrite" in refused.value.hint
    assert everything_in(two.path) == before


def test_a_run_is_refused_before_it_changes_anything_and_gives_its_claim_back(tmp_path: Path) -> None:
    with new(tmp_path / "a") as folder:
        flip(save_checkpoint(folder.checkpoints, 10) / "weights", 0)
    for _ in range(2):
        with pytest.raises(AdaptError, match="Every checkpoint"):
            new(tmp_path / "a", resume=True)
    assert names_in(tmp_path / "a" / "checkpoints") == ["checkpoint-10"]


def test_only_the_newest_whole_checkpoint_is_read(two: Checkpoints, monkeypatch: pytest.MonkeyPatch) -> None:
    """An older one is read when its turn comes; a shorter file shows without reading, and is no longer kept."""
    read: list[str] = []
    monkeypatch.setattr(
        "adapt_core.runs.checkpoints.crc32",
        lambda path, original=adapt_core.utils.files.crc32: read.append(path.parts[-2]) or original(path),
    )
    save_checkpoint(two, 5)
    read.clear()
    flip(two.at(10) / "weights", 0)
    halve(two.at(5) / "weights")
    assert list(two.remove_unusable()) == [two.at(5)]
    assert set(read) == {"checkpoint-20", "part"}
    assert two.steps() == [10, 20]
    blank(two.at(20) / "weights")
    with pytest.raises(AdaptError, match=r"(?s)checkpoint-10: weights.*checkpoint-20: weights"):
        two.remove_unusable()


# ---- runs -----------------------------------------------------------------------------------------------------------

pytestmark = pytest.mark.usefixtures("no_reload")

SHORT = {"epochs": 5, "interval": "steps", "interval_steps": 3, "logging_steps": 1, "batch_size": 64, "max_steps": 12}


def test_a_run_goes_on_from_the_checkpoint_before_the_damaged_ones_and_says_so(
    toy_config: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole, config = toy_config(training=SHORT, output_dir=str(tmp_path / "whole")), toy_config(training=SHORT)
    adapt_core.run(whole)
    with stopped_at(11), pytest.raises(adapt_core.Interrupted):
        adapt_core.run(config)
    run = Path(config["output_dir"])
    assert steps_in(run) == [3, 6, 9, 11]
    flip(run / "checkpoints" / "checkpoint-11" / "adapter_model.safetensors", 8000)
    blank(run / "checkpoints" / "checkpoint-9" / "optimizer.pt")
    capsys.readouterr()
    adapt_core.run(config, resume=True)
    shown = capsys.readouterr().err
    reason = "is damaged: its checksum is not the one in complete.json"
    assert f"Removed {run}/checkpoints/checkpoint-11: adapter_model.safetensors {reason}." in shown
    assert f"Removed {run}/checkpoints/checkpoint-9: optimizer.pt {reason}." in shown
    assert f"The run in {run} goes on from checkpoint-6." in shown
    for file in ("model/adapter_model.safetensors", "metrics.jsonl"):
        assert (run / file).read_bytes() == (tmp_path / "whole" / file).read_bytes()


def test_a_resumed_run_without_a_checkpoint_says_that_it_begins_anew(
    toy_config: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    config = toy_config(training=SHORT)
    with stopped_at(4), pytest.raises(adapt_core.Interrupted):
        adapt_core.run(config)
    run = Path(config["output_dir"])
    shutil.rmtree(run / "checkpoints")
    capsys.readouterr()
    adapt_core.run(config, resume=True)
    assert f"The run in {run} has no checkpoint and begins at step 0." in capsys.readouterr().err
    assert [line["step"] for line in lines(run) if "loss" in line] == list(range(1, 13))


def test_every_file_of_a_checkpoint_has_a_checksum_the_methods_own_among_them(toy_config: Any) -> None:
    """AdaLoRA saves what it knows of each rank in a file of its own."""
    method = {"name": "adalora", "tinit": 1, "tfinal": 1, "init_r": 4, "target_r": 2}
    config = toy_config(method=method, training={"max_steps": 6, "interval": "steps", "interval_steps": 3})
    with stopped_at(3), pytest.raises(adapt_core.Interrupted):
        adapt_core.run(config)
    folder = Path(config["output_dir"], "checkpoints", "checkpoint-3")
    files = {name for name in everything_in(folder) if name != "complete.json"}
    assert {"optimizer.pt", "scheduler.pt", "rng_state.pth", "trainer_state.json"} < files
    listed = json.loads((folder / "complete.json").read_text())["files"]
    assert set(listed) == files
    for name in files:
        flip(folder / name, 0)
        with pytest.raises(AdaptError, match=rf"checkpoint-3: {name} is damaged"):
            adapt_core.run(config, resume=True)
        flip(folder / name, 0)
