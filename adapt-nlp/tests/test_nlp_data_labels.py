"""Labels and their names."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from adapt_core.errors import AdaptError, UsageError
from adapt_nlp.data.labels import given_names, ids, ordered, read_labels
from adapt_nlp.data.options import LabelNames
from adapt_nlp.data.table import Table


def table(*values: object, class_names: tuple[str, ...] = ()) -> Table:
    names = {"label": class_names} if class_names else {}
    return Table("d.csv", {"label": list(values)}, len(values), lines=range(2, 2 + len(values)), class_names=names)


def names(*values: object, given: LabelNames | None = None, class_names: tuple[str, ...] = ()) -> list[str]:
    rows = table(*values, class_names=class_names)
    return read_labels(rows, "label", given_names(given, rows, "label"))


@pytest.mark.parametrize(
    ("values", "order"),
    [
        (["pos", "neg"], ["neg", "pos"]),
        (["b", "a", "B", "é"], ["B", "a", "b", "é"]),
        ([3, 10, -1], ["-1", "3", "10"]),
        (["3", "10", "0"], ["0", "3", "10"]),
        (["01", "1", "10"], ["01", "1", "10"]),
        ([True, False], ["False", "True"]),
        (["NA", "null", "None"], ["NA", "None", "null"]),
    ],
)
def test_labels_are_called_what_stands_in_the_data(values: list[object], order: list[str]) -> None:
    assert names(*values) == [str(value) for value in values]
    assert ordered(names(*values)) == order


@pytest.mark.parametrize(
    ("values", "given", "expected"),
    [
        ([1, 0], ["neg", "pos"], ["pos", "neg"]),
        (["1", "0"], ["neg", "pos"], ["pos", "neg"]),
        (["pos", "neg"], ["neg", "pos"], ["pos", "neg"]),
        ([4, 0], {0: "neg", 4: "pos"}, ["pos", "neg"]),
        (["p", "n"], {"n": "neg", "p": "pos"}, ["pos", "neg"]),
        ([True, False], ["no", "yes"], ["yes", "no"]),
        (["True", "False"], {"True": "yes", "False": "no"}, ["yes", "no"]),
        (["1.0", "2.0"], {"1.0": "one", "2.0": "two"}, ["one", "two"]),
    ],
)
def test_the_configuration_names_labels(values: list[object], given: LabelNames, expected: list[str]) -> None:
    assert names(*values, given=given) == expected


def test_class_labels_have_the_names_that_the_data_records_unless_others_are_given() -> None:
    assert names(1, 0, class_names=("neg", "pos")) == ["pos", "neg"]
    assert names(1, 0, class_names=("neg", "pos"), given=["bad", "good"]) == ["good", "bad"]


@pytest.mark.parametrize(
    ("content", "values", "expected"),
    [
        ('["neg", "pos"]', [1, 0], ["pos", "neg"]),
        ('{"0": "neg", "1": "pos"}', [1, 0], ["pos", "neg"]),
        ('{"pos": 1, "neg": 0}', [1, 0], ["pos", "neg"]),
        ('{"n": "neg", "p": "pos"}', ["p", "n"], ["pos", "neg"]),
    ],
)
def test_names_come_from_a_json_file(tmp_path: Path, content: str, values: list[object], expected: list[str]) -> None:
    (tmp_path / "labels.json").write_text(content)
    assert names(*values, given=str(tmp_path / "labels.json")) == expected
    found = given_names(str(tmp_path / "labels.json"), table(*values), "label")
    assert found is not None
    assert list(found.values()) == ["neg", "pos"]


def test_names_come_from_a_text_file(tmp_path: Path) -> None:
    (tmp_path / "labels.txt").write_text("neg\r\npos\n\n")
    assert names(1, 0, given=str(tmp_path / "labels.txt")) == ["pos", "neg"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[1, 2]", "does not hold names"),
        ('"neg"', "does not hold names"),
        ('["neg"]', "at least two label names are needed"),
        ("{}", "at least two label names are needed"),
        ('["a", "a"]', "'a' is given twice"),
        ("[", "cannot be read"),
        ("[" * 100_000, "cannot be read"),
    ],
)
def test_a_file_that_holds_no_names_is_refused(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "labels.json").write_text(content)
    with pytest.raises(UsageError, match=message) as error:
        names(0, 1, given=str(tmp_path / "labels.json"))
    assert error.value.message.startswith(f"dataset.label_names: {tmp_path / 'labels.json'}")
    with pytest.raises(UsageError, match="there is no file"):
        names(0, 1, given=str(tmp_path / "none.json"))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (["a", None, "b", ""], r"the label is missing in column 'label' at lines 3, 5 \(2 of 4 rows\)"),
        ([0, 1, 0.5], "neither text nor whole numbers at line 4, the first of them 0.5"),
        (["0.5", "1.25"], "neither text nor whole numbers at lines 2, 3, the first of them '0.5'"),
        (["a", ["b", "c"]], r"neither text nor whole numbers at line 3, the first of them \['b', 'c'\]"),
        ([1, 1, "1"], r"most are whole numbers, and not '1' at line 4 \(1 of 3 rows\)"),
        ([1, 1, True], "most are whole numbers, and not True at line 4"),
    ],
)
def test_labels_that_are_no_classes_are_refused_with_their_rows(values: list[object], message: str) -> None:
    with pytest.raises(AdaptError, match=message) as error:
        names(*values)
    assert error.value.hint


def test_a_hidden_class_label_is_a_missing_one_and_a_plain_minus_one_a_class() -> None:
    with pytest.raises(AdaptError, match="the label is missing in column 'label' at line 3"):
        names(0, -1, 1, class_names=("neg", "pos"))
    assert names(0, -1, 1) == ["0", "-1", "1"]


@pytest.mark.parametrize("values", [[0, 1, 2, 2], ["neg", "pos", "mixed", "mixed"], ["0", "1", "-1", "7"]])
def test_labels_without_a_given_name_are_refused(values: list[object]) -> None:
    with pytest.raises(AdaptError, match=r"not among the 2 training labels: .*; at lines 4, 5\.") as error:
        names(*values, given=["neg", "pos"])
    assert "The training labels are 0 (neg), 1 (pos)." in error.value.hint
    assert "dataset.label_names" in error.value.hint


def test_a_label_outside_the_training_labels_is_told_with_its_rows() -> None:
    rows = table("a", "c", "d", "c", "b")
    with pytest.raises(AdaptError) as error:
        ids(rows, "label", ["a", "c", "d", "c", "b"], ["a", "b"])
    assert error.value.message == (
        "d.csv: column 'label' has labels that are not among the 2 training labels: 'c' (2 rows), 'd' (1 row); "
        "at lines 3, 4, 5."
    )
    assert error.value.hint.startswith("The training labels are 'a', 'b'. Correct or remove these rows")
    assert ids(rows, "label", ["a", "b", "a"], ["b", "a"]) == [1, 0, 1]


def test_the_names_of_banking77_are_its_own(test_data: Path) -> None:
    folder = test_data / "text_classification" / "banking77"
    listed = json.loads((folder / "labels.json").read_text())
    assert names(0, 76, 5, given=str(folder / "labels.json")) == [listed[0], listed[76], listed[5]]
