"""Overrides: ``key=value`` on the command line."""

from __future__ import annotations

import pytest

from adapt_core.config.file import COMMAND_LINE, parse_overrides
from adapt_core.errors import ConfigError


def test_overrides_are_read_as_yaml() -> None:
    document = parse_overrides(["LR=1e-3", "training.epochs=2", "a.b.c=[x, no]", "name=", "text=a=b", "d={x: 1}"])
    assert document.data == {
        "LR": 1e-3,
        "training": {"epochs": 2},
        "a": {"b": {"c": ["x", "no"]}},
        "name": None,
        "text": "a=b",
        "d": {"x": 1},
    }
    assert document.file == COMMAND_LINE
    assert document.position(("LR",)) is None


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["lr"], "expected key=value, such as training.lr=1e-4, got 'lr'"),
        (["=3"], "expected key=value"),
        (["training..lr=3"], "expected key=value"),
        ([".lr=3"], "expected key=value"),
        (["a=[1"], "a: not valid YAML"),
        (["a=x: y: z"], "a: not valid YAML"),
        (["a=1", "a=2"], "a: given twice"),
        (["a=1", "a.b=2"], "a.b: given twice"),
        (["a.b=1", "a=2"], "a: given twice"),
        (["a={x: 1, x: 2}"], "a: given twice"),
        (["a=!foo 1"], "unknown tag"),
    ],
)
def test_overrides_of_another_form_are_refused(arguments: list[str], says: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_overrides(arguments)
    assert says in str(caught.value)
    assert all(problem.file == COMMAND_LINE for problem in caught.value.problems)


def test_all_bad_overrides_are_reported_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        parse_overrides(["lr", "a=1", "b=[", "=2"])
    assert len(caught.value.problems) == 3
