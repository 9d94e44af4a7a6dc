"""The suite of methods tries all that can be declared, and a declaration that is not true fails it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, cast

import pytest

from adapt_core import AdaptError
from adapt_core.bundles import Model, Trained
from adapt_core.engines.spec import TRAINER
from adapt_core.engines.trainer.engine import TrainerEngine
from adapt_core.kinds import Kind, MethodSpec
from adapt_core.plugins.registry import Registry
from adapt_core.testing import LAYERS, MODELS, MethodContract


def declaring(name: str, **changes: Any) -> MethodContract:
    """The suite of a method as it would be with another declaration; its learning rate is one at which it learns."""

    class Declaring(MethodContract):
        method = name
        learning_rate = 5e-2

        def _spec(self) -> MethodSpec:
            return replace(super()._spec(), **changes)

    return Declaring()


def through(target: str, name: str) -> MethodContract:
    """The suite of a method on a model with a fresh head, trained by another engine."""

    class Through(MethodContract):
        method = name
        works_on = ("encoder",)
        engines: ClassVar = (replace(TRAINER, name="other", target=target, based_on=TRAINER),)

    return Through()


class StartsOver(TrainerEngine):
    """Does not know of checkpoints, and comes to the same end."""

    def train(self, model: Model, method: Any, inputs: Any, checkpoint: Path | None) -> Trained:
        return super().train(model, method, inputs, None)


class TrainsTheHeadOnly(TrainerEngine):
    """Leaves alone what the method has added."""

    def train(self, model: Model, method: Any, inputs: Any, checkpoint: Path | None) -> Trained:
        trained = [(name, each) for name, each in model.module.named_parameters() if each.requires_grad]
        own = [each for name, each in trained if "classifier" not in name]
        for each in own:
            each.requires_grad_(False)
        done = super().train(model, method, inputs, checkpoint)
        for each in own:
            each.requires_grad_(True)
        return done


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
    ("changes", "says"),
    [
        ({"identity": False}, "identity is declared False"),
        ({"merges": False}, "DID NOT RAISE"),
        ({"head": "all"}, "head is declared 'all', and .* is not trained"),
        ({"head": "only"}, "head is declared 'only', and .*lora_A.* is trained"),
    ],
)
def test_other_declarations_that_are_wrong_fail_it(changes: dict[str, Any], says: str, tmp_path: Path) -> None:
    suite = declaring("lora", **changes)
    with pytest.raises((AssertionError, pytest.fail.Exception), match=says):
        suite.test_it_adapts_the_types_of_layers_that_it_declares_and_no_others("Linear", tmp_path)


@pytest.mark.parametrize(
    ("method", "changes", "says"),
    [
        ("last_layer", {"head": "beside"}, "nothing beside the head is trained"),
        ("full", {"head": "beside"}, "the whole model is trained"),
        ("lora", {"saves": "model"}, "saves is declared 'model', and it made a Peft"),
    ],
)
def test_what_a_method_does_with_the_head_and_saves_is_held_to(
    method: str, changes: dict[str, Any], says: str, tmp_path: Path
) -> None:
    with pytest.raises(AssertionError, match=says):
        declaring(method, **changes).test_it_keeps_its_promises_or_refuses_with_a_reason(MODELS["encoder"], tmp_path)


@pytest.mark.parametrize(("method", "declared"), [("lora", False), ("prefix_tuning", True)])
def test_gradient_checkpointing_that_is_wrongly_declared_fails_it(method: str, declared: bool) -> None:
    declaring(method, checkpointing=not declared).test_gradient_checkpointing_changes_no_gradient_where_it_is_claimed()
    with pytest.raises(AssertionError, match=f"checkpointing is declared {declared}"):
        declaring(method, checkpointing=declared).test_gradient_checkpointing_changes_no_gradient_where_it_is_claimed()


@pytest.mark.parametrize(
    ("engine", "says"),
    [(StartsOver, "the steps after the checkpoint alone"), (TrainsTheHeadOnly, "nothing of what the method trains")],
)
def test_an_engine_that_does_not_do_what_it_should_fails_it(engine: type, says: str, tmp_path: Path) -> None:
    suite = through(f"{__name__}:{engine.__name__}", "lora")
    with pytest.raises(AssertionError, match=says):
        suite.test_it_trains_and_resumes_through_the_engines_that_it_claims(tmp_path)


def test_a_method_that_trains_only_the_head_is_held_to_that(tmp_path: Path) -> None:
    suite = through(f"{__name__}:TrainsTheHeadOnly", "last_layer")
    suite.test_it_trains_and_resumes_through_the_engines_that_it_claims(tmp_path)


def test_engines_that_a_method_does_not_claim_are_not_tried(tmp_path: Path) -> None:
    suite = declaring("lora", engines=("runner",))
    with pytest.raises(pytest.skip.Exception, match="lora does not claim trainer"):
        suite.test_it_trains_and_resumes_through_the_engines_that_it_claims(tmp_path)


def test_an_engine_that_is_not_there_fails_it(tmp_path: Path) -> None:
    suite = through("other:Engine", "lora")
    with pytest.raises(AdaptError, match="cannot load other:Engine"):
        suite.test_it_trains_and_resumes_through_the_engines_that_it_claims(tmp_path)
