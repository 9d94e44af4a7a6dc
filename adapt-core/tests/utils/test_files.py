"""JSON and YAML as they are written into a run folder."""

from __future__ import annotations

import binascii
import json
import math
import os
from pathlib import Path

import pytest
import yaml
from run_folders import names_in

from adapt_core.config.yaml_writer import to_yaml
from adapt_core.errors import AdaptError
from adapt_core.utils.files import crc32, follow_umask, read_json, read_json_lines, to_json, write_json


def test_json_is_standard_even_for_what_is_no_number(tmp_path: Path) -> None:
    numpy = pytest.importorskip("numpy")
    value = {"loss": math.nan, "worst": math.inf, "mean": numpy.float32(0.5), "all": numpy.array([1, 2]), 3: Path("x")}
    write_json(tmp_path / "a.json", value)

    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    read = json.loads((tmp_path / "a.json").read_text(), parse_constant=refuse)
    assert read == {"loss": None, "worst": None, "mean": 0.5, "all": [1, 2], "3": "x"}
    assert names_in(tmp_path) == ["a.json"]


def test_what_json_cannot_hold_is_an_error_and_the_old_file_stays(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"a": 1})
    with pytest.raises(TypeError, match="object"):
        write_json(tmp_path / "a.json", {"a": object()})
    assert read_json(tmp_path / "a.json") == {"a": 1}


def test_a_broken_json_file_is_an_error_that_names_it(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text("{")
    with pytest.raises(AdaptError, match=r"a\.json"):
        read_json(tmp_path / "a.json")
    (tmp_path / "b.jsonl").write_text('{"a": 1}\nnonsense\n{"a": 2}\n')
    with pytest.raises(AdaptError, match=r"b\.jsonl:2"):
        read_json_lines(tmp_path / "b.jsonl")
    assert read_json_lines(tmp_path / "none.jsonl") == []


def test_one_line_of_metrics_stays_one_line_whatever_text_is_in_it() -> None:
    assert "\n" not in to_json({"text": "a\nb\u2028c"}, indent=None)


@pytest.mark.parametrize("text", ["1e-4", "0o17", "0x1F", "12:30", "no", "~", "1_000", ".5", "5.", "-3", "True", ""])
def test_a_string_that_looks_like_something_else_is_quoted_in_yaml(text: str) -> None:
    written = to_yaml({"value": text})
    assert written.removeprefix("value: ")[0] in "'\""
    assert yaml.safe_load(written) == {"value": text}


@pytest.mark.parametrize("text", ["plain", "a: b", "line\nbreak", "ünïcödé", "{text}: {label}", "1.2.3", " "])
def test_every_string_survives_yaml(text: str) -> None:
    assert yaml.safe_load(to_yaml({"value": text})) == {"value": text}


def test_the_checksum_is_the_crc_32_of_the_zip_format(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"123456789")  # the check value of the catalogues of CRCs
    assert crc32(tmp_path / "a") == "cbf43926"
    (tmp_path / "b").write_bytes(bytes(3 << 20))  # more than is read at once
    assert crc32(tmp_path / "b") == f"{binascii.crc32(bytes(3 << 20)):08x}"


@pytest.mark.skipif(os.name == "nt", reason="has no umask")
@pytest.mark.parametrize(("umask", "rights"), [(0o022, 0o644), (0o027, 0o640), (0o077, 0o600)])
def test_files_follow_the_umask_and_nothing_else_is_touched(tmp_path: Path, umask: int, rights: int) -> None:
    (tmp_path / "part").mkdir(mode=0o700)
    for name in ("a", "part/b"):
        (tmp_path / name).touch(mode=0o600)
    (tmp_path / "outside").touch(mode=0o600)
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "link").symlink_to(tmp_path / "outside")
    for name in ("a", "part"):
        (tmp_path / name).rename(folder / name)
    before = os.umask(umask)
    try:
        follow_umask(folder)
    finally:
        os.umask(before)
    assert names_in(folder) == ["a", "link", "part"]
    modes = {name: (folder / name).lstat().st_mode & 0o777 for name in ("a", "part/b", "part")}
    assert modes == {"a": rights, "part/b": rights, "part": 0o700}
    assert (tmp_path / "outside").stat().st_mode & 0o777 == 0o600
