"""The suite of methods tries all that can be declared, and a declaration that is not true fails it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from adapt_core import AdaptError
from adapt_core.kinds import Kind, MethodSpec
from adapt_core.registry import Registry
from adapt_core.testing import LAYERS, MethodContract

ENGINE = "adapt_core.engines.trainer.engine:TrainerEngine"


def declaring(name: str, **changes: Any) -> MethodContract:
    """The suite of a method as it would be with another declaration; its learning rate is one at which it learns."""

    class Declaring(MethodContract):
        method = name
        learning_rate = 5e-2

        def _spec(self) -> MethodSpec:
            return replace(super()._spec(), **changes)

    return Declaring()


def test_every_declared_type_of_layer_is_one_that_the_suite_tries() -> None:
    entries = [entry for entry in Registry.load().entries(Kind.METHOD) if entry.distribution == "adapt-core"]
    declared = {kind for entry in entries for kind in cast(MethodSpec, entry.spec).module_types}
    assert declared == set(LAYERS)


@pytest.mark.parametrize(
    ("layer", "declared", "failure"),
    [
        ("LayerNorm", ("Linear", "LayerNorm"), (AdaptError, "layer is a LayerNorm, which vera does not adapt")),
        ("Linear", ("Conv1D",), (pytest.fail.Exception, "DID NOT RAISE")),
    ],
)
def test_layers_that_are_wrongly_declared_fail_it(
    layer: str, declared: tuple[str, ...], failure: Any, tmp_path: Path
) -> None:
    suite = declaring("vera", module_types=declared)
    kind, says = failure
    with pytest.raises(kind, match=says):
        suite.test_it_adapts_the_types_of_layers_that_it_declares_and_no_others(layer, tmp_path)


@pytest.mark.parametrize(
    ("method", "changes", "says"),
    [
        ("lora", {"identity": False}, "identity is declared False"),
        ("lora", {"merges": False}, "DID NOT RAISE"),
    ],
)
def test_other_declarations_that_are_wrong_fail_it(
    method: str, changes: dict[str, Any], says: str, tmp_path: Path
) -> None:
    with pytest.raises((AssertionError, pytest.fail.Exception), match=says):
        declaring(method, **changes).test_it_adapts_the_types_of_layers_that_it_declares_and_no_others(
            "Linear", tmp_path
        )


def test_an_engine_that_a_method_does_not_claim_is_not_tried(tmp_path: Path) -> None:
    with pytest.raises(pytest.skip.Exception, match="lora does not claim"):
        declaring("lora", engines=("other:Engine",)).test_it_trains_and_resumes_through_every_engine_that_it_claims(
            ENGINE, tmp_path
        )
