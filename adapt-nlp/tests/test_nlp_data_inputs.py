"""Rows to predict."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from adapt_core.errors import AdaptError, UsageError
from adapt_nlp.data.columns import TextColumns
from adapt_nlp.data.inputs import read_inputs

PLAIN = TextColumns(text="review").as_dict() | {"label": "stars"}
PAIR = TextColumns(text="premise", text_pair="hypothesis").as_dict() | {"label": "label"}
MADE = TextColumns(format_string="{}: {}", format_names=("title", "body")).as_dict() | {"label": "label"}
PROMPT = TextColumns(format_string="Review: {}", format_names=("review",)).as_dict() | {"label": "label"}


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def test_texts_are_rows() -> None:
    assert read_inputs(["one", '{"two": 2}'], None, PLAIN) == [{"text": "one"}, {"text": '{"two": 2}'}]
    assert read_inputs(["good"], None, PROMPT) == [{"text": "Review: good"}]


def test_rows_of_several_columns_are_json_objects() -> None:
    pair = json.dumps({"hypothesis": "h", "premise": "p"})
    assert read_inputs([pair], None, PAIR) == [{"text": "p", "text_pair": "h"}]
    assert read_inputs([json.dumps({"title": "t", "body": None})], None, MADE) == [{"text": "t: "}]
    for wrong in ("just text", '["p", "h"]', '{"premise": "p"}', '{"premise": "p", "hypothesis": "h", "x": 1}'):
        with pytest.raises(UsageError, match="text 2: this model reads 2 columns, premise, hypothesis") as error:
            read_inputs([pair, wrong], None, PAIR)
        assert '{"premise": "…", "hypothesis": "…"}' in error.value.hint


def test_a_file_keeps_everything_that_its_rows_held(tmp_path: Path) -> None:
    path = write(tmp_path / "new.csv", "id,review\n7,good\n8,NA\n")
    assert read_inputs(["first"], path, PLAIN) == [
        {"text": "first"},
        {"text": "good", "columns": {"id": "7", "review": "good"}},
        {"text": "NA", "columns": {"id": "8", "review": "NA"}},
    ]


@pytest.mark.parametrize("suffix", ["jsonl", "json", "parquet"])
def test_what_a_file_holds_is_json_whatever_its_format(tmp_path: Path, suffix: str) -> None:
    import pandas

    path = tmp_path / f"new.{suffix}"
    frame = pandas.DataFrame({"premise": ["p"], "hypothesis": ["h"], "day": [pandas.Timestamp("2026-01-02")]})
    if suffix == "parquet":
        frame.to_parquet(path)
    else:
        frame.to_json(path, orient="records", lines=suffix == "jsonl", date_format="iso")
    (row,) = read_inputs([], path, PAIR)
    assert (row["text"], row["text_pair"]) == ("p", "h")
    assert row["columns"]["day"].startswith("2026-01-02")
    assert json.loads(json.dumps(row)) == row


def test_a_text_file_is_one_text_a_line(tmp_path: Path) -> None:
    path = write(tmp_path / "new.txt", "good\nbad, really\n")
    assert [row["text"] for row in read_inputs([], path, PLAIN)] == ["good", "bad, really"]
    assert [row["text"] for row in read_inputs([], path, PROMPT)] == ["Review: good", "Review: bad, really"]
    with pytest.raises(UsageError, match="this model reads 2 columns, premise, hypothesis"):
        read_inputs([], path, PAIR)


def test_inputs_that_cannot_be_predicted_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="nothing to predict"):
        read_inputs([], None, PLAIN)
    with pytest.raises(AdaptError, match=r"The command line: column 'review' is empty at row 2"):
        read_inputs(["a", " "], None, PLAIN)
    with pytest.raises(AdaptError, match=r"column 'review' is empty at lines 3, 4 \(2 of 3 rows\)"):
        read_inputs([], write(tmp_path / "a.csv", "id,review\n1,x\n2,\n3,\n"), PLAIN)
    with pytest.raises(AdaptError, match=r"column 'review' is empty at line 2"):
        read_inputs([], write(tmp_path / "a.txt", "x\n\ny\n"), PLAIN)
    with pytest.raises(UsageError, match="has no column 'review'") as error:
        read_inputs([], write(tmp_path / "b.csv", "text\nx\n"), PLAIN)
    assert "The columns there are: text." in error.value.hint
    with pytest.raises(AdaptError, match="has no rows"):
        read_inputs([], write(tmp_path / "c.csv", "review\n"), PLAIN)
