"""Who holds a run folder, and what a run that fails early leaves in it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import pytest
from run_folders import CONFIG, everything_in, finished_run, names_in, new, save_checkpoint

from adapt_core.errors import UsageError
from adapt_core.runs.folder import RunFolder
from adapt_core.utils.files import write_json

# ---- failing early ---------------------------------------------------------------------------------------------------


def test_a_run_that_failed_before_its_first_step_leaves_no_folder(tmp_path: Path) -> None:
    with new(tmp_path / "a") as folder:
        write_json(folder.environment, {})
        folder.abandon()
    assert names_in(tmp_path) == []
    new(tmp_path / "a").release()


def test_a_run_that_failed_before_its_first_step_gives_back_the_one_it_was_to_replace(tmp_path: Path) -> None:
    before = everything_in(finished_run(tmp_path / "a"))
    with new(tmp_path / "a", {**CONFIG, "seed": 1}, overwrite=True) as folder:
        write_json(folder.environment, {})
        assert not folder.model.exists()
        folder.abandon()
    assert everything_in(tmp_path / "a") == before


def test_a_run_that_failed_before_its_first_step_leaves_what_is_not_its_own(tmp_path: Path) -> None:
    with new(tmp_path / "a") as folder:
        (tmp_path / "a" / "notes.md").write_text("mine")
        folder.abandon()
    assert names_in(tmp_path / "a") == ["notes.md", "run.lock"]


@pytest.mark.parametrize("what", ["metrics", "model", "checkpoint"])
def test_a_run_that_failed_later_keeps_everything(tmp_path: Path, what: str) -> None:
    with new(tmp_path / "a") as folder:
        if what == "metrics":
            folder.append_metrics({"step": 1, "loss": 1.0})
        elif what == "model":
            folder.model.mkdir()
        else:
            save_checkpoint(folder.checkpoints, 10)
        before = everything_in(tmp_path)
        folder.abandon()
        assert everything_in(tmp_path) == before


def test_abandoning_leaves_alone_what_another_run_has_claimed_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = new(tmp_path / "a")
    others: list[RunFolder] = []
    release = RunFolder.release

    def released(folder: RunFolder) -> None:
        release(folder)
        monkeypatch.undo()
        others.append(new(tmp_path / "a"))

    monkeypatch.setattr(RunFolder, "release", released)
    first.abandon()
    assert others[0].config.is_file()
    with pytest.raises(UsageError, match="Another process"):
        new(tmp_path / "a", resume=True)
    others[0].release()


# ---- one writer -----------------------------------------------------------------------------------------------------

HOLDER = """
    import os, sys, time
    from adapt_core.runs.folder import RunFolder
    folder = RunFolder.create(sys.argv[1], {"seed": 1}, resume=False, overwrite=False)
    if os.fork() == 0:  # such as a worker that loads data, and that outlives its killed parent for a while
        print("ready", flush=True)
    time.sleep(600)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="needs fork and SIGKILL")
def test_a_second_process_is_refused_until_the_first_is_killed(tmp_path: Path) -> None:
    path = tmp_path / "a"
    holder = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(HOLDER), str(path)],
        stdout=subprocess.PIPE,
        start_new_session=True,
        text=True,
    )
    try:
        assert holder.stdout is not None and holder.stdout.readline() == "ready\n"
        for resume, overwrite in ((False, True), (True, False)):
            with pytest.raises(UsageError, match="Another process"):
                RunFolder.create(path, {"seed": 1}, resume=resume, overwrite=overwrite)
        holder.kill()
        holder.wait()
        with RunFolder.create(path, {"seed": 1}, resume=True, overwrite=False) as folder:
            assert folder.config.is_file()
    finally:
        os.killpg(holder.pid, signal.SIGKILL)
        holder.wait()
        assert holder.stdout is not None
        holder.stdout.close()


def test_a_released_folder_can_be_claimed_again_in_the_same_process(tmp_path: Path) -> None:
    folder = new(tmp_path / "a")
    with pytest.raises(UsageError, match="Another process"):
        new(tmp_path / "a", resume=True)
    folder.release()
    new(tmp_path / "a", resume=True).release()


def test_a_folder_can_be_released_by_another_thread_than_the_one_that_claimed_it(tmp_path: Path) -> None:
    folder = new(tmp_path / "a")
    thread = threading.Thread(target=folder.release)
    thread.start()
    thread.join()
    new(tmp_path / "a", resume=True).release()


def test_a_refused_claim_leaves_no_lock_behind(tmp_path: Path) -> None:
    new(tmp_path / "a").release()
    with pytest.raises(UsageError, match="cannot be resumed"):
        new(tmp_path / "a", {"seed": 57}, resume=True)
    new(tmp_path / "a", resume=True).release()
