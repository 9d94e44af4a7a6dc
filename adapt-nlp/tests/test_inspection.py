"""``adapt data`` on texts and tagged sentences: lengths, what is cut, and tokens as the model will see them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import adapt_core
from adapt_core.bundles import Inspected


def written(path: Path, rows: list[dict[str, Any]]) -> str:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


def inspected(config: dict[str, Any], **changes: Any) -> Inspected:
    train, _ = adapt_core.inspect_data({**config, **changes}, examples=2)
    return train


def test_texts_are_shown_as_tokens_with_what_is_cut_off(config: dict[str, Any], tmp_path: Path) -> None:
    rows = [{"text": "rain sun wind cloud storm", "label": "weather"}, {"text": "soup bread", "label": "food"}] * 6
    found = inspected(
        config,
        task={"name": "text_classification", "max_length": 5},
        dataset={"path": written(tmp_path / "texts.jsonl", rows)},
    )
    assert set(found.lengths) == {7, 4}, "with [CLS] and [SEP]"
    assert found.limit == 5
    assert sum(found.labels.values()) == len(found.keys) and len(set(found.keys)) == 2
    (section,) = found.examples
    for text, ranges, remark in section.rows:
        if remark == "weather":
            assert text == "[CLS] rain sun wind cloud storm [SEP]"
            assert [text[start:end] for start, end, _ in ranges] == ["storm [SEP]"]
        else:
            assert (text, ranges) == ("[CLS] soup bread [SEP]", [])


def test_tags_mark_the_tokens_that_stand_for_words(config: dict[str, Any], tmp_path: Path) -> None:
    rows = [{"tokens": ["rain", "sun", "soup"], "ner_tags": ["O", "B-A", "I-A"]}] * 12
    rows += [{"tokens": ["sun"], "ner_tags": ["B-B"]}] * 4
    found = inspected(
        config,
        task={"name": "token_classification", "subtask": "ner"},
        dataset={"path": written(tmp_path / "tags.jsonl", rows)},
    )
    assert set(found.labels) <= {"O", "B-A", "I-A", "B-B"}
    (section,) = found.examples
    shown = {text: [(text[start:end], mark) for start, end, mark in ranges] for text, ranges, _ in section.rows}
    assert shown["[CLS] rain sun soup [SEP]"] == [("rain", "O"), ("sun", "B-A"), ("soup", "I-A")]


@pytest.mark.usefixtures("config")
def test_nothing_of_the_model_but_its_tokenizer_is_read(
    config: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import transformers

    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("the model was loaded")

    monkeypatch.setattr(transformers.AutoModelForSequenceClassification, "from_pretrained", refuse)
    assert adapt_core.inspect_data(config)[0].lengths
