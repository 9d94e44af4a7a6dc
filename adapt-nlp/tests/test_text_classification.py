"""Text classification from a file to a used model, with a tiny encoder built on the spot."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import adapt_core
import adapt_core.pipeline.saving
from adapt_core.bundles import Model
from adapt_core.errors import AdaptError
from adapt_core.testing import TaskContract
from adapt_nlp.text_classification.metrics import classification_metrics


class TestContract(TaskContract):
    @pytest.fixture
    def configuration(self, config: dict[str, Any]) -> dict[str, Any]:
        return {**config, "method": "lora", "training": {**config["training"], "max_steps": 3}}


def result_of(folder: Path) -> dict[str, Any]:
    return dict(json.loads((folder / "result.json").read_text()))


def test_it_learns_what_there_is_to_learn(config: dict[str, Any], tmp_path: Path) -> None:
    result = adapt_core.run({**config, "output_dir": str(tmp_path / "run")})
    assert result["metrics"]["accuracy"] > 0.95
    assert result["metrics"]["f1_macro"] > 0.95


def test_lora_learns_it_too(run_folder: Path) -> None:
    assert result_of(run_folder)["metrics"]["accuracy"] > 0.9


def test_metrics_are_those_of_their_definitions() -> None:
    # Class 0: precision 1/2, recall 1, F1 2/3; class 1: precision 1, recall 1/2, F1 2/3; class 2: F1 1.
    found = classification_metrics(np.array([0, 1, 1, 2]), np.array([0, 1, 0, 2]))
    assert found == pytest.approx({"accuracy": 3 / 4, "f1_macro": (2 / 3 + 2 / 3 + 1) / 3, "f1_weighted": 0.75})


def test_predictions_come_with_names_and_scores(run_folder: Path) -> None:
    run = adapt_core.load_run(run_folder)
    rain, soup = run.predict(["rain wind storm", {"text": "soup bread"}])  # type: ignore[list-item]
    assert (rain["label"], soup["label"]) == ("weather", "food")
    assert set(rain["scores"]) == {"food", "music", "weather"}
    assert sum(rain["scores"].values()) == pytest.approx(1)
    assert rain["score"] == max(rain["scores"].values())


def test_other_data_can_be_evaluated_on(run_folder: Path, texts: Path) -> None:
    everything = adapt_core.evaluate_run(run_folder, data=str(texts))
    assert everything["rows"] == 300


def test_the_report_shows_the_confusion_and_samples(run_folder: Path) -> None:
    page = (run_folder / "report.html").read_text()
    for part in ("Confusion matrix", "Sample predictions", "weather", "food", "music", "accuracy"):
        assert part in page


def test_data_json_says_what_was_trained_on(run_folder: Path) -> None:
    info = json.loads((run_folder / "data.json").read_text())
    assert info["rows"]["train"] + info["rows"]["validation"] == 300
    assert sum(info["labels"].values()) == info["rows"]["train"]
    assert info["columns"]["text"] == "text"
    assert len(info["fingerprint"]) == 64


def test_long_texts_are_cut_at_max_length(quick: Any, tmp_path: Path) -> None:
    quick(task={"name": "text_classification", "max_length": 4})
    run = adapt_core.load_run(tmp_path / "quick")
    cut = np.stack(run.task.outputs(run.model, [{"text": "rain sun wind cloud storm"}], run.info))
    same = np.stack(run.task.outputs(run.model, [{"text": "rain sun soup bread rice"}], run.info))
    assert np.allclose(cut, same)  # [CLS] rain sun [SEP]


def test_more_tokens_than_positions_is_an_error(quick: Any) -> None:
    with pytest.raises(AdaptError, match="max_length: 100 tokens, but BertForSequenceClassification has 24 positions"):
        quick(task={"name": "text_classification", "max_length": 100})


def test_a_head_for_other_labels_is_replaced_and_trained(quick: Any, tmp_path: Path) -> None:
    quick()  # three labels
    before = tmp_path / "before"
    (tmp_path / "quick").rename(before)
    two = tmp_path / "two.csv"
    two.write_text("text,label\n" + "rain sun,yes\nsoup salt,no\n" * 20)
    result = quick(model={"path": str(before / "model")}, dataset={"path": str(two)}, method={"name": "lora", "r": 1})
    assert result["parameters"]["trainable"] > 2 * 32 + 2
    assert set(adapt_core.load_run(tmp_path / "quick").predict(["rain"])[0]["scores"]) == {"yes", "no"}


@pytest.fixture
def trained_head(quick: Any, tmp_path: Path, encoder: Path) -> Any:
    """A checkpoint of a classifier whose labels are not in the order of their letters."""
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    folder = tmp_path / "classifier"
    names = {"id2label": {0: "weather", 1: "music", 2: "food"}, "label2id": {"weather": 0, "music": 1, "food": 2}}
    AutoModelForSequenceClassification.from_pretrained(encoder, num_labels=3, **names).save_pretrained(folder)
    AutoTokenizer.from_pretrained(encoder).save_pretrained(folder)
    return folder


def test_a_pretrained_head_keeps_the_order_of_its_labels(quick: Any, trained_head: Path, tmp_path: Path) -> None:
    quick(model={"path": str(trained_head)}, method={"name": "lora", "train_head": False})
    run = adapt_core.load_run(tmp_path / "quick")
    assert run.info["label_names"] == ["weather", "music", "food"]
    assert run.model.module.config.id2label == {0: "weather", 1: "music", 2: "food"}
    assert adapt_core.evaluate_run(tmp_path / "quick")["metrics"] == pytest.approx(
        {name: value for name, value in result_of(tmp_path / "quick")["metrics"].items() if name != "train_loss"}
    )


def test_a_head_for_other_labels_is_not_used_untrained(quick: Any, trained_head: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.csv"
    other.write_text("text,label\n" + "rain sun,red\nsoup salt,green\nsong,blue\n" * 20)
    with pytest.raises(AdaptError, match="head knows the labels weather, music, food, the data has blue, green, red"):
        quick(
            model={"path": str(trained_head)},
            dataset={"path": str(other)},
            method={"name": "lora", "train_head": False},
        )


def test_damaged_weights_are_named(quick: Any, trained_head: Path) -> None:
    weights = trained_head / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    with pytest.raises(AdaptError, match=r"model .*classifier"):
        quick(model={"path": str(trained_head)})


def test_a_fresh_head_cannot_be_frozen(quick: Any) -> None:
    with pytest.raises(AdaptError, match=r"LAST_LAYER_TUNING\) is false, but classifier is newly initialised"):
        quick(method={"name": "lora", "train_head": False})


def test_last_layer_tuning_moves_the_head_alone(quick: Any, encoder: Path, tmp_path: Path) -> None:
    result = quick(method={"name": "last_layer"})
    assert result["parameters"]["trainable"] == 3 * 32 + 3
    import torch
    from safetensors.torch import load_file

    before, after = load_file(encoder / "model.safetensors"), load_file(tmp_path / "quick" / "model/model.safetensors")
    kept = {name.removeprefix("bert."): value for name, value in after.items() if not name.startswith("classifier")}
    assert set(kept) == set(before)
    assert all(torch.equal(value, before[name]) for name, value in kept.items())


def test_pairs_of_texts_are_read_together(quick: Any, tmp_path: Path) -> None:
    pairs = tmp_path / "pairs.jsonl"
    rows = [
        {"premise": first, "hypothesis": second, "label": "same" if first == second else "other"}
        for first in ("rain", "soup", "song")
        for second in ("rain", "soup", "song")
    ]
    pairs.write_text("".join(json.dumps(row) + "\n" for row in rows * 6))
    quick(dataset={"path": str(pairs)})
    run = adapt_core.load_run(tmp_path / "quick")
    one = np.stack(run.task.outputs(run.model, [{"text": "rain", "text_pair": "soup"}], run.info))
    other = np.stack(run.task.outputs(run.model, [{"text": "rain", "text_pair": "song"}], run.info))
    assert not np.allclose(one, other, atol=1e-7)


def test_a_folder_that_holds_no_model_is_refused_in_words(quick: Any, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(AdaptError, match=r"empty cannot be loaded"):
        quick(model={"path": str(tmp_path / "empty")})


def test_a_checkpoint_of_another_architecture_is_not_trained_from_scratch(
    quick: Any, encoder: Path, tmp_path: Path
) -> None:
    import shutil

    from safetensors.torch import load_file, save_file

    wrong = tmp_path / "wrong"
    shutil.copytree(encoder, wrong)
    weights = load_file(wrong / "model.safetensors")
    save_file(
        {f"other.{name}": value for name, value in weights.items()}, wrong / "model.safetensors", {"format": "pt"}
    )
    with pytest.raises(AdaptError, match="holds no weights for most of BertForSequenceClassification"):
        quick(model={"path": str(wrong)})


def test_bad_data_is_refused_before_the_model_is_loaded(quick: Any, tmp_path: Path) -> None:
    data = tmp_path / "bad.csv"
    data.write_text("text,label\nrain,a\n,b\nsun,b\n")
    (tmp_path / "none").mkdir()
    with pytest.raises(AdaptError, match=r"bad.csv.* empty .*line 3"):
        quick(dataset={"path": str(data)}, model={"path": str(tmp_path / "none")})


def test_a_run_whose_data_is_gone_is_merged_on_other_rows(quick: Any, texts: Path, tmp_path: Path) -> None:
    own = tmp_path / "own.csv"
    own.write_bytes(texts.read_bytes())
    quick(method={"name": "lora"}, dataset={"path": str(own)})
    own.unlink()
    with pytest.raises(AdaptError, match=r"(?s)own\.csv.*Give other data with the same columns, .*: --data PATH"):
        adapt_core.merge_run(tmp_path / "quick")
    found = adapt_core.merge_run(tmp_path / "quick", data=str(texts))
    assert found["difference"] <= found["tolerance"] * found["largest_output"]


def test_a_model_is_a_module_with_a_tokenizer(run_folder: Path) -> None:
    model = adapt_core.load_run(run_folder).model
    assert isinstance(model, Model)
    assert not model.module.training
    assert model.processor("rain")["input_ids"]
