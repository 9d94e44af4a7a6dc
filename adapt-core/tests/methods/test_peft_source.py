"""PEFT's tuners as read off its source are those that its own code has."""

from __future__ import annotations

import dataclasses
import re
import subprocess
import sys
from typing import Any

import pytest
from pydantic import ValidationError

from adapt_core.errors import AdaptError
from adapt_core.kinds import Kind
from adapt_core.methods.peft_tuners import options
from adapt_core.methods.peft_tuners.plugin import OWN, adapt_methods
from adapt_core.methods.peft_tuners.source import INTERNAL, config_class, config_fields, peft_folder, tuners
from adapt_core.methods.peft_tuners.table import TUNERS
from adapt_core.plugins.registry import Registry

TESTED = {name for name, tuner in TUNERS.items() if tuner.support == "tested"}


def configurations() -> dict[str, Any]:
    from peft import PeftType
    from peft.mapping import PEFT_TYPE_TO_CONFIG_MAPPING

    mapping: dict[Any, Any] = PEFT_TYPE_TO_CONFIG_MAPPING  # Adapt's own are in it too where another test used one
    return {kind.value.lower(): config for kind, config in mapping.items() if isinstance(kind, PeftType)}


def test_every_tuner_of_peft_is_found() -> None:
    assert set(tuners()) == set(configurations())
    assert {*TUNERS, *OWN} <= set(tuners())


def test_every_field_is_found_with_its_default() -> None:
    for tuner, config in configurations().items():
        assert config_class(tuner) == config.__name__
        found = {field.name: field.default for field in config_fields(tuner)}
        real = {field.name: field for field in dataclasses.fields(config) if field.init}
        assert set(found) == set(real) - INTERNAL - {"inference_mode"}, tuner
        for name, default in found.items():
            expected: Any = real[name].default
            if expected is dataclasses.MISSING:
                factory = real[name].default_factory
                expected = factory() if factory is not dataclasses.MISSING else ...
            computed = dataclasses.is_dataclass(expected)  # a configuration of PEFT's own, made anew each time
            assert default == (None if computed else expected), f"{tuner}.{name}"


def test_every_default_is_valid_for_its_own_option() -> None:
    for tuner in tuners():
        options.option_model(tuner)()


def test_types_are_checked_and_typos_refused() -> None:
    model = options.option_model("vera")
    assert model(r=4).model_dump()["r"] == 4
    for wrong in ({"r": "many"}, {"rank": 4}, {"save_projection": "maybe"}):
        with pytest.raises(ValidationError):
            model(**wrong)


@pytest.mark.parametrize("tuner", sorted(TESTED))
def test_every_option_is_read_by_peft(tuner: str) -> None:
    """A name that stands nowhere but in the tuner's configuration would be accepted and have no effect."""
    root = peft_folder()
    assert root is not None
    shared = ["tuners/tuners_utils.py", "tuners/lycoris_utils.py", "peft_model.py", "utils/*.py"]
    files = [file for each in (f"tuners/{tuner}/*.py", *shared) for file in root.glob(each) if file.name != "config.py"]
    words = set(re.findall(r"\w+", "".join(file.read_text() for file in files)))
    assert set(options.option_model(tuner).model_fields) <= words


def test_a_tuner_that_peft_does_not_have_is_an_error() -> None:
    with pytest.raises(AttributeError, match="the installed PEFT has no tuner 'nonsense'"):
        options.nonsense  # noqa: B018  # looking it up is the test
    with pytest.raises(AdaptError, match="no tuner 'nonsense'"):
        config_class("nonsense")


def test_they_are_listed_by_name_and_said_to_be_untested_where_no_test_runs_them() -> None:
    listed = {entry.spec.name: entry.spec for entry in Registry.load().entries(Kind.METHOD)}
    assert set(tuners()) <= set(listed)
    assert {name: listed[name] for name in TUNERS} == {name: tuner.spec for name, tuner in TUNERS.items()}
    tested = {name for name in tuners() if listed[name].support == "tested"}  # type: ignore[attr-defined]
    assert tested == {*TESTED, *OWN}


def test_a_tuner_that_the_suite_does_not_know_is_said_to_be_untested(monkeypatch: pytest.MonkeyPatch) -> None:
    """As is every one that a later PEFT brings."""
    monkeypatch.delitem(TUNERS, "vera")
    assert {spec.name for spec in adapt_methods() if spec.support == "untested"} == {"vera"}


def test_reading_them_imports_neither_peft_nor_torch() -> None:
    code = (
        "import sys\nfrom adapt_core.methods.peft_tuners.options import vera, adalora\n"
        "print([name for name in ('torch', 'peft', 'transformers') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
