"""A column of numbers is a measure and no class, however each of them is written."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from adapt_core import AdaptError
from adapt_nlp.text_classification.data import load_classification_data
from adapt_nlp.text_classification.options import TextClassificationData


def load(labels: Sequence[str], folder: Path, **options: object) -> list[str]:
    """The label names that are made of a CSV's column."""
    path = folder / "data.csv"
    path.write_text("text,label\n" + "".join(f'text {index},"{each}"\n' for index, each in enumerate(labels)))
    settings = {"path": str(path), **options}
    return load_classification_data(TextClassificationData.model_validate(settings), 1).label_names


@pytest.mark.parametrize(
    "labels",
    [
        ["0.05", "0.15", "0.25"],
        ["0.05", "1", "0.25"],
        ["0.05", "1e-05", "3"],
        ["0", "0.0", "1", "1.0"],
        ["nan", "1.0", "0.0"],
        ["nan", "1", "0"],
        ["1", "2", "inf"],
        ["-Infinity", "2", "+3"],
        ["1e3", "2E-4"],
        ["5.", ".5"],
        ["0,5", "1,25"],
        ["1", " 2.5"],
        ["0.5", "2", "NA"],
        ["0.5", "2", "n/a", "null"],
        ["1.5", "-"],
    ],
)
def test_it_is_refused(labels: list[str], tmp_path: Path) -> None:
    with pytest.raises(AdaptError, match=r"labels that are neither text nor whole numbers at line") as refused:
        load(labels * 4, tmp_path)
    assert "whole number (1, not 1.0)" in refused.value.hint


def test_the_row_that_gives_it_away_is_named(tmp_path: Path) -> None:
    with pytest.raises(AdaptError, match=r"at lines 4, 7, the first of them '1e-05'"):
        load(["0", "1", "1e-05"] * 2, tmp_path)


@pytest.mark.parametrize(
    "labels",
    [
        ["0", "1", "2"],
        ["01", "02", "10"],
        ["-1", "1"],
        ["3.5 stars", "4 stars"],
        ["v1.0", "v2.0"],
        ["gpt-3.5", "3.5", "4"],
        ["nan", "dal", "roti"],
        ["NA", "EU"],
        ["-", "+"],
        ["1.0.1", "2.0"],
        ["1-2", "3-4"],
    ],
)
def test_whole_numbers_and_texts_are_classes(labels: list[str], tmp_path: Path) -> None:
    assert set(load(labels * 4, tmp_path)) == set(labels)


def test_numbers_that_the_configuration_names_are_classes(tmp_path: Path) -> None:
    assert load(["0.5", "1"] * 4, tmp_path, label_names={"0.5": "half", "1": "whole"}) == ["half", "whole"]
    assert load(["0.5", "1.0"] * 4, tmp_path, label_names=["0.5", "1.0"]) == ["0.5", "1.0"]
