"""Token classification from a file to a used model, with a tiny encoder built on the spot."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import adapt_core
from adapt_core.errors import AdaptError, ConfigError
from adapt_core.testing import TaskContract


class TestTokenContract(TaskContract):
    @pytest.fixture
    def configuration(self, tagging: dict[str, Any]) -> dict[str, Any]:
        return {**tagging, "method": "lora", "training": {**tagging["training"], "max_steps": 3}}


def result_of(folder: Path) -> dict[str, Any]:
    return dict(json.loads((folder / "result.json").read_text()))


def test_lora_learns_what_there_is_to_learn(tagged_run: Path) -> None:
    result = result_of(tagged_run)
    assert set(result["metrics"]) == {"train_loss", "loss", "precision", "recall", "f1", "accuracy"}
    assert result["metrics"]["f1"] > 0.9
    assert result["reload_difference"] == {"model": 0.0, "export": pytest.approx(0.0, abs=1e-4)}


def test_entities_come_with_their_places_in_a_plain_text(tagged_run: Path) -> None:
    run = adapt_core.load_run(tagged_run)
    text = "the rain storm the, the soup the"
    (found,) = run.predict([text])
    assert found["tokens"] == ["the", "rain", "storm", "the", ",", "the", "soup", "the"]
    assert next((each["type"], each["start"], each["end"]) for each in found["entities"]) == ("weather", 4, 14)
    assert found["entities"][-1]["type"] == "food"
    for each in found["entities"]:
        assert text[each["start"] : each["end"]] == each["text"]
        assert 1 / 7 < each["score"] <= 1


def test_words_as_a_list_are_taken_as_they_are(tagged_run: Path) -> None:
    run = adapt_core.load_run(tagged_run)
    words = ["the", "piano", "drum", "the"]
    as_json, as_row = run.predict([json.dumps(words), {"tokens": words}])  # type: ignore[list-item]
    assert as_json == as_row
    assert as_row["text"] == "the piano drum the"
    assert [(each["type"], each["text"]) for each in as_row["entities"]] == [("music", "piano drum")]


def test_the_report_marks_entities_and_has_a_table_of_types(tagged_run: Path) -> None:
    page = (tagged_run / "report.html").read_text()
    for part in ("Sample predictions", '<ul class="spans">', "Entities by type", "Words by tag", "B-weather"):
        assert part in page


def test_data_json_says_what_was_trained_on(tagged_run: Path, sentences: Path) -> None:
    info = json.loads((tagged_run / "data.json").read_text())
    assert info["rows"] == {"train": 180, "validation": 20, "test": 0}
    assert info["columns"] == {"tokens": "tokens", "tags": "ner_tags"}
    assert info["scheme"] == "IOB2"
    rows = [json.loads(line) for line in sentences.read_text().splitlines()]
    assert set(info["label_names"]) == {tag for row in rows for tag in row["ner_tags"]}
    assert 0 < sum(info["tags"].values()) < sum(len(row["tokens"]) for row in rows)


def test_other_data_can_be_evaluated_on(tagged_run: Path, sentences: Path) -> None:
    found = adapt_core.evaluate_run(tagged_run, data=str(sentences))
    assert found["rows"] == 200
    assert found["metrics"]["f1"] > 0.9


def test_a_merged_run_tags_alike(tagged_run: Path, tmp_path: Path) -> None:
    found = adapt_core.merge_run(tagged_run, output=str(tmp_path / "merged"))
    assert found["difference"] <= found["tolerance"] * found["largest_output"]


def test_files_are_tagged(tagged_run: Path, tmp_path: Path, adapt: Any) -> None:
    (tmp_path / "in.txt").write_text("the soup the\nthe rain the\n")
    (tmp_path / "in.conll").write_text("the O\nsoup B-food\nthe O\n\nthe O\nrain O\nthe O\n")
    (tmp_path / "in.jsonl").write_text('{"id": 7, "tokens": ["the", "soup", "the"]}\n')
    (tmp_path / "texts.csv").write_text("id,text\n7,the soup the\n")
    for name, count in (("in.txt", 2), ("in.conll", 2), ("in.jsonl", 1), ("texts.csv", 1)):
        output = tmp_path / f"{name}-out.jsonl"
        adapt("predict", str(tagged_run), "--input", str(tmp_path / name), "--output", str(output))
        rows = [json.loads(line) for line in output.read_text().splitlines()]
        assert len(rows) == count
        assert [(each["type"], each["start"], each["end"]) for each in rows[0]["entities"]] == [("food", 4, 8)], name
    assert rows[0]["columns"]["id"] == "7"


def test_parts_of_speech_are_predicted_by_word(quick_tags: Any, tmp_path: Path) -> None:
    data = tmp_path / "pos.conllu"
    lines = ["# text = the rain", "1\tthe\t_\tDET\t_\t_\t_\t_\t_\t_", "2\train\t_\tNOUN\t_\t_\t_\t_\t_\t_", ""]
    data.write_text("\n".join(lines * 30))
    result = quick_tags(task={"subtask": "pos"}, dataset={"path": str(data)})
    assert {"accuracy", "f1_macro"} <= set(result["metrics"])
    assert "precision" not in result["metrics"]
    (found,) = adapt_core.load_run(tmp_path / "quick").predict(["the rain"])
    assert len(found["tags"]) == 2
    assert set(found["tags"]) <= {"DET", "NOUN"}
    assert all(0.5 <= score <= 1 for score in found["scores"])
    assert "entities" not in found


def test_the_flat_names_of_the_table_choose_the_task(tagging: dict[str, Any], tmp_path: Path) -> None:
    from adapt_core.api import plan_of

    def flat(**given: Any) -> Any:
        base = {"LOCAL_MODEL_PATH": tagging["model"]["path"], "CUSTOM_DATASET_PATH": tagging["dataset"]["path"]}
        return plan_of({"TASK": "text_classification", "method": "LoRA", "OUTPUT_DIR": str(tmp_path), **base, **given})

    for subtask in ("ner", "pos", "chunk"):
        made = flat(subtask=subtask)
        assert (made.task.spec.name, made.task.options.subtask) == ("token_classification", subtask)
    for none in (None, "None"):
        assert flat(subtask=none).task.spec.name == "text_classification"
    with pytest.raises(ConfigError, match="subtask"):
        flat(subtask="nre")
    with pytest.raises(ConfigError, match="FORMAT_STRING"):
        flat(subtask="ner", FORMAT_STRING="{}", FORMAT_NAMES=["a"])


def test_a_long_sentence_is_read_in_windows(quick_tags: Any, tmp_path: Path) -> None:
    quick_tags(task={"max_length": 8, "overlap": 4})
    run = adapt_core.load_run(tmp_path / "quick")
    words = ["the", "rain", "soup", "the", "song", "drum", "rice", "the", "snow", "wind", "the", "salt"]
    (scores,) = run.task.outputs(run.model, [{"tokens": words}], run.info)
    assert scores.shape == (12, 7)
    # Six words a window, four of them shared: windows begin at words 0, 2, 4 and 6. Word 5 has two words on its left in
    # the third, word 4 as many on its right in the second.
    for begin, read in ((0, range(4)), (2, range(4, 6)), (4, range(6, 8)), (6, range(8, 12))):
        (alone,) = run.task.outputs(run.model, [{"tokens": words[begin : begin + 6]}], run.info)
        for word in read:
            assert np.allclose(scores[word], alone[word - begin], atol=1e-5), word


def test_more_overlap_than_a_window_has_room_for_is_refused(quick_tags: Any) -> None:
    with pytest.raises(AdaptError, match="have room for 6 of the text, and 6 of them are to be shared"):
        quick_tags(task={"max_length": 8, "overlap": 6})
    with pytest.raises(ConfigError, match=r"overlap \(8\) must be less than max_length \(8\)"):
        quick_tags(task={"max_length": 8, "overlap": 8})


def test_a_pretrained_head_keeps_the_order_of_its_tags(quick_tags: Any, encoder: Path, tmp_path: Path) -> None:
    from transformers import AutoModelForTokenClassification, AutoTokenizer

    names = ["O", *(f"{prefix}-{kind}" for kind in ("weather", "music", "food", "city") for prefix in "BI")]
    folder = tmp_path / "tagger"
    numbered = {"id2label": dict(enumerate(names)), "label2id": {name: index for index, name in enumerate(names)}}
    AutoModelForTokenClassification.from_pretrained(encoder, num_labels=9, **numbered).save_pretrained(folder)
    AutoTokenizer.from_pretrained(encoder).save_pretrained(folder)
    quick_tags(model={"path": str(folder)}, method={"name": "lora", "train_head": False})
    run = adapt_core.load_run(tmp_path / "quick")
    assert run.info["label_names"] == names, "it knows all tags of the data, and one type more"
    assert run.model.module.config.id2label == dict(enumerate(names))


@pytest.mark.parametrize("method", ["prompt_tuning", "p_tuning"])
def test_methods_that_put_tokens_before_the_input_are_refused(method: str, quick_tags: Any) -> None:
    with pytest.raises(ConfigError, match=f"the method {method} puts tokens before the input"):
        quick_tags(method={"name": method})


@pytest.mark.parametrize(
    "changes",
    [
        {"method": {"name": "ssf"}},
        {"method": {"name": "last_layer"}},
        {"method": {"name": "bitfit"}},
        {"method": {"name": "vera"}},
        {"method": {"name": "prefix_tuning", "num_virtual_tokens": 4}, "save": "none"},
    ],
    ids=lambda changes: changes["method"]["name"],
)
def test_methods_train_are_saved_and_merged(changes: dict[str, Any], tagging: dict[str, Any], tmp_path: Path) -> None:
    folder = tmp_path / "run"
    training = {**tagging["training"], "max_steps": 3}
    result = adapt_core.run({**tagging, **changes, "training": training, "output_dir": str(folder)})
    assert result["reload_difference"]["model"] == pytest.approx(0.0, abs=1e-5)
    if changes["method"]["name"] not in ("last_layer", "prefix_tuning"):
        found = adapt_core.merge_run(folder, output=str(tmp_path / "merged"))
        assert found["difference"] <= found["tolerance"] * max(found["largest_output"], 1)
