"""The data set that the quickstart builds out of the documentation of Python's own library."""

from __future__ import annotations

import importlib.util
import json
import sys
from collections import Counter
from pathlib import Path
from types import ModuleType

import pytest

SCRIPT = Path(__file__).parent.parent / "examples" / "quickstart" / "stdlib_docs.py"


@pytest.fixture(scope="module")
def stdlib_docs() -> ModuleType:
    spec = importlib.util.spec_from_file_location("stdlib_docs", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def splits(stdlib_docs: ModuleType) -> dict[str, list[dict[str, str]]]:
    return stdlib_docs.build()


def test_there_are_enough_rows_of_all_six_areas_in_every_split(splits: dict[str, list[dict[str, str]]]) -> None:
    assert sum(map(len, splits.values())) == pytest.approx(2600, abs=200)
    for rows, fewest in zip(splits.values(), (200, 20, 60), strict=True):
        areas = Counter(row["label"] for row in rows)
        assert set(areas) == {"text", "numbers", "files", "networking", "concurrency", "code"}
        assert min(areas.values()) >= fewest


def test_no_module_is_in_two_splits(splits: dict[str, list[dict[str, str]]]) -> None:
    modules = [module for rows in splits.values() for module in {row["module"] for row in rows}]
    assert len(modules) == len(set(modules))


def test_every_named_module_gives_rows(stdlib_docs: ModuleType, splits: dict[str, list[dict[str, str]]]) -> None:
    named = {name for area in stdlib_docs.AREAS.values() for names in area.values() for name in names.split()}
    assert named == {row["module"] for rows in splits.values() for row in rows}


def test_no_text_occurs_twice(splits: dict[str, list[dict[str, str]]]) -> None:
    texts = Counter(row["text"].casefold() for rows in splits.values() for row in rows)
    assert texts.most_common(1)[0][1] == 1


def test_a_known_docstring_is_there_with_its_area(splits: dict[str, list[dict[str, str]]]) -> None:
    areas = {row["text"]: (row["label"], row["module"]) for row in splits["test"]}
    assert areas["Return the value of the least significant bit of the float x."] == ("numbers", "math")


def test_a_text_is_prose_without_signatures_and_examples(stdlib_docs: ModuleType) -> None:
    docstring = """f(x, y=2) -> int

    Adds two
    numbers.

    >>> f(1)
    3

    Both are kept.
    """
    assert stdlib_docs._prose(docstring) == "Adds two numbers. Both are kept."


def test_it_is_the_same_every_time_and_written_one_file_a_split(tmp_path: Path, stdlib_docs: ModuleType) -> None:
    first = stdlib_docs.write(tmp_path)
    for split, rows in first.items():
        lines = (tmp_path / f"{split}.jsonl").read_text(encoding="utf-8").splitlines()
        assert [json.loads(line) for line in lines] == rows
    assert stdlib_docs.build() == first
    assert "stdlib_docs" not in sys.modules
