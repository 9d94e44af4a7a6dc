"""What the registry says of plugins that could not be used, or are not installed."""

from __future__ import annotations

import importlib.metadata
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from fake_distributions import Install, method_plugin

from adapt_core.errors import AdaptError, UsageError
from adapt_core.kinds import Kind
from adapt_core.plugins.installation import install_command
from adapt_core.plugins.references import resolve
from adapt_core.plugins.registry import Registry


def test_examining_finds_a_missing_implementation_without_importing_its_package(fake: Install) -> None:
    fake(
        "heavy-dist",
        {
            "heavy_plugin": method_plugin("heavy", target="heavy_package.sub.method:Heavy"),
            "heavy_package.__init__": "raise RuntimeError('imported')",
            "heavy_package.sub.__init__": "raise RuntimeError('imported')",
            "heavy_package.sub.method": "raise RuntimeError('imported')",
        },
    )
    fake(
        "gone-dist",
        {
            "gone_plugin": method_plugin("gone", target="gone_package.method:Gone"),
            "gone_package.__init__": "raise RuntimeError('imported')",
        },
    )
    errors = {entry.spec.name: entry.error for entry in Registry.load().examined(Kind.METHOD)}
    assert errors["heavy"] is None
    assert errors["gone"] == "cannot load gone_package.method:Gone: there is no module gone_package.method"


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ("gone_options:Gone", "cannot load gone_options:Gone: ModuleNotFoundError: No module named 'gone_options'"),
        ("fractions:Gone", "cannot load fractions:Gone: module 'fractions' has no attribute 'Gone'"),
        ("fractions:Fraction", "fractions:Fraction must be a subclass of adapt_core.options.Options, not "),
    ],
)
def test_examining_finds_an_option_model_that_does_not_work(fake: Install, options: str, error: str) -> None:
    fake("odd-dist", {"odd_plugin": method_plugin("odd", options=options)})
    registry = Registry.load()
    (entry,) = [entry for entry in registry.examined() if entry.spec.name == "odd"]
    assert entry.error is not None
    assert entry.error.startswith(error)
    with pytest.raises(AdaptError, match=r"odd|fractions|gone"):
        registry.options(registry.get(Kind.METHOD, "odd").spec)


def test_resolving_passes_on_the_reason_whatever_an_import_raises(fake: Install) -> None:
    fake("damaged-dist", {"damaged": "raise OSError('libcudart.so.13: cannot open shared object file')"})
    with pytest.raises(AdaptError, match=r"cannot load damaged:Thing: OSError: libcudart\.so\.13") as caught:
        resolve("damaged:Thing")
    assert isinstance(caught.value.__cause__, OSError)


def test_resolving_follows_dots_to_a_nested_attribute() -> None:
    from importlib.metadata import EntryPoint

    assert resolve("importlib.metadata:EntryPoint.load") is EntryPoint.load


@pytest.fixture
def without_nlp(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An environment in which adapt-nlp is not installed, whether or not it is in this one."""

    def others(find: Any, context: Any) -> Iterator[importlib.metadata.Distribution]:
        for found in find(context):
            if found.metadata["Name"] != "adapt-nlp" or found.locate_file("") == tmp_path:
                yield found

    for finder in sys.meta_path:  # the backport, which some libraries import, has one of its own
        if (find := getattr(finder, "find_distributions", None)) is not None:
            monkeypatch.setattr(finder, "find_distributions", partial(others, find))


@pytest.mark.usefixtures("without_nlp")
def test_a_plugin_of_a_distribution_that_is_not_installed_names_the_command_that_installs_it() -> None:
    with pytest.raises(UsageError) as caught:
        Registry.load().get(Kind.TASK, "Text-Classification")
    assert caught.value.message == ("the task 'Text-Classification' is provided by adapt-nlp, which is not installed")
    assert caught.value.hint == install_command("adapt-nlp")


@pytest.mark.usefixtures("without_nlp")
def test_a_plugin_that_the_installed_distribution_is_too_old_for_says_so(fake: Install) -> None:
    fake("adapt-nlp", {"old_nlp": method_plugin("old")}, version="0.0.1")
    with pytest.raises(UsageError, match=r"'text_classification' is not in the installed adapt-nlp 0\.0\.1") as caught:
        Registry.load().get(Kind.TASK, "text_classification")
    assert caught.value.hint == "pip install --upgrade adapt-nlp"


@pytest.mark.usefixtures("without_nlp")
def test_a_first_party_plugin_that_is_broken_is_not_called_missing(fake: Install) -> None:
    fake("adapt-nlp", {"broken_nlp": "import a_module_that_is_not_there"})
    with pytest.raises(UsageError, match=r"'text_classification' cannot be used: .*a_module_that_is_not_there"):
        Registry.load().get(Kind.TASK, "text_classification")
