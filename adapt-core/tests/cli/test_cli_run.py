"""``adapt run``, ``adapt eval`` and ``adapt predict`` as commands, on a tiny model."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest
from cli_runner import Done, adapt

import adapt_core.api
from adapt_core.cli.predict import to_csv, to_json_lines
from adapt_core.errors import Interrupted

pytestmark = pytest.mark.usefixtures("no_reload")


@pytest.fixture(scope="module")
def finished(no_reload: None, toy: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Done]:
    """The folder of a finished run, and how the command that made it ended."""
    folder = tmp_path_factory.mktemp("cli-run")
    (folder / "run.json").write_text(json.dumps(toy), encoding="utf-8")
    run = folder / "done"
    done = adapt("run", str(folder / "run.json"), "training.max_steps=4", f"output_dir={run}", "--json")
    assert done.code == 0, done.err
    return run, done


def test_run_prints_the_result_and_nothing_else_on_standard_output(finished: tuple[Path, Done]) -> None:
    run, done = finished
    assert done.json == json.loads((run / "result.json").read_text(encoding="utf-8"))
    assert done.json["status"] == "completed"
    assert done.json["steps"] == 4
    assert "step 4/4" in done.err


def test_run_never_writes_over_a_run_unless_told_to(finished: tuple[Path, Done]) -> None:
    run, _ = finished
    before = (run / "result.json").read_bytes()
    done = adapt("run", str(run))
    assert done.code == 2
    assert str(run) in done.err
    assert (run / "result.json").read_bytes() == before
    assert adapt("run", str(run), "--resume", "--overwrite").code == 2


def test_run_takes_the_folder_of_a_run_and_tells_people_where_everything_is(
    finished: tuple[Path, Done], tmp_path: Path
) -> None:
    done = adapt("run", str(finished[0]), f"output_dir={tmp_path / 'run'}", "training.max_steps=2")
    assert done.code == 0, done.err
    pairs = dict(line.split(maxsplit=1) for line in done.out.splitlines() if line)
    assert 0 <= float(pairs["accuracy"]) <= 1
    assert pairs["run"] == str(tmp_path / "run")
    assert Path(pairs["model"]).is_dir()
    assert Path(pairs["report"]).is_file()

    again = adapt("run", str(tmp_path / "run"), "training.max_steps=3", "--overwrite", "--json")
    assert again.code == 0, again.err
    assert again.json["steps"] == 3
    assert json.loads((tmp_path / "run" / "result.json").read_text(encoding="utf-8"))["steps"] == 3


def test_a_configuration_with_problems_ends_with_2_and_lists_them(tmp_path: Path) -> None:
    (tmp_path / "run.yaml").write_text("task: nothing\n", encoding="utf-8")
    done = adapt("run", str(tmp_path / "run.yaml"))
    assert done.code == 2
    assert "run.yaml:1: task: " in done.err


def test_eval_gives_the_metrics_of_the_run(finished: tuple[Path, Done]) -> None:
    run, made = finished
    done = adapt("eval", str(run), "--json")
    assert done.code == 0, done.err
    assert done.json["metrics"]["accuracy"] == pytest.approx(made.json["metrics"]["accuracy"])
    assert done.json["rows"] == 64
    table = [line.split() for line in adapt("eval", str(run)).out.splitlines()]
    assert ["rows", "64"] in table


def test_predict_prints_one_prediction_a_text(finished: tuple[Path, Done]) -> None:
    done = adapt("predict", str(finished[0]), "[90, 91, 92, 93]", "[3, 4, 5, 6]", "--json")
    assert done.code == 0, done.err
    assert [set(each) for each in done.json] == [{"label"}, {"label"}]
    lines = adapt("predict", str(finished[0]), "[90, 91, 92, 93]").out.split()
    assert lines == ["label", str(done.json[0]["label"])]


def test_predict_writes_a_new_file(finished: tuple[Path, Done], tmp_path: Path) -> None:
    output = tmp_path / "predictions.jsonl"
    done = adapt("predict", str(finished[0]), "[90, 91]", "[3, 4]", "--output", str(output))
    assert (done.code, done.out) == (0, "")
    assert len([json.loads(line) for line in output.read_text(encoding="utf-8").splitlines()]) == 2


def test_predict_reads_standard_input_and_prints_json_lines(
    finished: tuple[Path, Done], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"[90, 91]\n\n[3, 4]\n")))
    done = adapt("predict", str(finished[0]), "--input", "-", "--jsonl")
    assert done.code == 0, done.err
    assert [set(json.loads(line)) for line in done.out.splitlines()] == [{"label"}, {"label"}]
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"\n")))
    assert "nothing on standard input" in adapt("predict", str(finished[0]), "--input", "-").err


def test_an_option_that_predicting_does_not_have_is_named(finished: tuple[Path, Done]) -> None:
    done = adapt("predict", str(finished[0]), "[90, 91]", "-O", "beams=3")
    assert done.code == 2
    assert "beams" in done.err


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("[3]", "--json", "--jsonl"), "Give either --jsonl or --json."),
        (("[3]", "-O", "beams"), "expected key=value"),
        ((), "Give either texts or --input FILE."),
        (("[3]", "--input", "rows.csv"), "Give either texts or --input FILE."),
        (("[3]", "--output", "rows.txt"), "End it in .csv, .jsonl, .json."),
        (("[3]", "--output", __file__ + ".csv/../" + Path(__file__).name), "End it in"),
    ],
)
def test_predict_refuses_what_it_cannot_do_before_it_loads_anything(arguments: tuple[str, ...], says: str) -> None:
    done = adapt("predict", "no-such-run", *arguments)
    assert done.code == 2
    assert says in done.err


@pytest.mark.parametrize("command", [("eval",), ("predict", "a text")])
def test_a_folder_without_a_run_ends_with_2(command: tuple[str, ...], tmp_path: Path) -> None:
    done = adapt(command[0], str(tmp_path), *command[1:])
    assert done.code == 2
    assert "There is no run in" in done.err


def test_what_a_library_prints_does_not_get_into_the_result(monkeypatch: pytest.MonkeyPatch) -> None:
    def noisy(*_: Any) -> dict[str, Any]:
        print("look at me")
        return {"metrics": {"accuracy": 0.5}, "notices": ["No better than a guess."], "rows": 2}

    monkeypatch.setattr(adapt_core.api, "evaluate_run", noisy)
    done = adapt("eval", "a-run", "--json")
    assert done.json == {"metrics": {"accuracy": 0.5}, "notices": ["No better than a guess."], "rows": 2}
    assert done.err == "look at me\n"
    done = adapt("eval", "a-run")
    assert "No better" not in done.out, "standard output is the table"
    assert done.err == "look at me\nNo better than a guess.\n"


PREDICTIONS = [
    {"text": 'a "b",\nc', "label": "good", "score": 0.75, "scores": {"good": 0.75, "bad": 0.25}},
    {"text": "d", "extra": None, "label": "bad", "score": 1.0, "scores": {"good": 0.0, "bad": 1.0}},
]


def test_predictions_as_csv_have_a_column_for_every_score() -> None:
    rows = list(csv.DictReader(io.StringIO(to_csv(PREDICTIONS), newline="")))
    assert list(rows[0]) == ["text", "label", "score", "scores.good", "scores.bad", "extra"]
    assert rows[0]["text"] == 'a "b",\nc'
    assert [float(row["scores.bad"]) for row in rows] == [0.25, 1.0]


def test_predictions_as_json_lines_are_one_a_line() -> None:
    assert [json.loads(line) for line in to_json_lines(PREDICTIONS).splitlines()] == PREDICTIONS


@pytest.mark.parametrize("trained", [False, True])
def test_an_interruption_outside_the_training_steps_says_how_to_go_on(
    toy_config: Any, monkeypatch: pytest.MonkeyPatch, trained: bool
) -> None:
    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    stage = "adapt_core.pipeline.run.save" if trained else "adapt_core.pipeline.run.require_same_data"
    monkeypatch.setattr(stage, interrupt)
    config = toy_config(training={"max_steps": 3, "interval": "steps", "interval_steps": 3})
    with pytest.raises(Interrupted) as caught:
        adapt_core.run(config)
    folder = Path(config["output_dir"])
    assert folder.exists() == trained
    if trained:
        assert caught.value.message == "Stopped; the state of step 3 is saved."
        assert caught.value.hint == f"Continue with: adapt run {folder} --resume"
