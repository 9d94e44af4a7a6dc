"""Checkpoints: that a kill leaves nothing that looks whole."""

from __future__ import annotations

import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest
from run_folders import names_in, save_checkpoint

from adapt_core.runs.checkpoints import Checkpoints
from adapt_core.runs.folder import RunFolder


@pytest.fixture
def checkpoints(tmp_path: Path) -> Checkpoints:
    return RunFolder(tmp_path / "run").checkpoints


def test_there_is_no_newest_checkpoint_before_the_first(checkpoints: Checkpoints) -> None:
    assert checkpoints.newest() is None
    assert checkpoints.remove_unusable() == {}


def test_the_newest_checkpoint_is_that_of_the_most_steps(checkpoints: Checkpoints) -> None:
    for step in (900, 1000, 20):
        save_checkpoint(checkpoints, step)
    assert checkpoints.newest() == checkpoints.at(1000)
    assert checkpoints.steps() == [20, 900, 1000]


def test_a_checkpoint_that_was_never_marked_does_not_count_and_is_removed(checkpoints: Checkpoints) -> None:
    save_checkpoint(checkpoints, 10)
    save_checkpoint(checkpoints, 20, complete=False)
    assert checkpoints.newest() == checkpoints.at(10)
    assert checkpoints.remove_unusable() == {checkpoints.at(20): "it was not complete"}
    assert names_in(checkpoints.path) == ["checkpoint-10"]


def test_a_checkpoint_with_a_missing_or_a_shorter_file_does_not_count(checkpoints: Checkpoints) -> None:
    save_checkpoint(checkpoints, 10)
    (save_checkpoint(checkpoints, 20) / "part" / "optimizer").unlink()
    (save_checkpoint(checkpoints, 30) / "weights").write_bytes(b"w" * 29)
    assert checkpoints.newest() == checkpoints.at(10)


def test_a_checkpoint_counts_though_another_program_has_put_a_file_into_it(checkpoints: Checkpoints) -> None:
    save_checkpoint(checkpoints, 10)
    (checkpoints.at(10) / ".DS_Store").write_bytes(b"x")
    assert checkpoints.remove_unusable() == {}
    assert checkpoints.newest() == checkpoints.at(10)


def test_a_checkpoint_that_is_written_again_does_not_count_meanwhile(checkpoints: Checkpoints) -> None:
    save_checkpoint(checkpoints, 10)
    checkpoints.mark_incomplete(10)
    assert checkpoints.newest() is None
    save_checkpoint(checkpoints, 10)
    assert checkpoints.newest() == checkpoints.at(10)


def test_only_the_newest_checkpoints_are_kept_and_others_in_the_folder_left_alone(checkpoints: Checkpoints) -> None:
    for step in (1, 2, 3, 10):
        save_checkpoint(checkpoints, step)
    (checkpoints.path / "runs").mkdir()
    checkpoints.keep_newest(2)
    assert names_in(checkpoints.path) == ["checkpoint-10", "checkpoint-3", "runs"]
    checkpoints.keep_newest(5)
    assert checkpoints.steps() == [3, 10]


SAVING = """
    import sys
    from pathlib import Path
    from adapt_core.runs.checkpoints import Checkpoints
    checkpoints = Checkpoints(Path(sys.argv[1]))
    step = 0
    while True:
        step += 1
        folder = checkpoints.at(step)
        folder.mkdir(parents=True)
        for part in range(8):
            (folder / f"{part}.bin").write_bytes(bytes([step % 256]) * 50_000)
        checkpoints.mark_complete(step)
        print(step, flush=True)
        checkpoints.keep_newest(1)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGKILL")
@pytest.mark.parametrize("extra_ms", [0, 1, 2, 4, 7, 12])
def test_whenever_a_run_is_killed_its_newest_checkpoint_is_whole(tmp_path: Path, extra_ms: int) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(SAVING), str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    announced = [int(process.stdout.readline()) for _ in range(3)]
    time.sleep(extra_ms / 1000)
    process.kill()
    announced += [int(line) for line in process.stdout if line.endswith("\n")]
    process.wait()
    process.stdout.close()
    checkpoints = Checkpoints(tmp_path)
    newest = checkpoints.newest()
    assert newest is not None
    step = int(newest.name.rpartition("-")[2])
    assert step >= announced[-1]
    for part in range(8):
        assert (newest / f"{part}.bin").read_bytes() == bytes([step % 256]) * 50_000
    checkpoints.remove_unusable()
    assert all((folder / "complete.json").is_file() for folder in tmp_path.iterdir())
