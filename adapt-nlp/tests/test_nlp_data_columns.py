"""Finding the text and the label by their names, and checking them."""

from __future__ import annotations

import pytest

from adapt_core.errors import AdaptError, UsageError
from adapt_nlp.data.columns import LABEL_NAMES, TextColumns, choose, find_text, read_strings
from adapt_nlp.data.table import Table
from adapt_nlp.text_classification.options import TextClassificationData


def table(*names: str, source: str = "data.jsonl", **columns: list[object]) -> Table:
    values = {name: ["a", "b"] for name in names} | columns
    return Table(source, values, len(next(iter(values.values()))), lines=[2, 4])


def options(**values: object) -> TextClassificationData:
    return TextClassificationData.model_validate({"path": "x", **values})


def found(*names: str, **values: object) -> tuple[str | None, str | None]:
    columns = find_text(table(*names), options(**values))
    return columns.text, columns.text_pair


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (("text", "label"), ("text", None)),
        (("Review", "Class"), ("Review", None)),
        (("idx", "sentence", "label"), ("sentence", None)),
        (("content", "text", "label"), ("text", None)),
        (("sentence1", "sentence2", "label"), ("sentence1", "sentence2")),
        (("label", "hypothesis", "premise"), ("premise", "hypothesis")),
        (("question1", "question2", "is_duplicate"), ("question1", "question2")),
        (("question", "sentence", "label"), ("question", "sentence")),
        (("text", "text_pair", "label"), ("text", "text_pair")),
        (("question", "label"), ("question", None)),
    ],
)
def test_the_text_is_found_by_its_usual_names(names: tuple[str, ...], expected: tuple[str, str | None]) -> None:
    assert found(*names) == expected


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (("review", "comment", "label"), "2 columns could hold the text: review, comment"),
        (("text", "Text", "label"), "2 columns could hold the text: text, Text"),
        (("text", "sentence1", "sentence2"), "sentence1 with sentence2, or text"),
        (("question", "answer", "passage"), "question with answer, or question with passage"),
        (("premise", "words"), None),
        (("words", "label"), "no column holds the text"),
    ],
)
def test_a_text_that_is_not_clear_is_asked_for(names: tuple[str, ...], message: str | None) -> None:
    if message is None:
        assert found(*names) == ("premise", None)
        return
    with pytest.raises(UsageError) as error:
        found(*names)
    assert message in error.value.message
    assert f"The columns there are: {', '.join(names)}." in error.value.hint
    assert "dataset.text_column" in error.value.hint


def test_named_columns_are_taken_whatever_else_there_is() -> None:
    names = ("text", "sentence1", "sentence2", "label")
    assert found(*names, text_column="sentence2") == ("sentence2", None)
    assert found(*names, text_column="label", text_pair_column="text") == ("label", "text")
    assert found("question", "passage", "answer", label_column="answer") == ("question", "passage")


def test_a_named_column_that_is_missing_is_told_with_those_there_are() -> None:
    with pytest.raises(
        UsageError, match=r"has no column 'reveiw', which dataset.text_column names\. Did you mean 'review'\?"
    ) as e:
        found("review", "label", text_column="reveiw")
    assert e.value.hint == "The columns there are: review, label."
    with pytest.raises(UsageError, match=r"which dataset\.format_names"):
        found("review", "label", format_string="{title}", format_names=["title"])


def test_a_file_without_a_header_is_recognised() -> None:
    with pytest.raises(UsageError) as error:
        find_text(table("3", "good film", source="data.csv"), options())
    assert "The columns there are: 3, good film. They are the file's first line" in error.value.hint


def test_the_label_is_found_beside_the_text() -> None:
    def label(*names: str, named: str | None = None) -> str:
        return choose(table(*names), named, "dataset.label_column", LABEL_NAMES, "the label", ("text",))

    assert label("text", "topic", "label") == "label"
    assert label("text", "Sentiment") == "Sentiment"
    assert label("text", "topic", named="topic") == "topic"
    with pytest.raises(UsageError, match="2 columns could hold the label: class, topic"):
        label("text", "topic", "class")
    with pytest.raises(UsageError, match="no column holds the label"):
        label("text", "stars")


@pytest.mark.parametrize(
    ("format_string", "expected"),
    [
        ("{} ({})", ["one (1)", " (2)"]),
        ("{1}: {0}", ["1: one", "2: "]),
        ("{n:>3}|{title:.2}", ["  1|on", "  2|"]),
        ("{{}} {title}{n}", ["{} one1", "{} 2"]),
    ],
)
def test_a_format_string_makes_the_text(format_string: str, expected: list[str]) -> None:
    rows = table(title=["one", None], n=[1, 2])
    columns = find_text(rows, options(format_string=format_string, format_names=["title", "n"]))
    assert columns.texts(rows) == (expected, None)


def test_a_format_that_does_not_fit_a_value_names_the_row() -> None:
    rows = table(n=[1.5, "x"])
    columns = TextColumns(format_string="{:.1f}", format_names=("n",))
    with pytest.raises(AdaptError, match=r"line 4: format_string .* does not fit: Unknown format code 'f'"):
        columns.texts(rows)
    with pytest.raises(AdaptError, match="column 'n' holds neither text nor numbers at line 2"):
        columns.texts(table(n=[["a"], 1]))
    with pytest.raises(AdaptError, match=r"makes is empty at line 4 \(1 of 2 rows\)"):
        columns = TextColumns(format_string="{}", format_names=("n",))
        columns.texts(table(n=["a", None]))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (["a", " \t"], r"column 'text' is empty at line 4 \(1 of 2 rows\)"),
        ([None, ""], r"column 'text' is empty at lines 2, 4 \(2 of 2 rows\)"),
        (["a", 3], "column 'text' holds values that are not text at line 4, the first of them 3"),
        (["a", ["b"]], "not text at line 4"),
        (["a", "b\ud800"], "not valid Unicode at line 4"),
    ],
)
def test_texts_that_cannot_be_used_are_refused_with_their_rows(values: list[object], message: str) -> None:
    with pytest.raises(AdaptError, match=message):
        read_strings(table(text=values), "text")


def test_columns_survive_their_stored_form() -> None:
    for columns in (
        TextColumns(text="a", text_pair="b"),
        TextColumns(format_string="{}{}", format_names=("a", "b")),
    ):
        assert TextColumns.from_dict(columns.as_dict() | {"label": "c"}) == columns
