"""The ``dataset`` section of text classification."""

from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from adapt_core.options import flat_name
from adapt_nlp.text_classification.options import TextClassificationData


def section(**values: object) -> TextClassificationData:
    return TextClassificationData.model_validate({"path": "data.csv", **values})


def refused(**values: object) -> str:
    with pytest.raises(ValidationError) as error:
        section(**values)
    return str(error.value)


def test_the_flat_names_are_those_of_the_tables() -> None:
    names = {flat_name(field) for field in TextClassificationData.model_fields.values()} - {None}
    assert names == {
        "DATASET",
        "DATASET_CONFIG",
        "CUSTOM_DATASET_PATH",
        "DATA_SPLIT",
        "MAX_TRAIN_SAMPLES",
        "MAX_EVAL_SAMPLES",
        "FORMAT_STRING",
        "FORMAT_NAMES",
    }


@pytest.mark.parametrize(
    ("format_string", "names"),
    [
        ("{} | {}", ["title", "body"]),
        ("{1} | {0}", ["title", "body"]),
        ("{title} | {body}", ["title", "body"]),
        ("{title:.20} {body!s}", ["title", "body"]),
        ("{0} {body}", ["title", "body"]),
        ("{review text}", ["review text"]),
        ("{} in {{braces}}", ["meta.title"]),
    ],
)
def test_placeholders_by_place_and_by_name_are_accepted(format_string: str, names: list[str]) -> None:
    assert section(format_string=format_string, format_names=names).format_string == format_string


@pytest.mark.parametrize(
    ("format_string", "names", "reason"),
    [
        ("{a.__class__}", ["a"], "may not take a part of a value"),
        ("{a[0]}", ["a"], "may not take a part of a value"),
        ("{0.real}", ["a"], "may not take a part of a value"),
        ("{meta.title}", ["meta.title"], "may not take a part of a value"),
        ("{a:{b}}", ["a", "b"], "a placeholder inside another"),
        ("{a:{a.__class__}}", ["a"], "a placeholder inside another"),
        ("{tilte}", ["title"], "did you mean 'title'?"),
        ("{} {}", ["title"], "uses 2 values and format_names (FORMAT_NAMES) has 1"),
        ("{5}", ["title"], "uses 6 values"),
        ("{} {0}", ["title"], "mixes {} and numbered placeholders"),
        ("no placeholder", ["title"], "has 'title', which format_string (FORMAT_STRING) does not use"),
        ("{title}", ["title", "body"], "has 'body', which"),
        ("{title}", ["title", "title"], "has 'title' twice"),
        ("{title", ["title"], "cannot be read"),
        ("{title!x}", ["title"], "conversion !x"),
    ],
)
def test_a_format_string_that_does_not_fit_its_names_is_refused(
    format_string: str, names: list[str], reason: str
) -> None:
    assert reason in refused(format_string=format_string, format_names=names)


@given(st.text(alphabet="{}ab01.[]!: ", max_size=12))
def test_every_format_string_is_formatted_or_refused_and_never_reaches_into_a_value(format_string: str) -> None:
    class Sealed(str):
        def __getattribute__(self, name: str) -> object:
            if name in ("__format__", "__str__", "__repr__", "__class__"):
                return super().__getattribute__(name)
            raise AssertionError(f"reached for {name}")

        def __getitem__(self, key: object) -> str:
            raise AssertionError(f"reached for [{key}]")

    try:
        section(format_string=format_string, format_names=["a", "b"])
    except ValidationError:
        return
    values = {"a": Sealed("x"), "b": Sealed("y")}
    try:
        format_string.format(*values.values(), **values)
    except ValueError as error:  # a format specification that text does not have
        assert "ormat" in str(error) or "specifier" in str(error) or "not allowed" in str(error)


def test_a_format_string_and_its_names_come_together() -> None:
    assert "needs format_names (FORMAT_NAMES) beside it" in refused(format_string="{}")
    assert "needs format_string (FORMAT_STRING) beside it" in refused(format_names=["a"])
    assert "too_short" in refused(format_string="{}", format_names=[])


def test_text_has_one_origin() -> None:
    assert "makes the text" in refused(format_string="{a}", format_names=["a"], text_column="b")
    assert "needs text_column" in refused(text_pair_column="b")
    assert "'a' is given twice" in refused(text_column="a", label_column="a")
    assert "the column of the label" in refused(format_string="{a}", format_names=["a"], label_column="a")


def test_a_split_has_one_part_to_play() -> None:
    assert "'test' is given twice" in refused(validation_split="test", test_split="test")


@pytest.mark.parametrize(
    ("names", "reason"),
    [
        (["neg"], "at least two"),
        (["a", "b", "a"], "'a' is given twice"),
        ({0: "a", 1: "a"}, "'a' is given twice"),
        (["a", " "], "is empty"),
        ([0, 1], "label_names"),
    ],
)
def test_label_names_must_tell_labels_apart(names: object, reason: str) -> None:
    assert reason in refused(label_names=names)


@pytest.mark.parametrize("names", ["labels.json", ["neg", "pos"], {0: "neg", 4: "pos"}, {"n": "neg", "p": "pos"}])
def test_label_names_are_a_file_a_list_or_a_mapping(names: object) -> None:
    assert section(label_names=names).label_names == names


def test_checking_the_section_imports_nothing_heavy() -> None:
    code = (
        "import sys; import adapt_nlp.data.options; "
        "print([m for m in ('torch', 'transformers', 'datasets', 'pandas', 'pyarrow', 'numpy') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
