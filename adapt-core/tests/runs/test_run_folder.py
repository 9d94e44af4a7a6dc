"""The run folder: who may write where, and what resuming refuses."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from run_folders import CONFIG, everything_in, finished_run, names_in, new, save_checkpoint

from adapt_core.errors import UsageError
from adapt_core.runs.folder import RunFolder
from adapt_core.utils.files import read_json, write_json


def with_training(**values: Any) -> dict[str, Any]:
    return {**CONFIG, "training": {**CONFIG["training"], **values}}


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
        assert names_in(path) == [".replaced", "config.yaml", "run.lock"]
        assert folder.status == "unfinished"
    assert names_in(path) == ["config.yaml", "run.lock"]


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
        save_checkpoint(folder.checkpoints, 10)
        save_checkpoint(folder.checkpoints, 20, complete=False)
    with new(tmp_path / "a", resume=True) as folder:
        assert folder.removed == {folder.checkpoints.at(20): "it was not complete"}
        assert names_in(folder.checkpoints.path) == ["checkpoint-10"]


# ---- opening a finished run -----------------------------------------------------------------------------------------


def test_a_finished_run_opens(tmp_path: Path) -> None:
    folder = RunFolder.open(finished_run(tmp_path / "a"))
    assert folder.finished
    assert read_json(folder.data) == {"rows": {"train": 3}}


def test_a_run_that_trained_nothing_says_so(tmp_path: Path) -> None:
    with new(tmp_path / "a") as folder:
        write_json(folder.environment, {})
        write_json(folder.data, {})
        write_json(folder.result, {"status": "completed", "artifact": None})
    with pytest.raises(UsageError, match="only evaluated its base model, and saved none"):
        RunFolder.open(tmp_path / "a")


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
