"""The reader and the writer: YAML 1.2, and JSON, with positions."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from mistakes import READABLE, UNREADABLE

from adapt_core.config.file import parse, read
from adapt_core.config.yaml_writer import to_commented_yaml, to_yaml
from adapt_core.errors import EXIT_USAGE, ConfigError

VALUES = {
    # Examples 10.8 and 10.9 of https://yaml.org/spec/1.2.2/ and the tables of its section 10.3.2.
    "null": None,
    "Null": None,
    "NULL": None,
    "~": None,
    "": None,
    "true": True,
    "True": True,
    "TRUE": True,
    "false": False,
    "False": False,
    "FALSE": False,
    "0": 0,
    "0o7": 7,
    "0x3A": 58,
    "-19": -19,
    "+12": 12,
    "0.": 0.0,
    "-0.0": -0.0,
    ".5": 0.5,
    "+12e03": 12000.0,
    "-2E+05": -200000.0,
    ".inf": math.inf,
    "-.Inf": -math.inf,
    "+.INF": math.inf,
    # What YAML 1.1 reads otherwise.
    "1e-4": 1e-4,
    "1E5": 1e5,
    "010": 10,
    "0o17": 15,
    "0b11": "0b11",
    "1_000": "1_000",
    "no": "no",
    "yes": "yes",
    "on": "on",
    "Off": "Off",
    "y": "y",
    "12:30": "12:30",
    "190:20:30": "190:20:30",
    "2024-01-31": "2024-01-31",
    "=": "=",
    "tRUE": "tRUE",
    "nUll": "nUll",
    "1e": "1e",
    ".": ".",
    "'12'": "12",
    '"true"': "true",
    "!!str 12": "12",
    "! 12": "12",
    '!!int "12"': 12,
    '!!float "1e3"': 1000.0,
    "!!bool 'true'": True,
    "!!null ''": None,
    '"\\u00e9\\t\\x41"': "é\tA",
    '"\\U0001F600"': "😀",
    "[]": [],
    "{}": {},
    "!!map {a: 1}": {"a": 1},
    "!!seq [1]": [1],
}


@pytest.mark.parametrize(("text", "value"), VALUES.items())
def test_values_are_those_of_the_core_schema_of_yaml_1_2(text: str, value: Any) -> None:
    document = parse(f"key: {text}", "f.yaml")
    assert document.problems == ()
    read_as = document.data["key"]
    assert read_as == value
    assert type(read_as) is type(value)


def test_not_a_number_is_a_float() -> None:
    assert math.isnan(parse("key: .nan", "f.yaml").data["key"])


def test_every_key_and_item_has_its_line_and_column() -> None:
    document = parse(
        "# a comment\ntask: x\n\ntraining:\n  lr: 1\n  'betas':\n    - 0.9\n    - {a: 1, b: 2}\n", "f.yaml"
    )
    assert document.position(("task",)) == (2, 1)
    assert document.position(("training",)) == (4, 1)
    assert document.position(("training", "lr")) == (5, 3)
    assert document.position(("training", "betas")) == (6, 3)
    assert document.position(("training", "betas", 0)) == (7, 7)
    assert document.position(("training", "betas", 1, "b")) == (8, 14)
    assert document.position(("training", "nothing")) is None
    assert document.file == "f.yaml"


def test_json_has_the_same_positions() -> None:
    document = parse('{\n\t"task": "x",\n  "training": {"lr": 1e-4,\n    "betas": [0.9,\n 2]}\n}\n', "f.json")
    assert document.data == {"task": "x", "training": {"lr": 1e-4, "betas": [0.9, 2]}}
    assert document.position(("task",)) == (2, 2)
    assert document.position(("training", "betas")) == (4, 5)
    assert document.position(("training", "betas", 1)) == (5, 2)


def test_json_is_recognised_in_a_file_of_another_name_and_yaml_in_braces_is_yaml() -> None:
    assert parse('{\n\t"a": "\\ud83d\\ude00"}', "f.yaml").data == {"a": "😀"}
    assert parse("{a: 1e-4, b: no}", "f.yaml").data == {"a": 1e-4, "b": "no"}


def test_a_byte_order_mark_is_no_part_of_the_first_key(tmp_path: Path) -> None:
    file = tmp_path / "f.yaml"
    file.write_bytes("\ufefftask: é\n".encode())
    assert read(file).data == {"task": "é"}


def test_windows_line_ends_count_as_one(tmp_path: Path) -> None:
    file = tmp_path / "f.yaml"
    file.write_bytes(b"a: 1\r\nb: 2\r\n")
    assert read(file).position(("b",)) == (2, 1)


def test_duplicate_keys_are_problems_at_every_depth_that_name_both_lines() -> None:
    document = parse("a: 1\nb:\n  c: 1\n  d: [{e: 1, e: 2}]\n  c: 2\na: 3\n", "f.yaml")
    found = [(problem.key, problem.line, problem.code) for problem in document.problems]
    assert sorted(found) == [("a", 6, "given-twice"), ("b.c", 5, "given-twice"), ("b.d.0.e", 4, "given-twice")]
    for problem, first in zip(sorted(document.problems, key=lambda each: each.key), (1, 3, 4), strict=True):
        assert f"line {first}" in problem.message
    assert document.data == {"a": 1, "b": {"c": 1, "d": [{"e": 1}]}}


def test_duplicate_keys_in_json_are_problems_too() -> None:
    document = parse('{"a": {"b": 1,\n "b": {"b": 2}},\n "a": {"c": 1}}', "f.json")
    assert [(problem.key, problem.line) for problem in document.problems] == [("a.b", 2), ("a", 3)]
    assert document.data == {"a": {"b": 1}}


def test_keys_that_are_equal_as_values_are_duplicates() -> None:
    assert [problem.line for problem in parse("16: a\n0x10: b\n", "f.yaml").problems] == [2]


def test_aliases_stand_for_their_anchors_and_a_merge_key_is_an_ordinary_key() -> None:
    document = parse("a: &it {x: [1]}\nb: *it\nc:\n  <<: *it\n", "f.yaml")
    assert document.data == {"a": {"x": [1]}, "b": {"x": [1]}, "c": {"<<": {"x": [1]}}}
    assert document.data["a"] is not document.data["b"]


@pytest.mark.parametrize(("text", "line"), READABLE)
def test_what_leaves_the_rest_readable_is_a_problem_of_the_document(text: str, line: int) -> None:
    (problem,) = parse(text, "f.yaml").problems
    assert (problem.file, problem.line, problem.code) == ("f.yaml", line, "invalid-syntax")


@pytest.mark.parametrize(("name", "text", "line", "code"), UNREADABLE)
def test_what_cannot_be_read_is_refused_with_its_line(name: str, text: str, line: int | None, code: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(text, name)
    (problem,) = caught.value.problems
    assert (problem.file, problem.line, problem.code) == (name, line, code)
    assert caught.value.exit_code == EXIT_USAGE


def test_files_that_are_no_configuration_say_why(tmp_path: Path) -> None:
    def refusal(path: Path) -> str:
        with pytest.raises(ConfigError) as caught:
            read(path)
        assert caught.value.problems[0].code == ("unreadable-file" if path.name != "missing.yaml" else "no-such-file")
        return caught.value.problems[0].message

    missing, binary, latin, large = (tmp_path / name for name in ("missing.yaml", "binary", "latin.yaml", "large"))
    binary.write_bytes(b"\x89PNG\x00\x01")
    latin.write_bytes(b"a: 1\nb: caf\xe9\n")
    large.write_bytes(b"a: 1\n" * 300_000)
    assert str(missing) in refusal(missing)
    assert "folder" in refusal(tmp_path)
    assert "binary" in refusal(binary)
    assert "UTF-8" in refusal(latin)
    assert "1,000,000 bytes" in refusal(large)
    assert "Not a directory" in refusal(large / "f.yaml")
    assert "cannot be read" in refusal(tmp_path / "x\0y")
    assert "cannot be read" in refusal(tmp_path / ("x" * 5000))
    with pytest.raises(ConfigError) as caught:
        read(latin)
    assert caught.value.problems[0].line == 2


TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=20)
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**20), 10**20)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(TEXT, JSON, max_size=5), st.sampled_from([None, 1]), st.booleans())
@settings(max_examples=50, deadline=None)
def test_json_means_what_the_standard_library_says(data: dict[str, Any], indent: int | None, ascii: bool) -> None:
    text = json.dumps(data, indent=indent, ensure_ascii=ascii)
    assert parse(text, "f.json").data == json.loads(text) == data


@given(st.dictionaries(TEXT, JSON, min_size=1, max_size=5))
@settings(max_examples=50, deadline=None)
def test_written_yaml_means_the_same_here_and_to_pyyaml(data: dict[str, Any]) -> None:
    text = to_yaml(data)
    assert parse(text, "f.yaml").data == data
    assert yaml.safe_load(text) == data


@pytest.mark.parametrize("text", [text for text, value in VALUES.items() if text[:1] not in ("!", "'", '"', "[", "{")])
def test_written_text_stays_text(text: str) -> None:
    assert parse(to_yaml({"key": text}), "f.yaml").data == {"key": text}


def test_comments_stand_above_their_keys() -> None:
    data = {"a": {"b": [1, 2], "c": {"d": {"e": 1}}}, "f": 3}
    text = to_commented_yaml(data, {("a", "b"): "What b is.", ("f",): "What f is.\nMore."})
    assert text == ("a:\n  # What b is.\n  b: [1, 2]\n  c:\n    d:\n      e: 1\n\n# What f is.\n# More.\nf: 3\n")
    assert parse(text, "f.yaml").data == data
