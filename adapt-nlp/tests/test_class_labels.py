"""The numbers of a split mean the names that this split itself records (``datasets.ClassLabel``)."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import datasets
import pytest

from adapt_core import AdaptError
from adapt_nlp.text_classification.data import load_classification_data, load_split
from adapt_nlp.text_classification.options import TextClassificationData

Split = tuple[Sequence[str] | None, Sequence[Any]]
"""The names that a split records, or None, and the labels of its rows: names, or what stands in the file."""


def dataset(split: Split) -> datasets.Dataset:
    names, labels = split
    rows = datasets.Dataset.from_dict({"text": [f"text {index}" for index in range(len(labels))], "label": labels})
    return rows if names is None else rows.cast_column("label", datasets.ClassLabel(names=list(names)))


def as_parquet(folder: Path, splits: dict[str, Split]) -> None:
    folder.mkdir(parents=True)
    for name, split in splits.items():
        dataset(split).to_parquet(str(folder / f"{name}.parquet"))


def as_saved(folder: Path, splits: dict[str, Split]) -> None:
    """A folder of ``save_to_disk``. ``DatasetDict`` lets its splits differ."""
    datasets.DatasetDict({name: dataset(split) for name, split in splits.items()}).save_to_disk(str(folder))


WRITERS: list[Callable[[Path, dict[str, Split]], None]] = [as_parquet, as_saved]

TRAIN: Split = (["a", "b", "c"], ["a", "b", "c"] * 4)


def read(path: Path, **options: Any) -> tuple[list[str], dict[str, Any]]:
    """The names of the evaluation rows' labels, and ``data.json``."""
    rows = load_classification_data(TextClassificationData(path=str(path), **options), 1)
    assert rows.evaluation is not None
    return [rows.label_names[each] for each in rows.evaluation.labels], dict(rows.info)


@pytest.mark.parametrize("write", WRITERS)
@pytest.mark.parametrize(
    ("names", "labels"),
    [(["b", "c"], ["b", "c", "b"]), (["c", "b", "a"], ["a", "b", "c"]), (["x", "a", "y"], ["a", "a"]), (["c"], ["c"])],
)
def test_a_validation_split_means_its_own_names(
    write: Any, names: Sequence[str], labels: list[str], tmp_path: Path
) -> None:
    write(tmp_path / "data", {"train": TRAIN, "validation": (names, labels)})
    assert read(tmp_path / "data")[0] == labels


def test_names_that_the_configuration_gives_are_those_of_the_training_numbers(tmp_path: Path) -> None:
    as_parquet(tmp_path / "data", {"train": TRAIN, "validation": (["b", "c"], ["b", "c", "b"])})
    assert read(tmp_path / "data", label_names=["A", "B", "C"])[0] == ["B", "C", "B"]


@pytest.mark.parametrize(
    ("train", "given", "validation", "expected"),
    [
        # Names beside texts, numbers that the configuration names, and numbers without names.
        ((None, ["a", "b"] * 4), None, (["b", "a"], ["a", "b"]), ["a", "b"]),
        ((None, [0, 1] * 4), ["a", "b"], (["b", "a"], ["a", "b"]), ["a", "b"]),
        (TRAIN, None, (None, [1, 2]), ["b", "c"]),
        (TRAIN, None, (None, ["c", "a"]), ["c", "a"]),
    ],
)
def test_splits_that_are_written_otherwise(
    train: Split, given: Any, validation: Split, expected: list[str], tmp_path: Path
) -> None:
    as_parquet(tmp_path / "data", {"train": train, "validation": validation})
    assert read(tmp_path / "data", label_names=given)[0] == expected


def test_a_name_that_training_does_not_have_is_refused(tmp_path: Path) -> None:
    as_parquet(tmp_path / "data", {"train": TRAIN, "validation": (["a", "d"], ["a", "d", "d"])})
    with pytest.raises(AdaptError, match=r"not among the 3 training labels: 'd' \(2 rows\); at rows 2, 3"):
        read(tmp_path / "data")


@pytest.mark.parametrize("write", WRITERS)
@pytest.mark.parametrize("given", [None, ["A", "B", "C"]])
def test_other_data_to_evaluate_on_means_its_own_names(write: Any, given: Any, tmp_path: Path) -> None:
    as_parquet(tmp_path / "data", {"train": TRAIN, "validation": TRAIN})
    info = json.loads(json.dumps(read(tmp_path / "data", label_names=given)[1]))
    write(tmp_path / "other", {"test": (["c", "b"], ["b", "b", "c"])})
    options = TextClassificationData(path=str(tmp_path / "data"), label_names=given)
    rows, _ = load_split(options, str(tmp_path / "other"), None, info, 1)
    found = [info["label_names"][each] for each in rows.labels]
    assert found == [each.upper() if given else each for each in ("b", "b", "c")]


def test_shards_of_one_split_must_agree(tmp_path: Path) -> None:
    shards = {"train-00000-of-00002": TRAIN, "train-00001-of-00002": (["b", "c"], ["b", "c", "b"])}
    as_parquet(tmp_path / "data", shards)
    with pytest.raises(
        AdaptError, match=r"00001-of-00002.parquet has other names for the numbers in column 'label'.*b, c"
    ):
        load_classification_data(TextClassificationData(path=str(tmp_path / "data")), 1)
