"""The catalogue of first-party plugins, held to the plugins themselves."""

from __future__ import annotations

import write_catalogue

from adapt_core.kinds import Kind
from adapt_core.plugins.catalogue import read_catalogue
from adapt_core.plugins.registry import Registry


def test_the_catalogue_is_up_to_date() -> None:
    text = write_catalogue.CATALOGUE.read_text(encoding="utf-8")
    assert text == write_catalogue.catalogue(Registry.load()), "python tests/write_catalogue.py --write"


def test_the_catalogue_lists_the_plugins_of_every_package_that_has_some() -> None:
    listed = {(one.distribution, one.kind, one.name) for one in read_catalogue()}
    assert ("adapt-core", Kind.METHOD, "lora") in listed
    assert ("adapt-nlp", Kind.TASK, "text_classification") in listed


def test_the_catalogue_knows_flat_names() -> None:
    (task,) = [one for one in read_catalogue() if one.name == "text_classification"]
    assert task.options["dataset"]["format_string"] == ["FORMAT_STRING"]
    assert task.options["training"]["optimizer"] == ["OPTIMIZER"]
    assert "name" not in task.options["dataset"]
    (full,) = [one for one in read_catalogue() if one.name == "full"]
    assert (full.switch, full.options) == ("FULL_FINE_TUNING", {})
