"""Libraries and engines: which options a configuration may have depends on where its model comes from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import fake_plugins
import pytest
from fake_plans import BASE

from adapt_core.config.sections import ModelOptions, TrainingOptions
from adapt_core.errors import ConfigError, Problem
from adapt_core.kinds import EngineSpec, Kind, LauncherSpec, Library, TaskSpec
from adapt_core.options import Options, option
from adapt_core.plan.build import build_plan, check

TRAINING = "adapt_core.engines.trainer.options:TrainerOptions"


class LoopOptions(TrainingOptions):
    stages: list[int] = option([], flat=("STAGES", "STAGE_LIST"), help="Epochs after which the rate falls.")


class ZooModel(ModelOptions):
    config: str | None = option(None, flat="cfg", help="Name of a configuration of the zoo.")


class PredictionOptions(Options):
    top: int = option(1, gt=0, help="Answers.")


LOOP = EngineSpec(
    name="loop", target="fake_plugins:Loop", training="test_libraries:LoopOptions", parallel=("replicated",)
)
FAST_LOOP = EngineSpec(
    name="fast_loop", target="fake_plugins:Loop", training="test_libraries:LoopOptions", based_on=LOOP
)
SEE = fake_plugins.spec(
    TaskSpec,
    "see",
    libraries=(
        Library(name="transformers", engine=fake_plugins.ENGINE),
        Library(name="zoo", engine=LOOP, model="test_libraries:ZooModel"),
        Library(name="fast_zoo", engine=FAST_LOOP),
        Library(name="far", engine=LOOP, requires=("far_away", "further"), install="pip install far[away]"),
    ),
    prediction="test_libraries:PredictionOptions",
)
TAG = fake_plugins.spec(
    TaskSpec,
    "tag",
    libraries=fake_plugins.libraries(fake_plugins.ENGINE, "transformers"),
    options="test_libraries:TagOptions",
    variant_of=("read", "subtask"),
)


class TagOptions(Options):
    subtask: str = option("ner", flat="subtask", help="What is tagged.")


REGISTRY = fake_plugins.registry(
    (Kind.TASK, SEE),
    (Kind.TASK, TAG),
    (Kind.METHOD, fake_plugins.method("for_loops", engines=("loop",))),
    (Kind.METHOD, fake_plugins.method("alone", parallel=())),
    (Kind.LAUNCHER, LauncherSpec(name="shards", summary="Shards.", target="fractions:Fraction", parallel="sharded")),
    (
        Kind.METHOD,
        fake_plugins.method("careful", check="test_libraries:few_rows_a_step", engines=None),
    ),
)


def few_rows_a_step(plan: Any) -> list[tuple[tuple[str, ...], str]]:
    """A check of the whole plan."""
    rows = plan.training.batch_size * plan.training.gradient_accumulation_steps
    return [(("training", "batch_size"), f"careful takes at most 64 rows a step, and this makes {rows}")] * (rows > 64)


def problems(text: str, tmp_path: Path) -> list[Problem]:
    file = tmp_path / "run.yaml"
    file.write_text(text)
    return check(file, (), REGISTRY)


def plan(**sections: Any) -> Any:
    data = {"task": "see", "model": {"name": "hub/model"}, "dataset": {"name": "data"}, "method": "whole"}
    return build_plan({**data, **sections}, (), REGISTRY)


def test_the_library_brings_its_engine_and_their_options() -> None:
    made = plan(model={"name": "x", "library": "Zoo", "config": "small"}, training={"stages": [3]})
    assert (made.library.name, made.engine) == ("zoo", LOOP)
    assert made.model.config == "small"
    assert made.training.stages == [3]
    assert plan().engine.name == "first", "the first library is the default"
    assert plan().training.optimizer == "adamw_torch"
    assert made.canonical()["training"]["stages"] == [3]
    assert "optimizer" not in made.canonical()["training"]


def test_a_parameter_may_have_several_flat_names() -> None:
    for name in ("STAGES", "STAGE_LIST"):
        assert plan(model={"name": "x", "library": "zoo"}, **{name: [2]}).training.stages == [2]
    with pytest.raises(ConfigError, match="the same parameter as STAGES"):
        plan(model={"name": "x", "library": "zoo"}, STAGES=[2], STAGE_LIST=[2])
    assert plan(FRAMEWORK="zoo", MODEL_PATH="x", model={}).library.name == "zoo"


def test_options_of_another_library_are_refused_with_their_owner(tmp_path: Path) -> None:
    (problem,) = problems(BASE.replace("read", "see") + "STAGES: [1]\n", tmp_path)
    assert (problem.line, problem.key, problem.code) == (5, "STAGES", "misplaced-key")
    (problem,) = problems(BASE.replace("model: hub/model", "model: {name: x, library: zoo}").replace("read", "see")
                          + "OPTIMIZER: sgd\n", tmp_path)  # fmt: skip
    assert (problem.line, problem.key) == (5, "OPTIMIZER")


def test_a_library_that_is_not_installed_says_how_to_install_it(tmp_path: Path) -> None:
    text = BASE.replace("read", "see").replace("model: hub/model", "model: {name: x, library: far}")
    (problem,) = problems(text, tmp_path)
    assert (problem.key, problem.code) == ("model.library", "package-missing")
    assert "far_away and further are not installed" in problem.message
    assert "pip install far[away]" in problem.message


def test_a_library_that_is_not_installed_hides_no_other_mistake(tmp_path: Path) -> None:
    text = BASE.replace("read", "see").replace("model: hub/model", "model: {name: x, library: far}")
    text = text.replace("hub-data", "{name: data, xyzzy: 3}") + "training: {stages: 3, epochs: 0}\n"
    assert {(each.key, each.code) for each in problems(text, tmp_path)} == {
        ("model.library", "package-missing"),
        ("training.stages", "wrong-type"),
        ("training.epochs", "out-of-range"),
        ("dataset.xyzzy", "unknown-key"),
    }


def test_a_check_of_several_sections_is_made_beside_a_mistake_elsewhere(tmp_path: Path) -> None:
    """As long as it reads nothing that is undecided."""
    careful = BASE.replace("low_rank", "careful")

    def found(text: str) -> set[tuple[str, str]]:
        return {(each.key, each.code) for each in problems(careful + text, tmp_path)}

    wrong = ("training.batch_size", "impossible-combination")
    assert found("training: {batch_size: 128}\n") == {wrong}
    assert found("training: {batch_size: 128, lr: fast}\n") == {wrong, ("training.lr", "wrong-type")}
    assert found("training: {batch_size: 128, xyzzy: 1}\n") == {wrong, ("training.xyzzy", "unknown-key")}
    assert found("training: {batch_size: 128}\nxyzzy: 1\n") == {wrong, ("xyzzy", "unknown-key")}
    assert wrong in found("training: {batch_size: 128}\nsave: nowhere\n")
    for accumulation in ("gradient_accumulation_steps: 0", "gradient_accumulation_step: 2"):
        assert wrong not in found(f"training: {{batch_size: 128, {accumulation}}}\n"), "its product is not known"
    assert wrong not in found("training: {batch_size: 128}\ngradient_accumulation_steps: 2\n"), "misplaced"
    assert wrong not in found("training: {batch_size: 128}\nGRADIENT_ACCUMULATION_STEP: 2\n"), "mistyped"
    assert wrong not in found("trainig: {batch_size: 128}\n")
    assert found("training: 128\n") == {("training", "wrong-type")}


def test_a_library_that_the_task_does_not_have(tmp_path: Path) -> None:
    text = BASE.replace("read", "see").replace("model: hub/model", "model: {name: x, library: mars}")
    assert [(each.line, each.key, each.code) for each in problems(text, tmp_path)] == [
        (2, "model.library", "impossible-combination")
    ]


def test_what_works_with_an_engine_works_with_one_that_extends_it(tmp_path: Path) -> None:
    for library, works in (("transformers", False), ("zoo", True), ("fast_zoo", True)):
        text = BASE.replace("read", "see").replace("low_rank", "for_loops")
        text = text.replace("model: hub/model", f"model: {{name: x, library: {library}}}")
        assert (problems(text, tmp_path) == []) == works


def test_processes_need_an_engine_and_a_method_that_can(tmp_path: Path) -> None:
    def codes(text: str) -> list[tuple[str, str]]:
        return [(each.key, each.code) for each in problems(text, tmp_path)]

    assert codes(BASE + "DDP: true\n") == []
    assert codes(BASE + "launch: shards\n") == [("launch", "impossible-combination")] * 2, "neither method nor engine"
    assert codes(BASE.replace("low_rank", "alone") + "DDP: true\n") == [("DDP", "impossible-combination")]


def test_a_flat_parameter_may_turn_a_task_into_its_variant(tmp_path: Path) -> None:
    data = {"model": {"name": "x"}, "dataset": {"name": "d"}, "method": "whole"}
    flat = build_plan({**data, "TASK": "reading", "subtask": "pos"}, (), REGISTRY)
    nested = build_plan({**data, "task": {"name": "read", "subtask": "pos"}}, (), REGISTRY)
    for made in (flat, nested):
        assert (made.task.spec.name, made.task.options.subtask) == ("tag", "pos")
    assert build_plan({**data, "task": "read"}, (), REGISTRY).task.spec.name == "read"
    assert problems(BASE + "subtsk: pos\n", tmp_path)[0].code == "unknown-key"


def test_a_plugin_may_check_the_whole_plan(tmp_path: Path) -> None:
    text = BASE.replace("low_rank", "careful") + "BATCH_SIZE: 16\nGRADIENT_ACCUMULATION_STEPS: 8\n"
    (problem,) = problems(text, tmp_path)
    assert (problem.line, problem.key, problem.code) == (5, "BATCH_SIZE", "impossible-combination")
    assert problems(text.replace("8", "4"), tmp_path) == []


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"libraries": ()}, "libraries of 'odd' must name at least one"),
        ({"libraries": ("transformers",)}, "libraries of 'odd' must be a tuple of Library"),
        (
            {"libraries": (Library(name="a", engine=LOOP),), "prediction": "x"},
            "prediction of 'odd' must be 'module:Class'",
        ),
    ],
)
def test_a_spec_that_cannot_be_is_refused(fields: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        TaskSpec(name="odd", summary="Odd.", target="a:B", **fields)


def test_an_engine_is_a_spec_and_not_a_string() -> None:
    with pytest.raises(ValueError, match="engine of 'a' must be EngineSpec"):
        Library(name="a", engine="adapt_core.engines:Trainer")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="target of 'a' must be 'module:Class'"):
        EngineSpec(name="a", target="nothing")
