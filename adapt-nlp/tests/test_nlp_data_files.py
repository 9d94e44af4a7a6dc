"""Reading one file."""

from __future__ import annotations

import bz2
import csv
import gzip
import json
import lzma
import time
from pathlib import Path

import pandas
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapt_core.errors import AdaptError, UsageError
from adapt_nlp.data.files import file_format, read_file
from adapt_nlp.data.table import Table

ROWS = [("a film, as they say", "01"), ('he said "no"', "NA"), ("two\nlines", "null"), ("naïf — ¡sí!", "None")]


def write(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def columns(table: Table) -> dict[str, list[object]]:
    return {name: list(values) for name, values in table.columns.items()}


def error_of(path: Path) -> AdaptError:
    with pytest.raises(AdaptError) as caught:
        read_file(path)
    assert str(path) in caught.value.message
    assert caught.value.hint
    return caught.value


@pytest.fixture
def frame() -> pandas.DataFrame:
    return pandas.DataFrame(ROWS, columns=["text", "label"])


@pytest.mark.parametrize(
    "name", ["d.csv", "d.tsv", "d.jsonl", "d.ndjson", "d.json", "d.parquet", "d.csv.gz", "d.jsonl.bz2", "d.JSON.xz"]
)
def test_every_format_gives_what_pandas_wrote(tmp_path: Path, frame: pandas.DataFrame, name: str) -> None:
    path = tmp_path / name
    if ".csv" in name or ".tsv" in name:
        frame.to_csv(path, index=False, sep="\t" if ".tsv" in name else ",")
    elif name == "d.parquet":
        frame.to_parquet(path)
    else:
        frame.to_json(path, orient="records", lines=name != "d.json", force_ascii=False)
    table = read_file(path)
    assert columns(table) == {"text": [text for text, _ in ROWS], "label": [label for _, label in ROWS]}
    assert len(table) == 4


def test_a_row_is_at_the_line_where_it_begins(tmp_path: Path) -> None:
    path = write(tmp_path / "d.csv", 'text,label\r\n\r\n"a\r\nb",x\r\n\r\nc,y\r\n"d",z')
    table = read_file(path)
    assert list(table.lines or ()) == [3, 6, 7]
    assert table.place([0]) == "line 3"
    assert table.place([0, 2]) == "lines 3, 7"


def test_places_beyond_the_fifth_are_counted() -> None:
    assert Table("x", {}, 20).place(range(20)) == "rows 1, 2, 3, 4, 5 and 15 more"
    assert Table("x", {}, 20).place(range(5)) == "rows 1, 2, 3, 4, 5"


CELLS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1)


@given(st.lists(st.tuples(CELLS, CELLS), min_size=1))
def test_any_table_that_the_csv_module_writes_is_read_back(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str]]
) -> None:
    path = tmp_path_factory.mktemp("csv") / "d.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, quoting=csv.QUOTE_ALL).writerows([("a", "b"), *rows])
    table = read_file(path)
    assert list(zip(table.columns["a"], table.columns["b"], strict=True)) == rows


def test_semicolons_and_tabs_separate_where_the_header_has_no_comma(tmp_path: Path) -> None:
    for separator in ";\t":
        path = write(tmp_path / "d.csv", f"text{separator}label\na, b{separator}x\n")
        assert columns(read_file(path)) == {"text": ["a, b"], "label": ["x"]}


def test_a_byte_order_mark_is_no_part_of_the_first_column(tmp_path: Path) -> None:
    path = write(tmp_path / "d.csv", b"\xef\xbb\xbftext,label\na,b\n")
    assert list(read_file(path).columns) == ["text", "label"]


def test_a_column_without_a_name_is_numbered(tmp_path: Path) -> None:
    assert list(read_file(write(tmp_path / "d.csv", ",text\n0,a\n")).columns) == ["column 1", "text"]


def test_a_cell_may_be_longer_than_the_csv_module_allows_and_its_limit_is_left_alone(tmp_path: Path) -> None:
    limit = csv.field_size_limit()
    long = "x" * (limit + 10)
    assert columns(read_file(write(tmp_path / "d.csv", f"text\n{long}\n"))) == {"text": [long]}
    assert csv.field_size_limit() == limit


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("d.csv", "text,label\na,b\nc\n", "line 3: 1 cells, and the header has 2"),
        ("d.csv", "text,label\na,b,c\nd\ne,f\n", "line 2: 3 cells, and the header has 2 (2 such rows in all)"),
        ("d.csv", 'text,label\na,b\n"c" d,e\n', "line 3: malformed row: ',' expected after '\"'"),
        ("d.csv", 'text,label\na,b\n"c,d\ne,f\n', "line 3: malformed row: unexpected end of data"),
        ("d.csv", "text,text\na,b\n", "more than one column named text"),
        ("d.csv", b"text\nok\ncaf\xe9\n", "line 3: this is not UTF-8 text"),
        ("d.csv", b"\xff\xfet\0e\0", "line 1: this is not UTF-8 text"),
        ("d.csv", "", "is empty"),
        ("d.jsonl", " \n\n", "is empty"),
        ("d.jsonl", '{"text": "a"}\n\n{"text": \n', "line 3: malformed JSON at column"),
        ("d.jsonl", '{"text": "a"}\n["b"]\n', "line 2: a JSON object is needed, and this is a list"),
        ("d.jsonl", "null\n", "line 1: a JSON object is needed, and this is null"),
        ("d.jsonl", '{"a": ' + "1" * 5000 + "}", "line 1: JSON that cannot be read"),
        ("d.jsonl", "[" * 200_000, "line 1"),
        ("d.json", '[\n{"text": "a"},\n{"text" "b"}]', "malformed JSON at line 3"),
        ("d.json", '[{"text": "a"}, 3]', "row 2: a JSON object is needed, and this is a number"),
        ("d.json", '"a"', "does not hold rows"),
        ("d.json", '{"text": "a"}', "does not hold rows"),
        ("d.json", '{"text": ["a"], "label": ["x", "y"]}', "differ in length (text: 1, label: 2)"),
        ("d.parquet", b"PAR1 and no more", "cannot be read as Parquet"),
        ("d.csv.gz", b"not compressed", "cannot be read"),
        ("d.csv.gz", gzip.compress(b"text\na\n" * 50, mtime=0)[:-12], "cannot be read"),
        ("d.csv.bz2", bz2.compress(b"text\na\n" * 50)[:-12], "cannot be read"),
        ("d.csv.xz", lzma.compress(b"text\na\n" * 50)[:-12], "cannot be read"),
    ],
)
def test_a_malformed_file_is_refused_with_its_place(
    tmp_path: Path, name: str, content: str | bytes, message: str
) -> None:
    assert message in error_of(write(tmp_path / name, content)).message


@given(st.sampled_from([".csv", ".tsv", ".jsonl", ".json", ".txt", ".parquet", ".csv.gz"]), st.binary(max_size=60))
def test_whatever_a_file_holds_it_is_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, suffix: str, content: bytes
) -> None:
    path = write(tmp_path_factory.getbasetemp() / f"fuzz{suffix}", content)
    try:
        table = read_file(path)
    except AdaptError as error:
        assert str(path) in error.message
        return
    assert all(len(values) == len(table) for values in table.columns.values())


def test_json_may_be_rows_under_one_key_or_columns_or_lines(tmp_path: Path) -> None:
    expected = {"text": ["a", "b"], "label": [0, None]}
    rows = [{"text": "a", "label": 0}, {"text": "b"}]
    path = tmp_path / "d.json"
    for content in (
        json.dumps(rows),
        json.dumps({"version": "1", "data": rows}),
        json.dumps({"text": ["a", "b"], "label": [0, None]}),
        "\n".join(json.dumps(row) for row in rows),
        json.dumps({"version": "1", "data": rows}, indent=1),
    ):
        assert columns(read_file(write(path, content))) == expected


def test_text_is_one_text_a_line(tmp_path: Path) -> None:
    table = read_file(write(tmp_path / "d.txt", "one, two\r\n\r\nthree\u2028four\n\n"))
    assert columns(table) == {"text": ["one, two", "", "three\u2028four"]}
    assert table.place([2]) == "line 3"


def test_parquet_keeps_the_class_names_that_datasets_wrote(tmp_path: Path) -> None:
    import datasets

    features = datasets.Features({"text": datasets.Value("string"), "label": datasets.ClassLabel(names=["neg", "pos"])})
    rows = datasets.Dataset.from_dict({"text": ["a", "b"], "label": [1, 0]}, features=features)
    rows.to_parquet(tmp_path / "d.parquet")
    table = read_file(tmp_path / "d.parquet")
    assert dict(table.class_names) == {"label": ("neg", "pos")}
    assert columns(table) == {"text": ["a", "b"], "label": [1, 0]}


@pytest.mark.parametrize("metadata", [b"not json", b"[]", b'{"info": {"features": {"x": {"_type": "ClassLabel"}}}}'])
def test_parquet_with_metadata_of_another_shape_is_refused(tmp_path: Path, metadata: bytes) -> None:
    table = pa.table({"text": ["a"]}).replace_schema_metadata({b"huggingface": metadata})
    pq.write_table(table, tmp_path / "d.parquet")
    assert "cannot be read as Parquet" in error_of(tmp_path / "d.parquet").message


def test_a_column_of_parquet_that_is_not_asked_for_may_hold_anything(tmp_path: Path) -> None:
    broken = pa.Array.from_buffers(pa.string(), 1, pa.array([b"\xff"]).buffers())
    pq.write_table(pa.table({"text": ["a"], "junk": broken}), tmp_path / "d.parquet")
    table = read_file(tmp_path / "d.parquet")
    assert table.columns["text"] == ["a"]
    with pytest.raises(AdaptError, match="column 'junk' is not UTF-8 text"):
        table.columns["junk"]


def test_what_is_not_data_is_refused_and_never_opened(tmp_path: Path) -> None:
    path = write(tmp_path / "d.pkl", b"cos\nsystem\n(S'touch " + str(tmp_path / "ran").encode() + b"'\ntR.")
    with pytest.raises(UsageError, match="not in a format that can be read"):
        read_file(path)
    assert not (tmp_path / "ran").exists()
    with pytest.raises(UsageError, match="does not exist"):
        read_file(tmp_path / "none.csv")
    with pytest.raises(UsageError, match="is a folder"):
        read_file(tmp_path)


def test_the_format_is_told_by_the_name() -> None:
    known = {"a.csv": ".csv", "a.b.TSV": ".tsv", "a.jsonl.gz": ".jsonl", "a.parquet.gz": None, "a.gz": None, "a": None}
    assert {name: file_format(Path(name)) for name in known} == known


def test_ten_times_the_rows_take_about_ten_times_as_long_to_read(tmp_path: Path) -> None:
    path = tmp_path / "d.csv"
    seconds = {}
    for count in (10_000, 100_000):
        with path.open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows(
                [("text", "label"), *(("some words, and more " * 5, str(i % 7)) for i in range(count))]
            )
        begin = time.process_time()
        assert len(read_file(path)) == count
        seconds[count] = time.process_time() - begin
    assert seconds[100_000] < 40 * seconds[10_000] + 1  # what is not linear takes 100 times as long
