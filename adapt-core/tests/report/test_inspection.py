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
