"""Overrides: ``key=value`` on the command line."""

from __future__ import annotations

import pytest
from mistakes import OVERRIDES

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


@pytest.mark.parametrize(("arguments", "key", "code"), OVERRIDES)
def test_overrides_of_another_form_are_refused(arguments: list[str], key: str, code: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_overrides(arguments)
    assert [(problem.key, problem.code) for problem in caught.value.problems] == [(key, code)]
    assert all(problem.file == COMMAND_LINE for problem in caught.value.problems)


def test_all_bad_overrides_are_reported_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        parse_overrides(["lr", "a=1", "b=[", "=2"])
    assert len(caught.value.problems) == 3
