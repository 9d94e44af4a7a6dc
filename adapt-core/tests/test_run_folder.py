"""The run folder: who may write where, what resuming refuses, and that a kill leaves nothing that looks whole."""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from adapt_core.checkpoints import Checkpoints
from adapt_core.errors import AdaptError, UsageError
from adapt_core.files import read_json, read_json_lines, to_json, write_json
from adapt_core.run_folder import RunFolder
from adapt_core.yaml_writer import to_yaml

CONFIG: dict[str, Any] = {
    "task": {"name": "text_classification"},
    "training": {"lr": 1e-5, "num_workers": 4, "resume": False, "trackers": [], "batch_size": 16},
    "save": {"name": "state_dict"},
    "seed": 56,
    "output_dir": "runs/a",
}


def with_training(**values: Any) -> dict[str, Any]:
    return {**CONFIG, "training": {**CONFIG["training"], **values}}


def new(path: Path, config: dict[str, Any] = CONFIG, *, resume: bool = False, overwrite: bool = False) -> RunFolder:
    return RunFolder.create(path, config, resume=resume, overwrite=overwrite)


def finished_run(path: Path, status: str = "completed") -> Path:
    with new(path) as folder:
        write_json(folder.environment, {"versions": {}})
        write_json(folder.data, {"rows": {"train": 3}})
        write_json(folder.result, {"status": status})
        folder.model.mkdir()
        (folder.model / "weights").write_bytes(b"w")
    return path


def names_in(path: Path) -> list[str]:
    return sorted(child.name for child in path.iterdir())


def everything_in(path: Path) -> dict[str, bytes]:
    return {str(file.relative_to(path)): file.read_bytes() for file in path.rglob("*") if file.is_file()}


# ---- claiming a folder ----------------------------------------------------------------------------------------------


def test_a_new_folder_is_made_with_its_parents_and_holds_the_configuration(tmp_path: Path) -> None:
    with new(tmp_path / "runs" / "a") as folder:
        assert yaml.safe_load(folder.config.read_text()) == CONFIG
        assert folder.status == "unfinished"
        assert not folder.finished


def test_an_empty_folder_and_one_with_only_an_old_lock_can_be_used(tmp_path: Path) -> None:
    (tmp_path / "run.lock").touch()
    new(tmp_path).release()
    assert (tmp_path / "config.yaml").is_file()


def test_a_folder_with_a_run_is_refused_with_the_three_ways_out_and_left_as_it_was(tmp_path: Path) -> None:
    path = finished_run(tmp_path / "a")
    before = everything_in(path)
    with pytest.raises(UsageError) as refused:
        new(path)
    assert str(path) in refused.value.message
    for way in ("output_dir", "--resume", "--overwrite"):
        assert way in refused.value.hint
    assert everything_in(path) == before


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_folder_with_anything_else_is_refused_and_left_as_it_was(tmp_path: Path, overwrite: bool) -> None:
    (tmp_path / "thesis.tex").write_text("ten years of work")
    with pytest.raises(UsageError, match=r"thesis\.tex"):
        new(tmp_path, overwrite=overwrite)
    assert everything_in(tmp_path) == {"thesis.tex": b"ten years of work"}


def test_a_copied_configuration_does_not_make_a_folder_a_run(tmp_path: Path) -> None:
    text = (finished_run(tmp_path / "a") / "config.yaml").read_text()
    project = tmp_path / "project"
    project.mkdir()
    (project / "config.yaml").write_text(text)
    with pytest.raises(UsageError, match="not a run"):
        new(project, overwrite=True)
    assert (project / "config.yaml").read_text() == text


def test_overwriting_deletes_the_old_run(tmp_path: Path) -> None:
    path = finished_run(tmp_path / "a")
    with new(path, overwrite=True) as folder:
        assert names_in(path) == ["config.yaml", "run.lock"]
        assert folder.status == "unfinished"


def test_overwriting_refuses_a_run_that_somebody_put_something_beside(tmp_path: Path) -> None:
    path = finished_run(tmp_path / "a")
    (path / "notes.txt").write_text("mine")
    before = everything_in(path)
    with pytest.raises(UsageError, match=r"notes\.txt"):
        new(path, overwrite=True)
    assert everything_in(path) == before


def test_overwriting_does_not_follow_links_out_of_the_run(tmp_path: Path) -> None:
    path = finished_run(tmp_path / "a")
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "precious").write_text("x")
    (path / "export").symlink_to(outside)
    new(path, overwrite=True).release()
    assert (outside / "precious").exists()
    assert not (path / "export").exists()


def test_overwriting_an_empty_place_just_starts(tmp_path: Path) -> None:
    new(tmp_path / "a", overwrite=True).release()


def test_a_file_in_the_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("")
    with pytest.raises(UsageError, match="is a file"):
        new(tmp_path / "a")
    with pytest.raises(UsageError, match="cannot be written"):
        new(tmp_path / "a" / "b")


def test_resume_and_overwrite_exclude_each_other(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="exclude"):
        new(tmp_path / "a", resume=True, overwrite=True)


# ---- resuming -------------------------------------------------------------------------------------------------------


def test_there_is_nothing_to_resume_where_no_run_is(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="nothing to resume"):
        new(tmp_path / "a", resume=True)
    assert not (tmp_path / "a").exists()


def test_there_is_nothing_to_resume_in_a_finished_run(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="has finished"):
        new(finished_run(tmp_path / "a"), resume=True)


def test_an_interrupted_run_resumes_and_its_files_stay(tmp_path: Path) -> None:
    path = finished_run(tmp_path / "a", status="interrupted")
    with new(path, with_training(resume=True, num_workers=0), resume=True) as folder:
        assert (folder.model / "weights").read_bytes() == b"w"
        assert yaml.safe_load(folder.config.read_text())["training"]["num_workers"] == 0


@pytest.mark.parametrize(
    "changed",
    [
        {**CONFIG, "output_dir": "elsewhere"},
        {**CONFIG, "save": {"name": "safetensors"}},
        {**CONFIG, "save": None},
        with_training(trackers=["mlflow"]),
    ],
)
def test_resuming_accepts_a_change_that_leaves_the_result_alone(tmp_path: Path, changed: dict[str, Any]) -> None:
    new(tmp_path / "a").release()
    new(tmp_path / "a", changed, resume=True).release()


def test_resuming_names_every_change_that_would_alter_the_result_with_both_values(tmp_path: Path) -> None:
    new(tmp_path / "a").release()
    changed = {**with_training(lr=2e-5, num_workers=0), "seed": 57, "method": {"name": "lora"}}
    with pytest.raises(UsageError) as refused:
        new(tmp_path / "a", changed, resume=True)
    assert "training.lr: 1e-05 in the run, 2e-05 now" in refused.value.message
    assert "seed: 56 in the run, 57 now" in refused.value.message
    assert "method.name: None in the run, 'lora' now" in refused.value.message
    assert "num_workers" not in refused.value.message
    assert yaml.safe_load((tmp_path / "a" / "config.yaml").read_text()) == CONFIG


def test_resuming_drops_the_line_of_metrics_that_a_kill_cut_short(tmp_path: Path) -> None:
    with new(tmp_path / "a") as folder:
        folder.append_metrics({"step": 1, "loss": 0.5})
        with folder.metrics.open("a") as file:
            file.write('{"step": 2, "lo')
    with new(tmp_path / "a", resume=True) as folder:
        folder.append_metrics({"step": 2, "loss": 0.4})
        assert folder.read_metrics() == [{"step": 1, "loss": 0.5}, {"step": 2, "loss": 0.4}]


def test_resuming_deletes_and_names_the_checkpoint_that_a_kill_left_half_written(tmp_path: Path) -> None:
    with new(tmp_path / "a") as folder:
        save(folder.checkpoints, 10)
        save(folder.checkpoints, 20, complete=False)
    with new(tmp_path / "a", resume=True) as folder:
        assert folder.removed == [folder.checkpoints.at(20)]
        assert names_in(folder.checkpoints.path) == ["checkpoint-10"]


# ---- failing early ---------------------------------------------------------------------------------------------------


def test_a_run_that_failed_before_its_first_step_leaves_no_folder(tmp_path: Path) -> None:
    with new(tmp_path / "a") as folder:
        write_json(folder.environment, {})
        folder.abandon()
    assert names_in(tmp_path) == []
    new(tmp_path / "a").release()


@pytest.mark.parametrize("what", ["metrics", "model", "checkpoint"])
def test_a_run_that_failed_later_keeps_everything(tmp_path: Path, what: str) -> None:
    with new(tmp_path / "a") as folder:
        if what == "metrics":
            folder.append_metrics({"step": 1, "loss": 1.0})
        elif what == "model":
            folder.model.mkdir()
        else:
            save(folder.checkpoints, 10)
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
    from adapt_core.run_folder import RunFolder
    folder = RunFolder.create(sys.argv[1], {"seed": 1}, resume=False, overwrite=False)
    if os.fork() == 0:  # such as a worker that loads data, and that outlives its killed parent for a while
        print("ready", flush=True)
    time.sleep(60)
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


# ---- opening a finished run -----------------------------------------------------------------------------------------


def test_a_finished_run_opens(tmp_path: Path) -> None:
    folder = RunFolder.open(finished_run(tmp_path / "a"))
    assert folder.finished
    assert read_json(folder.data) == {"rows": {"train": 3}}


def test_opening_says_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such folder"):
        RunFolder.open(tmp_path / "nothing")
    with pytest.raises(UsageError, match=r"no config\.yaml"):
        RunFolder.open(tmp_path)
    with pytest.raises(UsageError, match=r"not finished \(interrupted\)") as refused:
        RunFolder.open(finished_run(tmp_path / "a", status="interrupted"))
    assert "--resume" in refused.value.hint
    path = finished_run(tmp_path / "b")
    (path / "data.json").unlink()
    with pytest.raises(UsageError, match=r"damaged: it has no data\.json"):
        RunFolder.open(path)


# ---- checkpoints ----------------------------------------------------------------------------------------------------


def save(checkpoints: Checkpoints, step: int, *, complete: bool = True) -> Path:
    folder = checkpoints.at(step)
    (folder / "part").mkdir(parents=True, exist_ok=True)
    (folder / "weights").write_bytes(b"w" * step)
    (folder / "part" / "optimizer").write_bytes(b"o" * step)
    if complete:
        checkpoints.mark_complete(step)
    return folder


@pytest.fixture
def checkpoints(tmp_path: Path) -> Checkpoints:
    return RunFolder(tmp_path / "run").checkpoints


def test_there_is_no_newest_checkpoint_before_the_first(checkpoints: Checkpoints) -> None:
    assert checkpoints.newest() is None
    assert checkpoints.remove_incomplete() == []


def test_the_newest_checkpoint_is_that_of_the_most_steps(checkpoints: Checkpoints) -> None:
    for step in (900, 1000, 20):
        save(checkpoints, step)
    assert checkpoints.newest() == checkpoints.at(1000)
    assert checkpoints.steps() == [20, 900, 1000]


def test_a_checkpoint_that_was_never_marked_does_not_count_and_is_removed(checkpoints: Checkpoints) -> None:
    save(checkpoints, 10)
    save(checkpoints, 20, complete=False)
    assert checkpoints.newest() == checkpoints.at(10)
    assert checkpoints.remove_incomplete() == [checkpoints.at(20)]
    assert names_in(checkpoints.path) == ["checkpoint-10"]


def test_a_checkpoint_with_a_missing_or_a_shorter_file_does_not_count(checkpoints: Checkpoints) -> None:
    save(checkpoints, 10)
    (save(checkpoints, 20) / "part" / "optimizer").unlink()
    (save(checkpoints, 30) / "weights").write_bytes(b"w" * 29)
    assert checkpoints.newest() == checkpoints.at(10)


def test_a_checkpoint_that_is_written_again_does_not_count_meanwhile(checkpoints: Checkpoints) -> None:
    save(checkpoints, 10)
    checkpoints.mark_incomplete(10)
    assert checkpoints.newest() is None
    save(checkpoints, 10)
    assert checkpoints.newest() == checkpoints.at(10)


def test_only_the_newest_checkpoints_are_kept_and_others_in_the_folder_left_alone(checkpoints: Checkpoints) -> None:
    for step in (1, 2, 3, 10):
        save(checkpoints, step)
    (checkpoints.path / "runs").mkdir()
    checkpoints.keep_newest(2)
    assert names_in(checkpoints.path) == ["checkpoint-10", "checkpoint-3", "runs"]
    checkpoints.keep_newest(5)
    assert checkpoints.steps() == [3, 10]


SAVING = """
    import sys
    from pathlib import Path
    from adapt_core.checkpoints import Checkpoints
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
    checkpoints.remove_incomplete()
    assert all((folder / "complete.json").is_file() for folder in tmp_path.iterdir())


# ---- files ----------------------------------------------------------------------------------------------------------


def test_json_is_standard_even_for_what_is_no_number(tmp_path: Path) -> None:
    numpy = pytest.importorskip("numpy")
    value = {"loss": math.nan, "worst": math.inf, "mean": numpy.float32(0.5), "all": numpy.array([1, 2]), 3: Path("x")}
    write_json(tmp_path / "a.json", value)

    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    read = json.loads((tmp_path / "a.json").read_text(), parse_constant=refuse)
    assert read == {"loss": None, "worst": None, "mean": 0.5, "all": [1, 2], "3": "x"}
    assert names_in(tmp_path) == ["a.json"]


def test_what_json_cannot_hold_is_an_error_and_the_old_file_stays(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"a": 1})
    with pytest.raises(TypeError, match="object"):
        write_json(tmp_path / "a.json", {"a": object()})
    assert read_json(tmp_path / "a.json") == {"a": 1}


def test_a_broken_json_file_is_an_error_that_names_it(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text("{")
    with pytest.raises(AdaptError, match=r"a\.json"):
        read_json(tmp_path / "a.json")
    (tmp_path / "b.jsonl").write_text('{"a": 1}\nnonsense\n{"a": 2}\n')
    with pytest.raises(AdaptError, match=r"b\.jsonl:2"):
        read_json_lines(tmp_path / "b.jsonl")
    assert read_json_lines(tmp_path / "none.jsonl") == []


def test_one_line_of_metrics_stays_one_line_whatever_text_is_in_it() -> None:
    assert "\n" not in to_json({"text": "a\nb\u2028c"}, indent=None)


@pytest.mark.parametrize("text", ["1e-4", "0o17", "0x1F", "12:30", "no", "~", "1_000", ".5", "5.", "-3", "True", ""])
def test_a_string_that_looks_like_something_else_is_quoted_in_yaml(text: str) -> None:
    written = to_yaml({"value": text})
    assert written.removeprefix("value: ")[0] in "'\""
    assert yaml.safe_load(written) == {"value": text}


@pytest.mark.parametrize("text", ["plain", "a: b", "line\nbreak", "ünïcödé", "{text}: {label}", "1.2.3", " "])
def test_every_string_survives_yaml(text: str) -> None:
    assert yaml.safe_load(to_yaml({"value": text})) == {"value": text}
