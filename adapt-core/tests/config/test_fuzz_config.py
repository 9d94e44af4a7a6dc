"""No configuration makes the check raise: whatever is in the file, there are problems or there is a plan."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import fake_plugins
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from adapt_core.config.flat import core_table
from adapt_core.config.sections import ROOT, SECTIONS
from adapt_core.errors import Problem
from adapt_core.plan.build import check

REGISTRY = fake_plugins.registry()
TABLE = core_table(fake_plugins.PLUGINS)
FUZZ = settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))

MODELS = [
    *SECTIONS.values(),
    fake_plugins.ReadData,
    fake_plugins.LookData,
    fake_plugins.LookOptions,
    fake_plugins.RankOptions,
    fake_plugins.HeadOptions,
    fake_plugins.FourBitOptions,
    fake_plugins.NodesOptions,
]
INNER_KEYS = sorted({name for model in MODELS for name in model.model_fields})
OUTER_KEYS = sorted(
    {*SECTIONS, *ROOT.model_fields, *TABLE.names, *TABLE.switches, "r", "last_layer", "size", "num_nodes"}
)
NAMES = sorted({spec.name for _, spec in fake_plugins.PLUGINS})

WORDS = st.sampled_from(
    [*NAMES, *INNER_KEYS, "none", "True", "no", "1e-4", "0x1F", "12:30", "", "~", "x" * 300, "../..", "a\0b"]
)
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from([10**400, -(10**400), 2**63, 2**64])
    | st.floats()
    | WORDS
    | st.text(max_size=10)
)
VALUES: st.SearchStrategy[Any] = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(INNER_KEYS) | st.text(max_size=5), inner, max_size=4)
        | st.dictionaries(st.integers() | st.none() | st.booleans() | st.floats(), inner, max_size=2)
    ),
    max_leaves=8,
)
CONFIGS = st.dictionaries(st.sampled_from(OUTER_KEYS) | st.text(max_size=5), VALUES, max_size=8)
VALID = "task: read\nmodel: hub/model\ndataset:\n  name: data\nmethod: low_rank\nr: 4\ntraining:\n  lr: 1e-3\n"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fuzz")


def check_bytes(folder: Path, content: bytes, name: str = "f.yaml", overrides: tuple[str, ...] = ()) -> list[Problem]:
    """The problems of a file, each of which can be printed and sent as JSON."""
    file = folder / name
    file.write_bytes(content)
    problems = check(file, overrides, REGISTRY)
    for problem in problems:
        assert problem.message
        str(problem).encode()
        json.dumps(problem.as_dict(), allow_nan=False)
    return problems


NAMES_OF_FILES = st.sampled_from(["f.yaml", "f.json"])


@given(st.binary(max_size=200), NAMES_OF_FILES)
@FUZZ
def test_any_bytes(folder: Path, content: bytes, name: str) -> None:
    assert check_bytes(folder, content, name)


@given(st.text(max_size=100), NAMES_OF_FILES)
@FUZZ
def test_any_text(folder: Path, text: str, name: str) -> None:
    assert check_bytes(folder, text.encode(errors="surrogatepass"), name)


@given(st.text("\n\n  -:?,[]{}#&*!|>'\"%@`\\\t<~=.0123456789eExXuUnN_taskmethodr", max_size=60), NAMES_OF_FILES)
@FUZZ
def test_any_text_of_the_characters_that_mean_something(folder: Path, text: str, name: str) -> None:
    assert check_bytes(folder, text.encode(), name)


@given(st.integers(0, len(VALID)), st.integers(0, 10), st.text("\n :-[]{}'\"&*!#|\t,?x0", max_size=6))
@FUZZ
def test_any_damage_to_a_valid_configuration(folder: Path, start: int, length: int, text: str) -> None:
    check_bytes(folder, (VALID[:start] + text + VALID[start + length :]).encode())


@given(CONFIGS)
@FUZZ
def test_any_values_in_yaml(folder: Path, config: dict[Any, Any]) -> None:
    check_bytes(folder, yaml.safe_dump(config, allow_unicode=True).encode(errors="surrogatepass"))


@given(CONFIGS)
@FUZZ
def test_any_values_in_json(folder: Path, config: dict[Any, Any]) -> None:
    check_bytes(folder, json.dumps(config).encode(), "f.json")


@given(CONFIGS)
@FUZZ
def test_any_values_from_python(config: dict[Any, Any]) -> None:
    check(config, (), REGISTRY)


OVERRIDES = st.builds(
    "{}={}".format,
    st.sampled_from([*OUTER_KEYS, "method.r", "training.lr", "training.optimizer_options.a.b", "task.window.start"])
    | st.text(max_size=8),
    WORDS | st.text(max_size=10) | VALUES.map(lambda value: json.dumps(value, skipkeys=True)),
)


@given(st.lists(OVERRIDES | st.text(max_size=8), max_size=4))
@FUZZ
def test_any_overrides(folder: Path, overrides: list[str]) -> None:
    check_bytes(folder, VALID.encode(), overrides=tuple(overrides))


@given(CONFIGS, st.lists(OVERRIDES, max_size=3))
@FUZZ
def test_any_overrides_of_any_values(config: dict[Any, Any], overrides: list[str]) -> None:
    check(config, overrides, REGISTRY)


def test_what_the_fuzzing_starts_from_is_valid(folder: Path) -> None:
    assert check_bytes(folder, VALID.encode()) == []
