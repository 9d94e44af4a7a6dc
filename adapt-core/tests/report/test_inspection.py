"""What splits hold: counts, lengths and what is cut, rows that come twice."""

from __future__ import annotations

from pathlib import Path

from adapt_core.bundles import Inspected, Section
from adapt_core.report.inspection import BAR, facts, sections
from adapt_core.report.page import write_sections

TRAIN = Inspected("train", ["a", "b", "a", "c", "d"], [1, 5, 1, 40, 9], limit=8, labels={"x": 4, "y": 1})
TEST = Inspected("test", ["c", "e", "c"], [2, 3, 2], limit=8, labels={"y": 2, "z": 1})


def test_facts_are_counts() -> None:
    found = facts([TRAIN, TEST])
    train = found["splits"]["train"]
    assert (train["rows"], train["duplicates"]) == (5, 1)
    lengths = {"unit": "tokens", "limit": 8, "shortest": 1, "median": 5, "longest": 40, "beyond_limit": 2}
    assert train["lengths"] == lengths
    assert found["shared"] == [{"splits": ["train", "test"], "rows": 2}], "a row of test counts as often as it is there"


def test_a_histogram_holds_every_row_and_parts_what_is_cut() -> None:
    _, histogram, *_ = sections([TRAIN])
    assert histogram.title == "Tokens a row, train (the limit is 8)"
    assert sum(row[1] for row in histogram.rows) == 5
    assert sum(row[1] for row in histogram.rows if row[3]) == 2
    assert max(len(row[2]) for row in histogram.rows) == BAR
    first = [int(str(row[0]).split(" to ")[0]) for row in histogram.rows]
    assert first == sorted(first) and 9 in first


def test_one_length_is_one_bar() -> None:
    _, histogram = sections([Inspected("train", [1, 2], [7, 7])])
    assert [row[:2] for row in histogram.rows] == [["7", 2]]


def test_columns_of_what_nothing_has_are_left_out() -> None:
    (plain,) = sections([Inspected("train", ["a"])])
    assert plain.columns == ["split", "rows", "duplicates", "also elsewhere"]
    lengthy, *_ = sections([Inspected("train", ["a", "b", "c"], [3, 9, 5], unit="objects")])
    assert lengthy.columns == [*plain.columns, "fewest objects", "median", "most"]
    assert lengthy.rows == [["train", 3, 0, "none", 3, 5, 9]]


def test_numbers_and_counts_are_shown_by_split() -> None:
    one = Inspected("train", ["a", "b"], numbers={"width": [4, 2]}, counts={"format": {"PNG": 2}})
    other = Inspected("test", ["c"], numbers={"width": [7], "height": []}, counts={"format": {"PNG": 1, "JPEG": 9}})
    _, numbers, counts = sections([one, other])
    assert numbers.rows == [["width", "train", 2, 4, 4], ["width", "test", 7, 7, 7]]
    assert (counts.title, counts.columns) == ("Format", ["format", "train", "test"])
    assert counts.rows == [["JPEG", 0, 9], ["PNG", 2, 1]]
    known = facts([one, other])["splits"]
    assert known["train"]["numbers"] == {"width": {"least": 2, "median": 4, "most": 4}}
    assert known["test"]["counts"] == {"format": {"PNG": 1, "JPEG": 9}}
    assert "height" not in known["test"]["numbers"]


def test_rows_with_names_that_come_again_are_named() -> None:
    one = Inspected("train", ["k", "l", "k"], names=["a.png", "b.png", "c.png"])
    other = Inspected("test", ["l", "m"], names=["d.png", "e.png"])
    _, again = sections([one, other])
    assert again.rows == [["train", "c.png", "train", "a.png"], ["test", "d.png", "train", "b.png"]]
    _, many = sections([Inspected("train", ["k"] * 30, names=[str(number) for number in range(30)])])
    assert many.title == "Rows that come again: the first 20 of 29" and len(many.rows) == 20


def test_rows_labels_and_examples_are_sections_of_a_page(tmp_path: Path) -> None:
    example = Section("First rows", "spans", ["loss"], [["what <b>is</b> read", [(0, 4, "loss")], "row 1"]])
    shown = sections([Inspected("train", ["a"], labels={"x": 1}, examples=[example]), TEST])
    rows, *_, labels, last = shown
    assert rows.rows[0][:4] == ["train", 1, 0, "none"]
    assert labels.rows == [["y", 0, 2], ["x", 1, 0], ["z", 0, 1]]
    assert last is example
    write_sections(tmp_path / "page.html", "data", shown)
    page = (tmp_path / "page.html").read_text()
    assert "&lt;b&gt;is&lt;/b&gt;" in page and "First rows" in page
